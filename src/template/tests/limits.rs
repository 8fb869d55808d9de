//! What tries to take too much.

use std::time::{Duration, Instant};

use super::*;

const MAX: u64 = 1 << 20;

/// A value that tries hard, of nearly the longest length.
fn large() -> String {
    "ab\n".repeat(300_000)
}

/// An object with a list of many objects.
fn tree() -> String {
    let items: Vec<_> = (0..4000).map(|nth| format!("{{\"a\":[{nth},[\"x\"]],\"b\":\"{nth}\"}}")).collect();
    format!("{{\"list\":[{}]}}", items.join(","))
}

#[test]
fn no_template_runs_for_long_or_makes_much() {
    let (large, tree) = (large(), tree());
    let text = "{% set s = secret('p:x') %}";
    let json = "{% set t = secret_json('p:t').list %}";
    for body in [
        "{% for a in range(10000) %}{% for b in range(10000) %}{% for c in range(9) %}{% endfor %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% for b in range(10000) %}{{ s }}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s ~ s %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s | upper %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s | length %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s | split('a') | length %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s | lines | length %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s[::-1] %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s | pem_certs %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = 'x' in s %}{% endfor %}".to_owned(),
        "{{ s | replace('a', s) }}".to_owned(),
        "{{ s | replace('a', 'aaaaaaaaaa') | replace('a', 'aaaaaaaaaa') | replace('a', 'aaaaaaaaaa') }}".to_owned(),
        "{{ s | indent(64) }}".to_owned(),
        "{{ s | quote_properties | quote_properties | quote_properties }}".to_owned(),
        "{{ s | b64encode | b64encode | b64encode | b64encode }}".to_owned(),
        "{{ range(10000) | join(s) }}".to_owned(),
        "{{ s | tojson | tojson | tojson | tojson | tojson | tojson }}".to_owned(),
        format!("{{{{ ({}s) | length }}}}", "s ~ ".repeat(90)),
        "{% for a in range(10000) %}{% if t == secret_json('p:u').list %}{% endif %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% if t < secret_json('p:u').list %}{% endif %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% if secret_json('p:u').list in [t, [t]] %}{% endif %}{% endfor %}".to_owned(),
        "{% for a in t %}{% for b in t %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = t | items %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = t ~ '' %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = t | first %}{% endfor %}".to_owned(),
        "{% for a in range(10000) %}{% set b = s | lines | sort | length %}{% endfor %}".to_owned(),
        "{{ [[t, t, t, t], [t, t, t, t], [t, t, t, t], [t, t, t, t]] }}".to_owned(),
        "{{ [[t, t, t, t], [t, t, t, t], [t, t, t, t], [t, t, t, t]] ~ '' }}".to_owned(),
        "{% for x in t + t + t + t + t %}{% for y in t + t %}{{ y }}{% endfor %}{% endfor %}".to_owned(),
        "{% for x in t %}{% for y in t %}{% if loop.changed is defined %}{{ x }}{% endif %}{% endfor %}{% endfor %}".to_owned(),
    ] {
        let text = format!("{text}{json}{body}");
        let values: [(&str, &[u8]); 3] =
            [("p:x", large.as_bytes()), ("p:t", tree.as_bytes()), ("p:u", tree.as_bytes())];
        let start = Instant::now();
        let text = match text.contains("p:u") {
            true => text,
            false => format!("{text}{{% if false %}}{{{{ secret('p:u') }}}}{{% endif %}}"),
        };
        let error = with(&text, &values, Show::Values, MAX).err();
        let took = start.elapsed();
        assert!(matches!(error, Some(TemplateError::TooLarge { .. } | TemplateError::Other { .. })), "{body}: {error:?}");
        // Not optimised, on a machine that does other things too.
        assert!(took < Duration::from_secs(20), "{body}: {took:?}");
    }
}

#[test]
fn what_is_made_of_itself_over_and_over_is_refused_before() {
    for step in [
        "{% set x = x ~ x %}",
        "{% set x = x + x %}",
        "{% set x = [x, x] %}",
        "{% set x = (x, x) %}",
        "{% set x = {'a': x, 'b': x} %}",
        "{% set x = [x, x] | join(x) %}",
        "{% set x = x | replace('a', x) %}",
        "{% set x = x ~ x if true else x %}",
        "{% set x = 2 * x %}",
        "{% set x = x * 8 %}",
        "{% if true %}{% set x = x ~ x %}{% else %}{% set x = 1 %}{% endif %}",
        "{% with y = x %}{% set x = y ~ y %}",
        "{% for y in [x] %}{% set x = y ~ y %}",
    ] {
        let ends = step.matches("{% with").count() + step.matches("{% for").count();
        let end = if step.contains("{% with") { "{% endwith %}" } else { "{% endfor %}" };
        let text = format!("{{% set x = secret('p:x') %}}{}{}", step.repeat(20), end.repeat(20 * ends));
        let found = mistakes(&text);
        assert!(
            found.iter().any(|mistake| mistake.message.contains("made of too much")),
            "{step}: {found:?}"
        );
    }
}

#[test]
fn a_loop_carries_nothing_from_one_turn_to_the_next() {
    let text =
        "{% set x = secret('p:x') %}{% for a in range(3) %}{% set x = x ~ x %}{{ x }} {% endfor %}{{ x }}";
    assert_eq!(of("a", text), "aa aa aa a");
}

#[test]
fn a_range_is_bounded() {
    assert_eq!(
        of("a", "{{ secret('p:x') }}{{ range(3) }}{{ range(1, 6, 2) }}{{ range(2, 0, -1) }}"),
        "a[0,1,2][1,3,5][2,1]"
    );
    for text in ["range(10001)", "range(0, 9223372036854775807)", "range(0, 5, 0)"] {
        let error = fails("a", &format!("{{{{ secret('p:x') }}}}{{{{ {text} }}}}"));
        assert!(matches!(&error, TemplateError::Other { what, .. } if what.contains("range")), "{error}");
    }
}

#[test]
fn what_is_nested_in_a_value_does_not_exhaust_the_stack() {
    for times in [128, 1000, 4000, 100_000] {
        let deep = format!("{}1{}", "[".repeat(times), "]".repeat(times));
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        let error = thread.spawn(move || fails(&deep, "{{ secret_json('p:x') }}")).unwrap().join().unwrap();
        assert!(matches!(error, TemplateError::Other { .. }), "{error}");
    }
    let most = format!("{}1{}", "{\"a\":[".repeat(60), "]}".repeat(60));
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let shown = most.clone();
    let text = "{{ secret_json('p:x') }}";
    assert_eq!(thread.spawn(move || of(&shown, text)).unwrap().join().unwrap(), most);
}
