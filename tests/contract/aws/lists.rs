//! What is below a name at AWS: pages, prefixes, and what is marked for deletion.

use hushfs::providers::ProviderError;
use serde_json::json;

use super::admin::{Aws, REGION, unique};
use super::{LIST_PARAMETERS, LIST_SECRETS, Moto, Parameters, Secrets};
use crate::listing::list;
use crate::network::{Network, Weather};
use crate::upstream::Upstream;

fn put_parameter(name: &str) {
    let args = json!({"Name": name, "Value": "a value", "Type": "SecureString", "Overwrite": true});
    Aws::ministack().call("ssm", "put_parameter", args);
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{n:03}")).collect()
}

#[test]
fn secrets_are_listed_page_by_page_without_their_values() {
    let (server, under) = (Secrets::start(), unique("paged"));
    let wanted = numbered(120);
    for name in &wanted {
        Aws::ministack().put_secret(REGION, &format!("{under}/{name}"), b"a value");
    }
    let keys = Aws::ministack().user(&[LIST_SECRETS]).write(server.0.path());
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = Secrets::open(&super::settings(&network.at(), &keys)).unwrap();
    assert_eq!(list(&*provider, &under, 1).unwrap(), wanted);
    assert_eq!(network.requests(), 2, "100 on a page");
}

#[test]
fn parameters_are_listed_page_by_page_without_their_values() {
    let (server, under) = (Parameters::start(), unique("paged"));
    let wanted = numbered(60);
    wanted.iter().for_each(|name| put_parameter(&format!("/{under}/{name}")));
    let keys = Aws::ministack().user(&[LIST_PARAMETERS]).write(server.0.path());
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = Parameters::open(&super::settings(&network.at(), &keys)).unwrap();
    assert_eq!(list(&*provider, &under, 1).unwrap(), wanted);
    assert_eq!(network.requests(), 2, "50 on a page");
}

#[test]
fn a_prefix_stands_before_the_path_and_in_no_name() {
    let server = Secrets::start();
    let at = unique("prefixed");
    Aws::ministack().put_secret(REGION, &format!("/{at}/app/db"), b"a value");
    put_parameter(&format!("/{at}/app/db"));
    let keys = Aws::ministack().user(&[LIST_SECRETS, LIST_PARAMETERS]).write(server.0.path());
    let settings = format!("{}\nprefix = '/{at}/'", super::settings(&server.direct(), &keys));
    for provider in [Secrets::open(&settings).unwrap(), Parameters::open(&settings).unwrap()] {
        assert_eq!(list(&*provider, "app", 1).unwrap(), ["db"]);
        let arn = "arn:aws:secretsmanager:eu-central-1:000000000000:secret:app";
        let error = list(&*provider, arn, 1).unwrap_err();
        assert!(matches!(&error, ProviderError::Misconfigured(m) if m.contains("ARN")), "{error}");
    }
}

#[test]
fn what_is_marked_for_deletion_is_not_listed() {
    let (server, moto) = (Secrets::start(), Moto::start());
    let settings = server.settings_to_list(&server.direct()).unwrap();
    let opened = [
        (Aws::ministack(), Secrets::open(&settings)),
        (Aws::moto(), Moto::open(&moto.settings(&moto.direct()))),
    ];
    for (aws, provider) in opened {
        let (provider, under) = (provider.unwrap(), unique("marked"));
        for name in ["a", "b"] {
            aws.put_secret(REGION, &format!("{under}/{name}"), b"a value");
        }
        aws.call("secretsmanager", "delete_secret", json!({"SecretId": format!("{under}/a")}));
        assert_eq!(list(&*provider, &under, 1).unwrap(), ["b"]);
    }
}

#[test]
fn the_second_region_is_asked_for_all_pages_when_the_first_fails() {
    let (aws, other, under) = (Aws::ministack(), "eu-west-1", unique("regional"));
    let directory = tempfile::tempdir().unwrap();
    let wanted = numbered(120);
    for name in &wanted {
        aws.put_secret(other, &format!("{under}/{name}"), b"a value");
    }
    let first = Network::plain(aws.address, Weather::Answers(503, "", String::new()));
    let settings = format!(
        "regions = ['{REGION}', '{other}']\nendpoints = {{ {REGION} = '{}', {other} = '{}' }}\ncredentials_file = '{}'",
        first.at().url,
        aws.url(),
        aws.user(&[LIST_SECRETS]).write(directory.path())
    );
    let provider = Secrets::open(&settings).unwrap();
    assert_eq!(list(&*provider, &under, 1).unwrap(), wanted);
    assert_eq!(first.requests(), 1);
}

#[test]
fn a_refusal_names_the_right_that_is_needed() {
    let server = Secrets::start();
    let settings = server.settings_without_rights(&server.direct()).unwrap();
    for (provider, right) in
        [(Secrets::open(&settings), LIST_SECRETS), (Parameters::open(&settings), LIST_PARAMETERS)]
    {
        let error = list(&*provider.unwrap(), "app", 1).unwrap_err();
        assert!(matches!(&error, ProviderError::Refused(m) if m.contains(right)), "{error}");
    }
}
