//! What templates show.

use super::*;

#[test]
fn the_values_stand_where_they_are_called_for() {
    let values: [(&str, &[u8]); 2] =
        [("p:x", b"{\"user\":\"a\",\"port\":5432,\"rate\":1.50}"), ("p:y", b"hor'se")];
    let text = "url=postgres://{{ secret('p:x#user') }}:{{ secret('p:y') | urlencode }}@db:{{ secret_json(\"p:x\").port }}\nrate={{ secret_json('p:x')['rate'] }} {{ secret('p:x#rate') }}\n";
    assert_eq!(rendered(text, &values), "url=postgres://a:hor%27se@db:5432\nrate=1.50 1.50\n");
}

#[test]
fn a_line_of_statements_leaves_nothing_and_the_last_line_end_stays() {
    let text = "a\n  {% for k, v in secret_json('p:x') | items %}\n{{ k }}={{ v }}\n  {% endfor %}\nz\n";
    assert_eq!(of("{\"b\":1,\"a\":\"x\"}", text), "a\nb=1\na=x\nz\n");
    assert_eq!(of("v", "{{ secret('p:x') }}"), "v");
    assert_eq!(of("v", "{{ secret('p:x') }}\n"), "v\n");
    assert_eq!(of("v\n", "<b>{{ secret('p:x') }}\r\n"), "<b>v\n\r\n");
}

#[test]
fn json_is_printed_as_it_is_written_and_in_its_order() {
    let json =
        "{\"z\":1,\"a\":[true,null,1.50,1e400,12345678901234567890123,\"\\u00e9<&>\"],\"m\":{\"k\":-0}}";
    assert_eq!(of(json, "{{ secret_json('p:x') }}"), json.replace("\\u00e9", "é"));
    assert_eq!(of(json, "{{ secret_json('p:x') | tojson }}"), json.replace("\\u00e9", "é"));
    assert_eq!(of(json, "{{ secret_json('p:x').a[0] }} {{ secret_json('p:x').a[1] }}"), "true null");
    assert_eq!(
        of("{\"a\":[1,{}],\"b\":[]}", "{{ secret_json('p:x') | tojson(indent=2) }}"),
        "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": []\n}"
    );
    assert_eq!(
        of("{\"a\":1,\"a\":2}", "{{ secret_json('p:x').a }}{{ secret('p:x#a') }}{{ secret_json('p:x') }}"),
        "22{\"a\":2}"
    );
}

#[test]
fn a_key_that_is_not_there_is_named_with_its_place() {
    for (text, key) in [
        ("\n{{ secret('p:x#nope') }}", "nope"),
        ("\n{{ secret_json('p:x').nope }}", "nope"),
        ("\n{{ secret_json('p:x')['nope'] }}", "nope"),
        ("\n{{ secret_json('p:x').nope | upper }}", "nope"),
        ("\n{{ secret_json('p:x').nope.more }}", "nope"),
        ("\n{{ 'a' ~ secret_json('p:x').nope }}", "nope"),
        ("{% set x = secret_json('p:x').nope %}\n{{ x }}", "nope"),
        ("\n{% if secret_json('p:x').nope %}{% endif %}", "nope"),
        ("\n{% for x in secret_json('p:x').nope %}{% endfor %}", "nope"),
        ("\n{{ [secret_json('p:x').nope] | join(',') }}", "nope"),
        ("\n{{ secret_json('p:x').other | default('') ~ secret_json('p:x').nope }}", "nope"),
    ] {
        match fails("{\"user\":\"a\"}", text) {
            TemplateError::NoSuchKey { place, what } => {
                assert!(
                    place == "app.conf:2" && what.contains(&format!("`{key}`")) && what.contains("`p:x`"),
                    "{text}: {place} {what}"
                );
            }
            other => panic!("{text}: {other}"),
        }
    }
}

#[test]
fn what_may_be_missing_has_a_default() {
    let text = "{{ secret_json('p:x').a | default('d') }}{% if secret_json('p:x').a is defined %}1{% else %}2{% endif %}";
    assert_eq!(of("{}", text), "d2");
    assert_eq!(of("{\"a\":\"\"}", text), "1");
    assert_eq!(of("{\"a\":\"\"}", "{{ secret_json('p:x').a | default('d', true) }}"), "d");
    assert_eq!(of("v", "{{ 'x' if false }}{{ secret('p:x') if true else secret('p:x') }}"), "v");
}

