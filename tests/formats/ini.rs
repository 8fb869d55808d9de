//! Python's configparser reads `ini`, git reads `git-config`.

use std::collections::BTreeMap;

use hushfs::format::Format;
use serde_json::json;

use crate::python::python;
use crate::values;
use crate::written::{Values, printed, program, write, written};

/// What has no place on a line without quotes and escapes.
fn cannot(value: &str) -> bool {
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    value.contains(|c: char| c.is_control() && c != '\t') || value.trim_matches(is_space) != value
}

const PARSE: &str = "import configparser
c = configparser.PARSER
assert c.read('values', encoding='utf-8') == ['values']
print(json.dumps(dict(c['default'])))";

#[test]
fn configparser_reads_every_value_that_it_can_hold() {
    let values = write(Format::Ini, &values::all(), cannot);
    for parser in ["RawConfigParser()", "ConfigParser(interpolation=None)"] {
        values.read_as_json(&python(&values, &PARSE.replace("PARSER", parser)));
    }
}

#[test]
fn configparser_with_interpolation_reads_every_value_without_a_percent_sign() {
    let fit: Vec<_> = values::all().into_iter().filter(|value| !value.contains('%')).collect();
    let values = write(Format::Ini, &fit, cannot);
    values.read_as_json(&python(&values, &PARSE.replace("PARSER", "ConfigParser()")));
}

fn git(values: &Values) -> BTreeMap<String, String> {
    let args = ["config", "--file", "values", "--null", "--list"];
    let printed = String::from_utf8(printed(&program("git", "git"), &args, values.dir.path())).unwrap();
    let pairs = printed.split('\0').filter_map(|pair| pair.split_once('\n'));
    pairs
        .map(|(name, value)| (name.strip_prefix("default.").unwrap_or(name).to_owned(), value.to_owned()))
        .collect()
}

#[test]
fn git_reads_every_value_but_those_with_a_carriage_return_or_a_nul() {
    let values = write(Format::GitConfig, &values::all(), |value| value.contains(['\r', '\0']));
    values.read_as(&git(&values));
}

#[test]
fn objects_are_sections() {
    let secret = json!({"token": "t", "production": {"user": "u", "port": 1}, "test": {"user": "v"}});
    let mut values = write(Format::Ini, &["x".to_owned()], |_| false);
    let text = written(Format::Ini, &secret).unwrap();
    assert_eq!(text, b"[default]\ntoken = t\n[production]\nport = 1\nuser = u\n[test]\nuser = v\n");
    std::fs::write(&values.file, text).unwrap();
    let script = "import configparser; c = configparser.ConfigParser(); c.read('values')
print(json.dumps({f'{s}.{k}': v for s in c.sections() for k, v in c[s].items()}))";
    let wanted =
        [("default.token", "t"), ("production.user", "u"), ("production.port", "1"), ("test.user", "v")];
    values.wanted = wanted.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    values.read_as_json(&python(&values, script));
    std::fs::write(&values.file, written(Format::GitConfig, &secret).unwrap()).unwrap();
    values.wanted.insert("token".into(), values.wanted["default.token"].clone());
    values.wanted.remove("default.token");
    values.read_as(&git(&values));
}

#[test]
fn names_that_would_be_read_as_others_are_refused() {
    for secret in [
        json!({"a b": "x"}),
        json!({"a=b": "x"}),
        json!({"": "x"}),
        json!({"é": "x"}),
        json!({"#a": "x"}),
        json!({"a": "x", "A": "y"}),
        json!({"a": "x", "default": {"b": "y"}}),
        json!({"a]": {"b": "y"}}),
        json!({"": {"b": "y"}}),
        json!({"a\n": {"b": "y"}}),
    ] {
        for format in [Format::Ini, Format::GitConfig] {
            let error = written(format, &secret).unwrap_err();
            assert!(error.to_string().contains(" cannot be written as "), "{secret}: {error}");
        }
    }
}
