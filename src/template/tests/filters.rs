//! What each filter makes.

use super::*;
use crate::template::filters::{all, find};

#[test]
fn every_filter_makes_what_it_is_for() {
    for (value, expression, made) in [
        (" a\n", "x | trim", "a"),
        ("aß", "x | upper", "ASS"),
        ("AÉ", "x | lower", "aé"),
        ("a.b.c", "x | replace('.', '-')", "a-b-c"),
        ("a\n\nb\n", "x | indent(2)", "a\n\n  b\n"),
        ("a\nb", "x | indent(width=2, first=true)", "  a\n  b"),
        ("a,b", "(x | split(','))[1]", "b"),
        ("a\r\nb\n", "x | lines", "[\"a\",\"b\"]"),
        ("a\\nb\\r\\nc", "x | unescape_newlines", "a\nb\nc"),
        ("7", "(x | int) + 1", "8"),
        ("v", "true | string ~ none | string ~ x", "truenullv"),
        ("a\"é<", "x | tojson", "\"a\\\"é<\""),
        ("v", "[x, 1, true, none, 1.5] | tojson", "[\"v\",1,true,null,1.5]"),
        ("v", "{'b': x, 'a': [1]} | tojson(2)", "{\n  \"b\": \"v\",\n  \"a\": [\n    1\n  ]\n}"),
        ("v", "none | default(x)", "null"),
        ("v", "'' | default(x, boolean=true)", "v"),
        ("aé", "x | length", "2"),
        ("v", "[1, x] | length", "2"),
        ("v", "[1, x, true] | join(', ')", "1, v, true"),
        ("v", "[1, x] | join", "1v"),
        ("v", "[1, x] | first", "1"),
        ("v", "[1, x] | last", "v"),
        ("v", "{'b': 1, 'a': x} | items", "[[\"b\",1],[\"a\",\"v\"]]"),
        ("v", "{'b': 1, 'a': x} | keys", "[\"b\",\"a\"]"),
        ("v", "{'b': 1, 'a': x} | values", "[1,\"v\"]"),
        ("v", "['z', x, 'a'] | sort", "[\"a\",\"v\",\"z\"]"),
        ("v", "[10, 9, 1] | sort(reverse=true)", "[10,9,1]"),
        ("hi", "x | b64encode", "aGk="),
        ("hi?", "x | b64encode(urlsafe=true)", "aGk_"),
        ("aGk=", "x | b64decode", "hi"),
        ("aGk", "x | b64decode", "hi"),
        ("aG\nk_\n", "x | b64decode", "hi?"),
        ("hi", "x | hexencode", "6869"),
        ("6869\n", "x | hexdecode", "hi"),
        ("a b/é-._~", "x | urlencode", "a%20b%2F%C3%A9-._~"),
        ("it's", "x | quote_sh", "'it'\\''s'"),
        ("a b", "x | quote_env", "'a b'"),
        ("v", "x is startingwith('v') and x is endingwith('v') and x is string", "true"),
        (
            "v",
            "1 is number and true is boolean and none is none and [] is sequence and {} is mapping",
            "true",
        ),
        ("v", "x is undefined or 'v' not in x", "false"),
        ("v", "'a' if x == 'v' else 'b'", "a"),
        ("abcdef", "x[1:3] ~ x[-1:]", "bcf"),
    ] {
        let text = format!("{{% set x = secret('p:x') %}}{{{{ {expression} }}}}");
        assert_eq!(of(value, &text), made, "{expression}");
    }
}

