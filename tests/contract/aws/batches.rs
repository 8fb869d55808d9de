//! Several secrets at once.

use std::sync::Arc;

use hushfs::providers::{Fetched, Mint, Provider, ProviderError};

use super::admin::{Aws, REGION, unique};
use super::{Moto, READ_SECRETS, Secrets};
use crate::network::{Network, Weather};
use crate::upstream::{Upstream, block_on, bytes, reference};

/// Fetches all of them at the same time.
fn at_once(provider: &Arc<dyn Provider>, paths: &[String]) -> Vec<Result<Fetched, ProviderError>> {
    block_on(async {
        let tasks = paths.iter().map(|path| {
            let (provider, asked) = (Arc::clone(provider), reference(path, None));
            tokio::spawn(async move { provider.fetch(&asked, Mint::Allowed).await })
        });
        let mut all = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            all.push(task.await.unwrap());
        }
        all
    })
}

/// A provider behind a network that counts, whose user may do those actions; the connection and the login are made.
fn opened(server: &Secrets, network: &Network, actions: &[&str], more: &str) -> Arc<dyn Provider> {
    let keys = Aws::ministack().user(actions).write(server.0.path());
    let settings = format!("{}\n{more}", super::settings(&network.at(), &keys));
    let provider: Arc<dyn Provider> = Secrets::open(&settings).unwrap().into();
    block_on(provider.log_in()).unwrap();
    provider
}

fn secrets(number: usize) -> Vec<String> {
    (0..number)
        .map(|_| {
            let name = unique("together");
            Aws::ministack().put_secret(REGION, &name, name.as_bytes());
            name
        })
        .collect()
}

#[test]
fn many_secrets_are_a_few_questions() {
    let (server, names) = (Secrets::start(), secrets(16));
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = opened(&server, &network, READ_SECRETS, "");
    let before = network.requests();
    for (name, fetched) in names.iter().zip(at_once(&provider, &names)) {
        let fetched = fetched.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bytes(&fetched), name.as_bytes());
        assert!(!fetched.version.is_empty());
    }
    let asked = network.requests() - before;
    assert!(asked <= 4, "one alone and the rest together, not {asked}");
}

#[test]
fn what_is_asked_for_one_after_the_other_goes_alone() {
    let (server, names) = (Secrets::start(), secrets(3));
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = opened(&server, &network, &["secretsmanager:GetSecretValue"], "");
    let before = network.requests();
    for name in &names {
        assert_eq!(
            bytes(&block_on(provider.fetch(&reference(name, None), Mint::Allowed)).unwrap()),
            name.as_bytes()
        );
    }
    assert_eq!(network.requests() - before, 3);
}

#[test]
fn each_has_its_own_error_and_arns_and_names_meet() {
    let (server, aws) = (Secrets::start(), Aws::ministack());
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = opened(&server, &network, READ_SECRETS, "");
    let name = unique("mixed");
    let arn = aws.put_secret(REGION, &name, b"it");
    let deleted = unique("mixed-deleted");
    aws.put_secret(REGION, &deleted, b"it");
    aws.call("secretsmanager", "delete_secret", serde_json::json!({"SecretId": deleted}));
    let binary = unique("mixed-binary");
    aws.put_secret(REGION, &binary, &[0, 255, 1]);
    let partial = arn[..arn.len() - 7].to_owned();
    let paths = [name.clone(), arn, partial, "nowhere".to_owned(), deleted, binary, name.clone(), name];
    let all = at_once(&provider, &paths);
    for (path, fetched) in paths.iter().zip(&all) {
        match (path.as_str(), fetched) {
            ("nowhere", Err(ProviderError::NotFound(told))) => assert!(told.contains("`nowhere`"), "{told}"),
            (path, Err(ProviderError::NotFound(told))) if path.contains("deleted") => {
                assert!(told.contains("marked for deletion"), "{told}");
            }
            (path, Ok(fetched)) if path.contains("binary") => assert_eq!(bytes(fetched), [0, 255, 1]),
            (_, Ok(fetched)) => assert_eq!(bytes(fetched), b"it"),
            (path, Err(error)) => panic!("{path}: {error}"),
        }
    }
}

#[test]
fn without_the_right_to_it_each_is_asked_for_alone() {
    let (server, names) = (Secrets::start(), secrets(8));
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = opened(&server, &network, &["secretsmanager:GetSecretValue"], "");
    for round in 0..2 {
        let before = network.requests();
        for (name, fetched) in names.iter().zip(at_once(&provider, &names)) {
            assert_eq!(bytes(&fetched.unwrap()), name.as_bytes());
        }
        let asked = network.requests() - before;
        let most = if round == 0 { 8 + 4 } else { 8 };
        assert!(asked <= most, "round {round}: {asked}; what is not allowed is not tried each time");
    }
    let provider = opened(&server, &network, READ_SECRETS, "batch = false");
    let before = network.requests();
    assert!(at_once(&provider, &names).iter().all(Result::is_ok));
    assert_eq!(network.requests() - before, 8);
}

#[test]
fn one_that_is_missing_spoils_nothing_for_the_others_at_another_server() {
    let (server, aws) = (Moto::start(), Aws::moto());
    let provider: Arc<dyn Provider> = Moto::open(&server.settings(&server.direct())).unwrap().into();
    let mut paths: Vec<_> = (0..8).map(|_| unique("moto-together")).collect();
    for path in &paths {
        aws.put_secret(REGION, path, path.as_bytes());
    }
    paths.insert(3, "nowhere".to_owned());
    for (path, fetched) in paths.iter().zip(at_once(&provider, &paths)) {
        match fetched {
            Ok(fetched) => assert_eq!(bytes(&fetched), path.as_bytes()),
            Err(error) => {
                assert!(path == "nowhere" && matches!(error, ProviderError::NotFound(_)), "{path}: {error}")
            }
        }
    }
}

#[test]
fn a_whole_that_fails_is_the_error_of_each() {
    let (server, names) = (Secrets::start(), secrets(4));
    let network = Network::plain(server.address(), Weather::Fine);
    let provider = opened(&server, &network, READ_SECRETS, "");
    network.turns(Weather::Answers(429, "Retry-After: 7\r\n", String::new()));
    for fetched in at_once(&provider, &names) {
        let error = fetched.err().unwrap();
        assert!(matches!(error, ProviderError::Unavailable { retry_after: Some(_), .. }), "{error}");
    }
}
