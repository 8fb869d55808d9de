//! Forms as a whole.

use super::*;

/// What a secret is written as.
#[expect(clippy::disallowed_methods, reason = "made-up values")]
fn written(format: Format, secret: &str, key: Option<&str>) -> Result<String, FormatError> {
    let secret = SecretBytes::copy_from(secret.as_bytes());
    let written = Form { format, ..Form::RAW }.write(&secret, key)?;
    Ok(String::from_utf8(written.expose_secret().to_vec()).unwrap())
}

const NESTED: &str = r#"{"b":"1\n\"","a":"\u00e9 $x","port":5432,"rate":1.50,"big":12345678901234567890123,"on":true,
    "tls":{"key":"k","alpn":["h2",1,{"x":null}],"none":{}},"list":[]}"#;

#[test]
fn json_keeps_structure_types_and_order() {
    let wanted = r#"{
  "b": "1\n\"",
  "a": "é $x",
  "port": 5432,
  "rate": 1.50,
  "big": 12345678901234567890123,
  "on": true,
  "tls": {
    "key": "k",
    "alpn": [
      "h2",
      1,
      {
        "x": null
      }
    ],
    "none": {}
  },
  "list": []
}
"#;
    assert_eq!(written(Format::Json, NESTED, None).unwrap(), wanted);
}

#[test]
fn yaml_keeps_structure_types_and_order() {
    let wanted = r#"b: "1\n\""
a: "é $x"
port: 5432
rate: 1.50
big: 12345678901234567890123
"on": true
tls:
  key: "k"
  alpn:
    - "h2"
    - 1
    -
      x: null
  none: {}
list: []
"#;
    assert_eq!(written(Format::Yaml, NESTED, None).unwrap(), wanted);
}

#[test]
fn toml_keeps_structure_types_and_order() {
    let secret =
        r#"{"z":"1\n\"","tls":{"key":"k","alpn":["h2",1]},"port":5432,"rate":1.50,"on":true,"list":[]}"#;
    let text = written(Format::Toml, secret, None).unwrap();
    let places = ["z = ", "port = ", "rate = ", "on = ", "list = ", "[tls]", "key = ", "alpn = "]
        .map(|part| text.find(part).unwrap());
    assert!(places.is_sorted(), "{text}");
    let read: ::toml::Table = text.parse().unwrap();
    assert_eq!(
        serde_json::to_value(read).unwrap(),
        serde_json::from_str::<serde_json::Value>(secret).unwrap()
    );
    for (secret, why) in [
        (r#"{"a":[null]}"#, "null"),
        (r#"{"a":9223372036854775808}"#, "64 bits"),
        (r#"{"a":1e999}"#, "64 bits"),
    ] {
        let error = written(Format::Toml, secret, None).unwrap_err().to_string();
        assert!(
            error.starts_with("the value of `a` cannot be written as `toml`") && error.contains(why),
            "{error}"
        );
    }
}

#[test]
fn a_key_is_the_value_or_what_stands_there() {
    let secret = r#"{"db":{"user":"u","port":1},"token":"t\n"}"#;
    for (format, key, wanted) in [
        (Format::Raw, "token", "t\n"),
        (Format::Raw, "db", r#"{"user":"u","port":1}"#),
        (Format::Raw, "/db/port", "1"),
        (Format::Json, "/db/port", "{\n  \"port\": 1\n}\n"),
        (Format::Yaml, "/db/port", "port: 1\n"),
        (Format::Toml, "/db/port", "port = 1\n"),
        (Format::Dotenv, "token", "token='t\n'\n"),
        (Format::Dotenv, "/db", "user='u'\nport='1'\n"),
        (Format::Yaml, "db", "user: \"u\"\nport: 1\n"),
        (Format::Ini, "db", "[default]\nuser = u\nport = 1\n"),
    ] {
        assert_eq!(written(format, secret, Some(key)).as_deref(), Ok(wanted), "{format:?} {key}");
    }
}

#[test]
fn a_name_that_is_no_variable_is_refused() {
    for format in [Format::Dotenv, Format::DockerEnv, Format::SystemdEnv, Format::NodeEnv, Format::PythonEnv]
    {
        for name in ["a-b", "", "1a", "a b", "é", "a=b", "a\nb"] {
            let secret = serde_json::json!({ name: "1" }).to_string();
            assert_eq!(written(format, &secret, None), Err(FormatError::BadName(name.into())));
        }
    }
}

#[test]
fn named_values_are_wanted_where_a_format_is_of_them() {
    for (_, format) in FORMATS.iter().filter(|(_, format)| *format != Format::Raw) {
        for secret in ["plain", "\"text\"", "5", ""] {
            assert_eq!(written(*format, secret, None), Err(FormatError::NotNamed), "{format:?} {secret}");
        }
    }
}

#[test]
fn what_is_deep_is_refused_and_its_keys_are_not() {
    let deep = |depth: usize| format!("{{\"a\":\"x\",\"b\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    for format in [Format::Json, Format::Yaml, Format::Toml] {
        assert!(written(format, &deep(40), None).is_ok());
        assert!(matches!(written(format, &deep(100_000), None), Err(FormatError::TooDeep(_))));
    }
    assert_eq!(written(Format::Raw, &deep(100_000), Some("a")).as_deref(), Ok("x"));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "made-up values")]
fn a_value_is_decoded_and_its_line_end_goes() {
    let secret = SecretBytes::copy_from(br#"{"key":"aGk\nK\n"}"#);
    let form = Form { decode: Some(Decode::Base64), newline: Newline::Strip, ..Form::RAW };
    assert_eq!(form.check(), Ok(()));
    assert_eq!(form.write(&secret, Some("key")).unwrap().expose_secret(), b"hi");
    assert_eq!(form.write(&secret, None).err(), Some(FormatError::Undecodable(Decode::Base64)));
    assert_eq!(Form { format: Format::Json, ..form }.check(), Err(FormError::DecodesNamed("json")));
}

#[test]
fn errors_carry_nothing_of_a_value() {
    let canary = "CANARY\u{0}\r\n\u{1}'\"`# ";
    let secret = serde_json::json!({ "a": canary, "b": { "c": [null, canary] } }).to_string();
    for (name, format) in FORMATS {
        for key in [None, Some("a"), Some("/b/c/1")] {
            if let Err(error) = written(*format, &secret, key) {
                assert!(!format!("{error} {error:?}").contains("CANARY"), "{name} {error}");
            }
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "made-up values")]
fn marks_tell_the_length_and_keep_the_structure() {
    let text = |secret: SecretBytes| String::from_utf8(secret.expose_secret().to_vec()).unwrap();
    let secret = SecretBytes::copy_from(r#"{"b":"é\n","a":{"x":[12,true,null,""]}}"#.as_bytes());
    let wanted = r#"{"b":"‹secret:3 bytes›","a":{"x":["‹secret:2 bytes›","‹secret:4 bytes›","‹secret:4 bytes›","‹secret:0 bytes›"]}}"#;
    assert_eq!(text(marked(&secret)), wanted);
    assert_eq!(text(marked(&SecretBytes::copy_from(b"plain"))), mark(5));
    let form = Form { format: Format::Yaml, ..Form::RAW };
    assert_eq!(text(form.write_marked(&secret, Some("b")).unwrap()), "b: \"‹secret:3 bytes›\"\n");
    let encoded = SecretBytes::copy_from(b"AAAA");
    let form = Form { decode: Some(Decode::Base64), ..Form::RAW };
    assert_eq!(text(form.write_marked(&encoded, None).unwrap()), mark(3));
    assert!(form.write_marked(&secret, None).is_err());
}
