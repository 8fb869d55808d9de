//! More than one region.

use hushfs::providers::ProviderError;

use super::admin::{Aws, REGION, unique};
use super::{READ_SECRETS, Secrets};
use crate::network::{Network, Weather};
use crate::upstream::{Upstream, bytes, fetch};

const OTHER: &str = "eu-west-1";

struct Setup {
    first: Network,
    second: Network,
    settings: String,
    name: String,
    arn: String,
    _directory: tempfile::TempDir,
}

fn setup() -> Setup {
    let (aws, name, directory) = (Aws::ministack(), unique("regions"), tempfile::tempdir().unwrap());
    let arn = aws.put_secret(REGION, &name, b"first");
    let replicated = serde_json::json!({"SecretId": name, "AddReplicaRegions": [{"Region": OTHER}]});
    aws.call("secretsmanager", "replicate_secret_to_regions", replicated);
    let (first, second) =
        (Network::plain(aws.address, Weather::Fine), Network::plain(aws.address, Weather::Fine));
    let settings = format!(
        "regions = ['{REGION}', '{OTHER}']\nendpoints = {{ {REGION} = '{}', {OTHER} = '{}' }}\ncredentials_file = '{}'\ntimeout = '1s'",
        first.at().url,
        second.at().url,
        aws.user(READ_SECRETS).write(directory.path())
    );
    Setup { first, second, settings, name, arn, _directory: directory }
}

#[test]
fn the_second_is_asked_when_the_first_fails_and_is_asked_first_for_a_while() {
    for weather in [
        Weather::Closes,
        Weather::Hangs,
        Weather::Answers(503, "", String::new()),
        Weather::Answers(500, "", "{\"__type\": \"InternalServiceError\"}".to_owned()),
    ] {
        let it = setup();
        let provider = Secrets::open(&it.settings).unwrap();
        assert_eq!(bytes(&fetch(&*provider, &it.name).unwrap()), b"first");
        assert_eq!((it.first.requests(), it.second.requests()), (1, 0));
        it.first.turns(weather.clone());
        // A copy in another region is found by the ARN of the original, too.
        for path in [&it.name, &it.arn] {
            assert_eq!(bytes(&fetch(&*provider, path).unwrap()), b"first", "{weather:?}");
        }
        assert_eq!(it.second.requests(), 2);
        assert!(it.first.requests() <= 3, "{}", it.first.requests());
    }
}

#[test]
fn what_the_first_answers_counts() {
    let it = setup();
    let provider = Secrets::open(&it.settings).unwrap();
    let error = fetch(&*provider, "nowhere").err().unwrap();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    it.first.turns(Weather::Answers(429, "Retry-After: 3\r\n", String::new()));
    let error = fetch(&*provider, &it.name).err().unwrap();
    assert!(matches!(error, ProviderError::Unavailable { retry_after: Some(_), .. }), "{error}");
    assert_eq!(it.second.requests(), 0);
}

#[test]
fn when_all_fail_the_last_is_told() {
    let it = setup();
    it.first.turns(Weather::Closes);
    it.second.turns(Weather::Answers(503, "", String::new()));
    let error = fetch(&*Secrets::open(&it.settings).unwrap(), &it.name).err().unwrap();
    assert!(matches!(error, ProviderError::Unavailable { .. }), "{error}");
    assert!(error.to_string().contains(OTHER), "{error}");
}

#[test]
fn one_alone_is_asked_once_more_unless_it_says_when_to_come_again() {
    let (aws, name, directory) = (Aws::ministack(), unique("alone"), tempfile::tempdir().unwrap());
    aws.put_secret(REGION, &name, b"x");
    let keys = aws.user(READ_SECRETS).write(directory.path());
    for (headers, asked) in [("", 2), ("Retry-After: 5\r\n", 1)] {
        let network = Network::plain(aws.address, Weather::Answers(503, headers, String::new()));
        let provider = Secrets::open(&super::settings(&network.at(), &keys)).unwrap();
        let error = fetch(&*provider, &name).err().unwrap();
        let ProviderError::Unavailable { retry_after, .. } = &error else { panic!("{error}") };
        assert_eq!((network.requests(), retry_after.is_some()), (asked, asked == 1), "{error}");
    }
}