#[test]
fn a_filter_that_cannot_says_what_it_looked_for_and_where() {
    for (value, filter, what) in [
        ("%%", "b64decode", "not base64"),
        ("aGk=x", "b64decode", "not base64"),
        ("abc", "hexdecode", "not hexadecimal"),
        ("zz", "hexdecode", "not hexadecimal"),
        ("x", "pem_certs", "no block `BEGIN CERTIFICATE`"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n", "pem_certs", "no block `BEGIN CERTIFICATE`"),
        ("-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n", "pem_key", "PRIVATE KEY"),
        ("%", "pem('CERTIFICATE')", "neither DER nor base64"),
        ("AA==", "pem('x\\n')", "capital letters"),
        ("x", "int", "not a whole number"),
        ("x", "items", "no object"),
        ("x", "join", "no list"),
        ("x", "replace('', 'a')", "`old` is empty"),
        ("x", "split('')", "`separator` is empty"),
        ("x", "indent('a')", "`width` must be"),
        ("x", "indent(65)", "`width` must be"),
        ("x", "tojson(17)", "`indent` must be"),
        ("x", "replace(1, 'a')", "`old` must be a text"),
        ("x", "default('a', boolean=1)", "true or false"),
        ("[]", "length() | first", "no list"),
    ] {
        let error = fails(value, &format!("\n\n{{{{ secret('p:x') | {filter} }}}}"));
        match error {
            TemplateError::Other { place, what: said } => {
                assert!(place == "app.conf:3" && said.contains(what), "{filter}: {said}");
            }
            other => panic!("{filter}: {other}"),
        }
    }
}

const CERT: &str = "-----BEGIN CERTIFICATE-----\nAAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4v\nMDEyMw==\n-----END CERTIFICATE-----\n";
const KEY: &str = "-----BEGIN EC PRIVATE KEY-----\nAAEC\n-----END EC PRIVATE KEY-----\n";

#[test]
fn certificates_and_keys_are_taken_out_of_what_is_around_them() {
    let bundle = format!("subject=x\r\n{}noise\n{KEY}{CERT}", CERT.replace('\n', "\r\n"));
    assert_eq!(of(&bundle, "{{ secret('p:x') | pem_certs }}"), CERT.repeat(2));
    assert_eq!(of(&bundle, "{{ secret('p:x') | pem_key }}"), KEY);
    let one_line = CERT.replace('\n', "\\n");
    assert_eq!(of(&one_line, "{{ secret('p:x') | unescape_newlines | pem_certs }}"), CERT);
    let joined: String = CERT.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(of(&joined, "{{ secret('p:x') | pem('CERTIFICATE') }}"), CERT);
    let der = b"\x30\x03\x02\x01\x05";
    assert_eq!(
        rendered("{{ secret('p:x') | pem('KEY') }}", &[("p:x", der)]),
        "-----BEGIN KEY-----\nMAMCAQU=\n-----END KEY-----\n"
    );
    assert_eq!(
        rendered("{{ secret('p:x') | pem('EC PRIVATE KEY') | pem_key }}", &[("p:x", b"\xff\xfe")])
            .lines()
            .count(),
        3
    );
    let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAEC\n-----END RSA PRIVATE KEY-----\n";
    assert_eq!(of(encrypted, "{{ secret('p:x') | pem_key }}"), encrypted);
}

#[test]
fn a_shell_reads_back_what_is_quoted_for_it() {
    for value in ["", "a b", "it's", "$HOME `id` \"q\" \\", "two\nlines", "-n", "é"] {
        let line = of(value, "printf %s {{ secret('p:x') | quote_sh }}");
        let read = std::process::Command::new("sh").args(["-c", &line]).output().unwrap().stdout;
        assert_eq!(read, value.as_bytes());
    }
}

#[test]
fn toml_reads_back_what_is_quoted_for_it() {
    for value in ["", "a b", "it's \"q\" \\", "two\nlines\r\t", "\u{1}\u{7f}é#"] {
        let read: toml::Table = of(value, "a = {{ secret('p:x') | quote_toml }}").parse().unwrap();
        assert_eq!(read["a"].as_str(), Some(value));
    }
}

#[test]
fn every_name_in_the_tables_is_there_once() {
    let mut names: Vec<_> = all().map(|filter| filter.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!((names.len(), find("tojson").is_some(), find("safe").is_none()), (count, true, true));
}
