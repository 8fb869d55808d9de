//! Readers of structure.

use serde_json::{Map, Number, Value};
use yaml_rust2::{Yaml, YamlLoader};

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

pub(crate) fn toml(text: &str) -> Value {
    let table: toml::Table = text.parse().unwrap_or_else(|error| panic!("{error}: {text:?}"));
    serde_json::to_value(table).unwrap()
}

pub(crate) fn yaml(text: &str) -> Value {
    let documents = YamlLoader::load_from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let [document] = documents.as_slice() else { panic!("{} documents: {text:?}", documents.len()) };
    of_yaml(document)
}

fn of_yaml(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::Real(text) => Value::Number(Number::from_f64(text.parse().unwrap()).unwrap()),
        Yaml::Integer(number) => (*number).into(),
        Yaml::String(text) => text.as_str().into(),
        Yaml::Boolean(is) => (*is).into(),
        Yaml::Array(items) => items.iter().map(of_yaml).collect(),
        Yaml::Hash(entries) => {
            let entry = |(name, value): (&Yaml, &Yaml)| {
                (name.as_str().expect("a name is a string").to_owned(), of_yaml(value))
            };
            Value::Object(entries.iter().map(entry).collect::<Map<_, _>>())
        }
        Yaml::Null => Value::Null,
        other => panic!("{other:?}"),
    }
}
