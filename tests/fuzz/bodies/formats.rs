//! What is written is read back, by decoders that share nothing with the encoders.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hushfs::format::{Decode, FORMATS, Form, Format, FormatError, Newline, Quote, keys, marked};
use hushfs::secret::SecretBytes;
use serde_json::{Map, Number, Value, json};

use super::decoders::{self, Pairs};

pub(crate) fn formats(data: &[u8]) {
    any_secret(data);
    decoded(data);
    let mut rest = data;
    let (first, second) = (text(&mut rest), text(&mut rest));
    named(&first, &second);
    quoted(&first);
    let mut rest = data;
    structured(&object(&mut rest, 4));
}

/// Whatever a store holds, nothing panics, and marks keep its names.
fn any_secret(data: &[u8]) {
    let secret = SecretBytes::copy_from(data);
    for (_, format) in FORMATS {
        let form = Form { format: *format, ..Form::RAW };
        for key in [None, Some("a"), Some("/a/0")] {
            assert_eq!(form.write(&secret, key).err(), form.write_marked(&secret, key).err());
        }
    }
    assert_eq!(keys(&marked(&secret)), keys(&secret));
}

/// Bytes of every kind in base64 and in hex.
fn decoded(data: &[u8]) {
    let hex: String = data.iter().map(|byte| format!("{byte:02x} ")).collect();
    let of = [
        (Decode::Base64, STANDARD.encode(data)),
        (Decode::Base64, URL_SAFE_NO_PAD.encode(data)),
        (Decode::Hex, hex),
    ];
    for (decode, text) in of {
        let form = Form { format: Format::Raw, decode: Some(decode), newline: Newline::Keep };
        let written = form.write(&SecretBytes::copy_from(text.as_bytes()), None).unwrap();
        assert_eq!(bytes(&written), data, "{decode}");
        let _ = form.write(&SecretBytes::copy_from(data), None);
    }
}

/// Two values, one after the other: neither runs over.
fn named(first: &str, second: &str) {
    let wanted: Pairs = vec![("A".into(), first.into()), ("B_2".into(), second.into())];
    let secret = json!({"A": first, "B_2": second});
    let decoders: [(Format, ReadsPairs); 6] = [
        (Format::Dotenv, decoders::shell),
        (Format::SystemdEnv, decoders::systemd),
        (Format::DockerEnv, decoders::docker),
        (Format::NodeEnv, decoders::node),
        (Format::PythonEnv, decoders::python),
        (Format::Properties, decoders::properties),
    ];
    for (format, decoder) in decoders {
        if let Some(text) = written(format, &secret) {
            assert_eq!(decoder(&text), Some(wanted.clone()), "{format:?}: {text:?}");
        }
    }
    let wanted = vec![("a".into(), first.into()), ("b2".into(), second.into())];
    let secret = json!({"a": first, "b2": second});
    let decoders: [(Format, ReadsPairs); 2] =
        [(Format::Ini, decoders::ini), (Format::GitConfig, decoders::git)];
    for (format, decoder) in decoders {
        if let Some(text) = written(format, &secret) {
            assert_eq!(decoder(&text), Some(wanted.clone()), "{format:?}: {text:?}");
        }
    }
    // Names of every kind, where they can be.
    let secret = Value::Object(Map::from_iter([(first.to_owned(), Value::from(second))]));
    let text = written(Format::Properties, &secret).unwrap();
    assert_eq!(decoders::properties(&text), Some(vec![(first.into(), second.into())]), "{text:?}");
}

