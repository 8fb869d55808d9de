//! Texts by chance.

use proptest::prelude::*;

use super::*;

/// Parts of which templates are made, right and wrong.
const PARTS: &[&str] = &[
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    " ",
    "\n",
    "secret('p:x')",
    "secret_json('p:x')",
    "secret(",
    ")",
    "('p:y#k')",
    "x",
    "k",
    "v",
    "set x = ",
    "for k in ",
    "for k, v in ",
    "endfor",
    "if ",
    "elif ",
    "else",
    "endif",
    "with x = ",
    "endwith",
    "|",
    "items",
    "keys",
    "values",
    "tojson",
    "join(',')",
    "replace('a', x)",
    "split('a')",
    "lines",
    "sort",
    "first",
    "length",
    "b64encode",
    "b64decode",
    "pem_key",
    "indent(2)",
    "default(1)",
    "upper",
    "urlencode",
    "[",
    "]",
    "(",
    ",",
    ":",
    "{",
    "}",
    ".",
    ".a",
    "['a']",
    "[0]",
    "[::-1]",
    "+",
    "-",
    "~",
    "*",
    "2 * ",
    "**",
    "/",
    "//",
    "%",
    "==",
    "<",
    "in",
    "not ",
    "and",
    "or",
    "is ",
    "defined",
    "none",
    "true",
    "1",
    "0",
    "9999999999999999999999",
    "1.5",
    "'a'",
    "\"",
    "range(9)",
    "loop.index",
    "loop",
    "raw",
    "endraw",
    "-%}",
    "{%-",
    "include 'a'",
    "é",
];

/// Statements and prints that are right, in a row.
const RIGHT: &[&str] = &[
    "{{ x }}",
    "{{ t }}",
    "{{ t.a }}",
    "{{ t | tojson(2) }}",
    "{{ (x ~ x) | b64encode | quote_sh }}",
    "{% set x = x ~ t.b %}",
    "{% for k, v in t | items %}{{ k }}={{ v }}\n{% endfor %}",
    "{% for i in range(50) %}{{ x | indent(4) }}{{ i * 2 }}{% endfor %}",
    "{% if x is startingwith('a') %}{{ loop }}{% endif %}",
    "{{ t.c | default('none') | upper }}",
    "text\n",
    "{{ [x, t, 1] | join(x) }}",
    "{{ x | split('a') | sort | last }}",
    "{{ t | keys | first }}",
    "{{ x[::-1] | replace('a', 'bb') | urlencode }}",
    "{{ x | pem('A') | pem_key }}",
    "{{ x == t.a }}{{ x in t }}{{ t.b + 1 }}{{ 7 // 2 }}{{ 3 / 2 }}",
];

proptest! {
    #[test]
    fn no_text_makes_the_compiler_panic(text in ".{0,200}") {
        let _ = Template::compile("t", &text);
    }

    #[test]
    fn no_text_of_parts_makes_the_compiler_panic_or_renders_more_than_it_may(
        parts in prop::collection::vec(prop::sample::select(PARTS), 0..30),
        value in ".{0,40}",
        max in 0_u64..200,
    ) {
        check(&format!("{{{{ secret('p:x') }}}}{{% set x = 1 %}}{}", parts.concat()), &value, max)?;
    }

    #[test]
    fn the_same_values_give_the_same_bytes_and_no_more_than_there_may_be(
        parts in prop::collection::vec(prop::sample::select(RIGHT), 0..12),
        a in ".{0,40}",
        b in any::<i64>(),
        max in prop_oneof![0_u64..2000, Just(1 << 20)],
    ) {
        let value = serde_json::json!({ "a": a, "b": b, "l": [a, b, null, true] }).to_string();
        let text = format!("{{% set x = secret('p:x') %}}{{% set t = secret_json('p:x') %}}{}", parts.concat());
        check(&text, &value, max)?;
    }
}

/// Renders it twice with values and once with marks, where it compiles.
fn check(text: &str, value: &str, max: u64) -> Result<(), TestCaseError> {
    let Ok(template) = Template::compile("t", text) else { return Ok(()) };
    let value = SecretBytes::copy_from(value.as_bytes());
    let values: Vec<_> = template.secrets().iter().map(|_| &value).collect();
    let render = |show| {
        let rendered = template.render(&values, show, max);
        #[expect(clippy::disallowed_methods, reason = "made-up values")]
        rendered.map(|bytes| bytes.expose_secret().to_vec())
    };
    let first = render(Show::Values);
    if let Ok(bytes) = &first {
        prop_assert!(bytes.len() as u64 <= max);
    }
    prop_assert_eq!(first, render(Show::Values));
    let _ = render(Show::Marks);
    Ok(())
}
