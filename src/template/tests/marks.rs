//! What an operator is shown in the place of values.

use super::*;

const MARK: &str = "‹secret:12 bytes›";

fn shown(value: &str, text: &str) -> String {
    let bytes = with(text, &[("p:x", value.as_bytes())], Show::Marks, 1 << 20);
    String::from_utf8(bytes.unwrap_or_else(|error| panic!("{text}: {error}"))).unwrap()
}

#[test]
fn a_mark_stays_readable_through_every_filter_that_would_fail_or_garble_it() {
    for filter in [
        "trim",
        "upper",
        "lower",
        "b64decode",
        "b64encode",
        "hexencode",
        "hexdecode",
        "urlencode",
        "pem_certs",
        "pem_key",
        "pem('CERTIFICATE')",
        "unescape_newlines",
        "int",
        "string",
        "indent(4)",
        "replace('.', '-')",
        "default('a')",
        "split(',') | first",
        "lines | last",
        "b64decode | pem_key | indent(2)",
    ] {
        assert_eq!(shown(MARK, &format!("{{{{ secret('p:x') | {filter} }}}}")), MARK, "{filter}");
    }
    assert_eq!(
        shown(MARK, "{{ (secret('p:x') | split(','))[3] }}{{ (secret('p:x') | lines)[-1] }}"),
        MARK.repeat(2)
    );
    assert_eq!(shown(MARK, "{{ ('u:' ~ secret('p:x')) | b64encode }}"), format!("u:{MARK}"));
    assert_eq!(
        shown(MARK, "{{ secret('p:x') | quote_sh }} {{ secret('p:x') | tojson }}"),
        format!("'{MARK}' \"{MARK}\"")
    );
}

#[test]
fn what_is_no_mark_is_worked_on_as_ever() {
    assert_eq!(shown(MARK, "{{ 'hi' | b64encode }} {{ secret('p:x') }}"), format!("aGk= {MARK}"));
    let json = format!("{{\"user\":\"{MARK}\",\"on\":\"{MARK}\"}}");
    let text = "{% for k, v in secret_json('p:x') | items %}{{ k | upper }}={{ v | b64decode }} {% endfor %}{{ secret('p:x#user') }}";
    assert_eq!(shown(&json, text), format!("USER={MARK} ON={MARK} {MARK}"));
    assert!(with("{{ secret_json('p:x').nope }}", &[("p:x", json.as_bytes())], Show::Marks, 99).is_err());
}

#[test]
fn a_value_that_looks_like_a_mark_is_a_value() {
    assert_eq!(of(MARK, "{{ secret('p:x') | b64encode | b64decode }}"), MARK);
    assert_eq!(of("‹", "{{ secret('p:x') | hexencode }}"), "e280b9");
}
