//! YAML and TOML, with structure and types, read by Python and by Node.

use hushfs::format::Format;
use serde_json::{Value, json};

use crate::node::node;
use crate::python::python;
use crate::values;
use crate::written::{Values, write, written};

/// Values of all kinds, in each other, under names of all kinds.
fn nested() -> Value {
    let values: Value = values::all().into_iter().filter(|value| value.len() < 1000).collect();
    let named = values::all().into_iter().map(|name| (name, Value::from("x")));
    json!({
        "numbers": [0, -1, 5432, 1.5, -0.25, 1e3, 1e300, 2.5e-7, 1.0, 9_007_199_254_740_991_i64],
        "more": {"on": true, "off": false, "empty": {}, "none": [], "text": "", "lists": [[1, [2, []]], [], [{}], [{"a": 1, "b": [2]}]]},
        "y": 1,
        "list of tables": [{"a": 1}, {"b": {"c": [true, "x"]}}],
        "values": values,
        "names": Value::Object(named.collect()),
    })
}

fn file(format: Format, secret: &Value) -> Values {
    let values = write(format, &["x".to_owned()], |_| false);
    std::fs::write(&values.file, written(format, secret).unwrap()).unwrap();
    values
}

#[track_caller]
fn same(printed: &[u8], wanted: &Value) {
    let read: Value = serde_json::from_slice(printed).unwrap();
    differ("", &read, wanted);
}

/// Numbers are the same where their values are: JSON does not tell `1000.0` from `1e3`.
#[track_caller]
fn differ(at: &str, read: &Value, wanted: &Value) {
    match (read, wanted) {
        (Value::Object(read), Value::Object(wanted)) => {
            assert!(read.keys().eq(wanted.keys()), "names at {at}");
            wanted.iter().for_each(|(name, wanted)| differ(&format!("{at}/{name}"), &read[name], wanted));
        }
        (Value::Array(read), Value::Array(wanted)) => {
            assert_eq!(read.len(), wanted.len(), "{at}");
            read.iter().zip(wanted).for_each(|(read, wanted)| differ(at, read, wanted));
        }
        (Value::Number(read), Value::Number(wanted)) => assert_eq!(read.as_f64(), wanted.as_f64(), "{at}"),
        _ => assert_eq!(read, wanted, "{at}"),
    }
}

fn with_null() -> Value {
    let mut secret = nested();
    secret["null"] = json!([null, {"a": null}]);
    secret["nul"] = "a\0b".into();
    secret
}

#[test]
fn pyyaml_reads_yaml_with_structure_and_types() {
    let values = file(Format::Yaml, &with_null());
    let script = "import yaml; print(json.dumps(yaml.safe_load(open('values', encoding='utf-8'))))";
    same(&python(&values, script), &with_null());
    same(
        &python(&values, &script.replace("open('values', encoding='utf-8')", "open('values', 'rb')")),
        &with_null(),
    );
}

#[test]
fn the_packages_yaml_and_js_yaml_read_yaml_with_structure_and_types() {
    let values = file(Format::Yaml, &with_null());
    for parse in [
        "from('yaml').parse(text)",
        "from('yaml').parse(text, { version: '1.1' })",
        "from('js-yaml').load(text)",
    ] {
        let script = format!(
            "const text = fs.readFileSync('values', 'utf8'); process.stdout.write(JSON.stringify({parse}))"
        );
        same(&node(&values, &script), &with_null());
    }
}

#[test]
fn tomllib_and_the_crate_toml_read_toml_with_structure_and_types() {
    let values = file(Format::Toml, &nested());
    let script = "import tomllib; print(json.dumps(tomllib.load(open('values', 'rb'))))";
    same(&python(&values, script), &nested());
    let text = std::fs::read_to_string(&values.file).unwrap();
    let read: toml::Table = text.parse().unwrap();
    differ("", &serde_json::to_value(read).unwrap(), &nested());
}

#[test]
fn every_reader_of_json_reads_json() {
    let values = file(Format::Json, &with_null());
    same(&python(&values, "print(json.dumps(json.load(open('values', encoding='utf-8'))))"), &with_null());
    same(
        &node(&values, "process.stdout.write(JSON.stringify(JSON.parse(fs.readFileSync('values', 'utf8'))))"),
        &with_null(),
    );
}
