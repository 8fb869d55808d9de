//! What a reference can ask for.

use hushfs::providers::{Mint, Provider, ProviderError};
use serde_json::json;

use super::admin::{ACCOUNT, Aws, REGION, unique};
use super::{Moto, Parameters, READ_PARAMETERS, Secrets};
use crate::upstream::{Upstream, block_on, bytes, fetch, reference};

fn opened<U: Upstream>(server: &U, more: &str) -> Box<dyn Provider> {
    U::open(&format!("{}\n{more}", server.settings(&server.direct()))).unwrap()
}

fn at(provider: &dyn Provider, path: &str, version: &str) -> Result<Vec<u8>, ProviderError> {
    block_on(provider.fetch(&reference(path, Some(version)), Mint::Allowed)).map(|fetched| bytes(&fetched))
}

fn value(provider: &dyn Provider, path: &str) -> Vec<u8> {
    bytes(&fetch(provider, path).unwrap_or_else(|error| panic!("{path}: {error}")))
}

#[test]
fn stages_and_version_ids() {
    let (aws, server, name) = (Aws::ministack(), Secrets::start(), unique("stages"));
    aws.put_secret(REGION, &name, b"one");
    aws.put_secret(REGION, &name, b"two");
    let args = json!({"SecretId": name, "SecretString": "three", "VersionStages": ["AWSPENDING", "mine"]});
    let pending = aws.call("secretsmanager", "put_secret_value", args);
    let provider = opened(&server, "");
    for (stage, wanted) in [
        ("AWSCURRENT", "two"),
        ("AWSPREVIOUS", "one"),
        ("AWSPENDING", "three"),
        ("mine", "three"),
        ("stage:mine", "three"),
        (pending["VersionId"].as_str().unwrap(), "three"),
    ] {
        assert_eq!(at(&*provider, &name, stage).unwrap(), wanted.as_bytes(), "{stage}");
    }
    assert_eq!(value(&*provider, &name), b"two");
    let error = at(&*provider, &name, "nobodys").unwrap_err();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    assert!(error.to_string().contains("version `nobodys`"), "{error}");
}

#[test]
fn arns_whole_and_partial_and_names_under_a_prefix() {
    let (server, name) = (Secrets::start(), unique("prod/arn"));
    let arn = Aws::ministack().put_secret(REGION, &name, b"by arn");
    let partial = &arn[..arn.len() - 7];
    let provider = opened(&server, "prefix = 'prod/'");
    for path in [arn.as_str(), partial, name.strip_prefix("prod/").unwrap()] {
        assert_eq!(value(&*provider, path), b"by arn", "{path}");
    }
    let other = format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:nowhere-AbCdEf");
    assert!(matches!(fetch(&*provider, &other).err(), Some(ProviderError::NotFound(_))));
}

#[test]
fn an_arn_of_another_region_is_asked_there() {
    let (server, name) = (Secrets::start(), unique("elsewhere"));
    let arn = Aws::ministack().put_secret("us-west-2", &name, b"over there");
    let provider = opened(&server, "");
    assert_eq!(value(&*provider, &arn), b"over there");
    assert!(matches!(fetch(&*provider, &name).err(), Some(ProviderError::NotFound(_))));
}

fn marked_for_deletion<U: Upstream>(aws: &Aws, server: &U) -> String {
    let name = unique("deleted");
    aws.put_secret(REGION, &name, b"gone");
    let provider = opened(server, "");
    assert_eq!(value(&*provider, &name), b"gone");
    aws.call("secretsmanager", "delete_secret", json!({"SecretId": name, "RecoveryWindowInDays": 7}));
    let error = fetch(&*provider, &name).err().unwrap();
    assert!(matches!(error, ProviderError::NotFound(_)), "{error}");
    aws.call("secretsmanager", "restore_secret", json!({"SecretId": name}));
    assert_eq!(value(&*provider, &name), b"gone");
    error.to_string()
}

#[test]
fn a_secret_that_is_marked_for_deletion_is_not_found_and_can_be_restored() {
    let told = marked_for_deletion(Aws::ministack(), &Secrets::start());
    assert!(told.contains("marked for deletion") && told.contains("restore"), "{told}");
    assert!(!told.contains("DeletedDate"), "who may only read is not told the date: {told}");
    let told = marked_for_deletion(Aws::moto(), &Moto::start());
    assert!(told.contains("DeletedDate 20"), "{told}");
}

#[test]
fn parameters_of_each_type_by_path_version_and_label() {
    let (aws, server) = (Aws::ministack(), Parameters::start());
    let put = |name: &str, kind: &str, value: &str| {
        let args = json!({"Name": name, "Type": kind, "Value": value, "Overwrite": true});
        aws.call("ssm", "put_parameter", args);
    };
    let name = unique("types");
    for (kind, wanted) in [("String", "plain"), ("StringList", "a,b,c"), ("SecureString", "secret")] {
        put(&format!("/{name}/{kind}"), kind, wanted);
        let provider = opened(&server, "");
        assert_eq!(value(&*provider, &format!("{name}/{kind}")), wanted.as_bytes());
        let provider = opened(&server, &format!("prefix = '/{name}/'"));
        assert_eq!(value(&*provider, kind), wanted.as_bytes());
    }
    let path = format!("{name}/versions");
    put(&format!("/{path}"), "SecureString", "one");
    put(&format!("/{path}"), "SecureString", "two");
    let args = json!({"Name": format!("/{path}"), "ParameterVersion": 1, "Labels": ["stable"]});
    aws.call("ssm", "label_parameter_version", args);
    let provider = opened(&server, "");
    let fetched = fetch(&*provider, &path).unwrap();
    assert_eq!((bytes(&fetched), fetched.version.as_str()), (b"two".to_vec(), "2"));
    assert_eq!(at(&*provider, &path, "1").unwrap(), b"one");
    assert_eq!(at(&*provider, &path, "stable").unwrap(), b"one");
    assert!(matches!(at(&*provider, &path, "3"), Err(ProviderError::NotFound(_))));
    let arn = format!("arn:aws:ssm:{REGION}:{ACCOUNT}:parameter/{path}");
    assert_eq!(value(&*provider, &arn), b"two");
}

#[test]
fn a_right_to_the_other_service_is_none() {
    let server = Secrets::start();
    let keys = Aws::ministack().user(READ_PARAMETERS).write(server.0.path());
    let name = unique("other");
    Aws::ministack().put_secret(REGION, &name, b"x");
    let provider = Secrets::open(&super::settings(&server.direct(), &keys)).unwrap();
    let error = fetch(&*provider, &name).err().unwrap();
    assert!(matches!(error, ProviderError::Refused(_)), "{error}");
    assert!(error.to_string().contains("secretsmanager:GetSecretValue"), "it says what to allow: {error}");
    // AWS knows us: that is all a login is about.
    block_on(provider.log_in()).unwrap();
}