/// Every error that a value can cause, with a value that must not be in it.
#[test]
fn no_error_carries_a_value() {
    for text in [
        "{{ secret_json('p:x').k }}",
        "{{ secret('p:x#k') }}",
        "{{ secret('p:x') | b64decode }}",
        "{{ secret('p:x') | hexdecode }}",
        "{{ secret('p:x') | pem_certs }}",
        "{{ secret('p:x') | pem_key }}",
        "{{ secret('p:x') | pem('KEY') }}",
        "{{ secret('p:x') | int }}",
        "{{ secret('p:x') | items }}",
        "{{ secret('p:x') | first }}",
        "{{ secret('p:x') | indent(secret('p:x')) }}",
        "{{ secret('p:x') | replace(1, 2) }}",
        "{{ secret('p:x') + 1 }}",
        "{{ secret('p:x') - 1 }}",
        "{{ 1 / secret('p:x') }}",
        "{{ -secret('p:x') }}",
        "{{ 2 * secret('p:x') - 1 }}",
        "{{ secret('p:x')[secret('p:x')] }}",
        "{{ secret('p:x').a.b }}",
        "{{ {secret('p:x'): 1}[secret('p:x') ~ 'a'] }}",
        "{{ {'a': 1}[secret('p:x')] }}",
        "{% set a, b = secret('p:x') %}",
        "{% set a, b = [secret('p:x')] %}",
        "{% for a, b in [secret('p:x')] %}{% endfor %}",
        "{% for a in secret('p:x') %}{% endfor %}x{{ secret('p:x').a }}",
        "{{ range(secret('p:x')) }}",
        "{{ secret('p:x')[secret('p:x'):] }}",
        "{{ 1 in 1 }}{{ secret('p:x') }}",
        "{{ secret('p:x') | tojson(secret('p:x')) }}",
        "{{ secret('p:x') | default(1, secret('p:x')) }}",
    ] {
        let error = fails("hunter2 hunter2", text);
        let said = format!("{error} {error:?}");
        assert!(said.contains("app.conf:1") && !said.contains("hunter2"), "{text}: {said}");
    }
    let error = fails("{\"a\":\"hunter2\"}", "{{ secret_json('p:x')[secret_json('p:x').a] }}");
    assert!(matches!(&error, TemplateError::NoSuchKey { what, .. } if !what.contains("hunter2")), "{error}");
}

#[test]
fn bytes_that_are_no_text_are_only_encoded() {
    let value: (&str, &[u8]) = ("p:x", b"\xff\x00a");
    assert_eq!(
        rendered("{{ secret('p:x') | b64encode }} {{ secret('p:x') | hexencode }}", &[value]),
        "/wBh ff0061"
    );
    assert_eq!(rendered("{{ secret('p:x') | b64encode(urlsafe=true) }}", &[value]), "_wBh");
    assert_eq!(rendered("{{ secret('p:x') | b64encode | b64decode | hexencode }}", &[value]), "ff0061");
    for text in [
        "{{ secret('p:x') }}",
        "{{ 'a' ~ secret('p:x') }}",
        "{% set x = 'a' ~ secret('p:x') %}",
        "{{ secret('p:x') | upper }}",
        "{{ [secret('p:x')] }}",
        "{{ [secret('p:x')] ~ '' }}",
        "{{ secret('p:x') | tojson }}",
        "{{ secret('p:x') | quote_sh }}",
    ] {
        let error = with(text, &[value], Show::Values, 1 << 20).unwrap_err();
        assert!(
            matches!(&error, TemplateError::Other { what, .. } if what.contains("not text")),
            "{text}: {error}"
        );
    }
}

#[test]
fn more_than_a_file_may_have_is_refused_where_it_is_passed() {
    let error = |max| with("abc{{ secret('p:x') }}", &[("p:x", b"defg")], Show::Values, max);
    assert_eq!(error(7).unwrap(), b"abcdefg");
    for max in [0, 1, 3, 6] {
        assert_eq!(error(max), Err(TemplateError::TooLarge { max }));
    }
}