fn quoted(text: &str) {
    let prefixed = |prefix: &str, quote: Quote| Some(format!("{prefix}{}\n", &*quote.quote(text).ok()?));
    let wanted: Pairs = vec![("A".into(), text.into())];
    for quote in [Quote::Sh, Quote::Dotenv] {
        if let Some(line) = prefixed("A=", quote) {
            assert_eq!(decoders::shell(&line), Some(wanted.clone()), "{quote:?}: {line:?}");
        }
    }
    if let Some(line) = prefixed("[default]\nA = ", Quote::Ini) {
        assert_eq!(decoders::ini(&line), Some(wanted.clone()), "{line:?}");
    }
    let line = prefixed("A=", Quote::Properties).unwrap();
    assert_eq!(decoders::properties(&line), Some(wanted), "{line:?}");
    let line = prefixed("a: ", Quote::Yaml).unwrap();
    same(&decoders::yaml(&line), &json!({"a": text}), &line);
    let line = prefixed("a = ", Quote::Toml).unwrap();
    same(&decoders::toml(&line), &json!({"a": text}), &line);
}

type Reads = fn(&str) -> Value;
type ReadsPairs = fn(&str) -> Option<Pairs>;

fn structured(secret: &Value) {
    let decoders: [(Format, Reads); 3] =
        [(Format::Json, decoders::json), (Format::Yaml, decoders::yaml), (Format::Toml, decoders::toml)];
    for (format, decoder) in decoders {
        if let Some(text) = written(format, secret) {
            same(&decoder(&text), secret, &text);
        }
    }
}

/// That both are the same, names in the same order where there is one, and numbers by their values.
fn same(read: &Value, wanted: &Value, text: &str) {
    match (read, wanted) {
        (Value::Object(read), Value::Object(wanted)) => {
            assert!(read.keys().eq(wanted.keys()), "{text:?}");
            read.values().zip(wanted.values()).for_each(|(read, wanted)| same(read, wanted, text));
        }
        (Value::Array(read), Value::Array(wanted)) => {
            assert_eq!(read.len(), wanted.len(), "{text:?}");
            read.iter().zip(wanted).for_each(|(read, wanted)| same(read, wanted, text));
        }
        (Value::Number(read), Value::Number(wanted)) => {
            // serde_json reads some numbers to the last bit but one.
            let (read, wanted) = (read.as_f64().unwrap(), wanted.as_f64().unwrap());
            assert!((read - wanted).abs() <= wanted.abs() * 2.0 * f64::EPSILON, "{read} {wanted} {text:?}");
        }
        _ => assert_eq!(read, wanted, "{text:?}"),
    }
}

fn written(format: Format, secret: &Value) -> Option<String> {
    let secret = SecretBytes::copy_from(secret.to_string().as_bytes());
    match (Form { format, ..Form::RAW }).write(&secret, None) {
        Ok(written) => Some(String::from_utf8(bytes(&written).to_vec()).unwrap()),
        Err(FormatError::Unwritable { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "made-up values")]
fn bytes(secret: &SecretBytes) -> &[u8] {
    secret.expose_secret()
}

/// The next text of as many bytes as the first one says.
fn text(data: &mut &[u8]) -> String {
    let Some((len, rest)) = data.split_first() else { return String::new() };
    let (text, rest) = rest.split_at(rest.len().min(usize::from(*len)));
    *data = rest;
    String::from_utf8_lossy(text).into_owned()
}

fn object(data: &mut &[u8], depth: u32) -> Value {
    let count = next(data) % 5;
    Value::Object((0..count).map(|_| (text(data), value(data, depth))).collect())
}

fn value(data: &mut &[u8], depth: u32) -> Value {
    match next(data) % 8 {
        0 if depth > 0 => object(data, depth - 1),
        1 if depth > 0 => (0..next(data) % 4).map(|_| value(data, depth - 1)).collect(),
        2 => i64::from_le_bytes(eight(data)).into(),
        3 => Number::from_f64(f64::from_le_bytes(eight(data))).map_or(Value::Null, Value::Number),
        4 => Value::Bool(next(data).is_multiple_of(2)),
        5 => Value::Null,
        _ => text(data).into(),
    }
}

fn next(data: &mut &[u8]) -> u8 {
    let Some((first, rest)) = data.split_first() else { return 0 };
    *data = rest;
    *first
}

fn eight(data: &mut &[u8]) -> [u8; 8] {
    std::array::from_fn(|_| next(data))
}
