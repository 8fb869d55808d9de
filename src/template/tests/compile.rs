//! What is found, and what is refused, before there is a value.

use super::*;

#[test]
fn what_a_template_shows_is_known_before_and_in_order() {
    let text = "{{ secret('b:y#k') }}{{ secret(\"a:x?version=3\") }}{% if secret_json('b:y').on %}{{ secret('b:y#k') }}{% endif %}";
    let template = Template::compile("app.conf", text).unwrap();
    let said = |references: &[Reference]| references.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(said(template.references()), ["a:x?version=3", "b:y", "b:y#k"]);
    assert_eq!(said(template.secrets()), ["a:x?version=3", "b:y"]);
    assert_eq!(template.name(), "app.conf");
    let again = Template::compile("other", text).unwrap();
    assert_eq!((template.digest(), template.digest().len()), (again.digest(), 64));
    assert!(template == again && template != Template::compile("app.conf", "{{ secret('a:x') }}").unwrap());
}

/// Each with a part of what is said, and its line.
#[test]
fn what_is_not_offered_is_a_mistake_with_its_line_and_a_hint() {
    for (text, line, part) in [
        ("{{ secret(x) }}", 1, "takes one reference, written out in quotes"),
        ("\n{{ secret('p:' ~ 'x') }}", 2, "written out in quotes"),
        ("{{ secret() }}", 1, "written out in quotes"),
        ("{{ secret('p:x', 'p:y') }}", 1, "written out in quotes"),
        ("{{ secret(reference='p:x') }}", 1, "written out in quotes"),
        ("{{ secret(*['p:x']) }}", 1, "written out in quotes"),
        ("{{ secret(1) }}", 1, "written out in quotes"),
        ("{{ secret_json(['p:x']) }}", 1, "written out in quotes"),
        ("{{ 'p:x' | secret }}", 1, "no filter `secret`"),
        ("{% set f = secret %}{{ f('p:x') }}", 1, "can only be called"),
        ("{{ [secret][0]('p:x') }}", 1, "can only be called"),
        ("{{ (secret if true else secret)('p:x') }}", 1, "only a function can be called"),
        ("{% set secret = 1 %}", 1, "is a function and stays one"),
        ("{% for secret_json in [1] %}{% endfor %}", 1, "is a function and stays one"),
        ("{% for a, range in [1] %}{% endfor %}", 1, "is a function and stays one"),
        ("{% with secret = 1 %}{% endwith %}", 1, "is a function and stays one"),
        ("{{ secret('nothing') }}", 1, "not a reference: "),
        ("{{ env('HOME') }}", 1, "no function `env`"),
        ("{{ namespace() }}", 1, "no function `namespace`"),
        ("{{ now() }}", 1, "no function `now`"),
        ("{{ open('/etc/passwd') }}", 1, "no function `open`"),
        ("{{ user }}", 1, "no variable `user`"),
        ("{{ loop.index }}", 1, "no variable `loop`"),
        ("{{ self }}", 1, "no variable `self`"),
        ("{{ secret('p:x') | random }}", 1, "no filter `random`"),
        ("{{ secret('p:x') | indent }}", 1, "needs `width`"),
        ("{{ secret('p:x') | trim('a') }}", 1, "`trim` takes nothing"),
        ("{{ secret('p:x') | join(by='a') }}", 1, "takes no `by`"),
        ("{{ secret('p:x') is odd }}", 1, "no test `is odd`"),
        ("{{ secret('p:x') is startingwith }}", 1, "needs `text`"),
        ("{{ secret('p:x').upper() }}", 1, "values have no methods"),
        ("{% set a.b = 1 %}", 1, "cannot be set"),
        ("{% set a %}x{% endset %}", 1, "takes a value, not a block"),
        ("{% filter upper %}x{% endfilter %}", 1, "no statement `filter`"),
        ("{% autoescape true %}x{% endautoescape %}", 1, "no statement `autoescape`"),
        ("{% do range(1) %}", 1, "no statement `do`"),
        ("{% for x in range(2) recursive %}{% endfor %}", 1, "cannot be recursive"),
        ("{% include 'x' %}", 1, "no statement `include`"),
        ("\n\n{% import 'x' as y %}", 3, "no statement `import`"),
        ("{% extends 'x' %}", 1, "no statement `extends`"),
        ("{% macro m() %}{% endmacro %}", 1, "no statement `macro`"),
        ("{% block a %}{% endblock %}", 1, "no statement `block`"),
        ("{{ 2 ** 9 }}", 1, "no `**`"),
        ("{{ secret('p:x') * secret_json('p:y') }}", 1, "one side of `*`"),
        ("a\nb {{ 'x", 2, "not a template: "),
        ("{% if %}", 1, "not a template: "),
        ("{% if true %}", 1, "not a template: "),
        ("nothing", 1, "shows no secret"),
        ("", 1, "shows no secret"),
        ("{# {{ secret('p:x') }} #}", 1, "shows no secret"),
        ("{% raw %}{{ secret('p:x') }}{% endraw %}", 1, "shows no secret"),
    ] {
        let found = mistakes(text);
        let said = found.iter().any(|mistake| mistake.line == line && mistake.message.contains(part));
        assert!(said, "{text}: no `{part}` in line {line} of {found:?}");
    }
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_lines() {
    let text = "{{ secert('p:x') }}\n{{ secret('p:x') | upprr }}\n{% set host = 1 %}{{ hots }}\n{{ 1 is definde }}\n{{ secret('x') }}";
    let found = mistakes(text);
    let lines: Vec<_> = found.iter().map(|mistake| mistake.line).collect();
    assert_eq!(lines, [1, 2, 3, 4, 5]);
    for (mistake, near) in found.iter().zip(["secret", "upper", "host", "defined"]) {
        assert_eq!(mistake.hint.as_deref(), Some(format!("did you mean `{near}`?").as_str()));
    }
    let text = "{% inculde 'x' %}\n{% sett x = 1 %}\n{% fro x in y %}";
    let found = mistakes(text);
    assert_eq!(found.iter().map(|mistake| mistake.line).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(found[1].hint.as_deref(), Some("did you mean `set`?"));
}

#[test]
fn a_secret_in_the_place_of_its_reference_is_not_told() {
    for text in [
        "{{ secret('hunter2hunter2') }}",
        "{{ secret_json('{\"hunter2\": 1}') }}",
        "{{ secret('hunter2:#') }}",
    ] {
        let found = mistakes(text);
        assert!(!found.is_empty() && !format!("{found:?}").contains("hunter2"), "{found:?}");
    }
}

#[test]
fn what_would_exhaust_the_stack_is_refused() {
    let many = |text: &str, times: usize| text.repeat(times);
    for text in [
        format!("{{{{ {}1 }}}}", many("not ", 200_000)),
        format!("{{{{ {}1 }}}}", many("-", 200_000)),
        format!("{{{{ {}1{} }}}}", many("(", 50_000), many(")", 50_000)),
        format!("{{{{ {}1{} }}}}", many("[", 50_000), many("]", 50_000)),
        format!("{{{{ 1{} }}}}", many("+1", 100_000)),
        format!("{{{{ 1{} }}}}", many("|trim", 100_000)),
        format!("{{{{ x{} }}}}", many(".a", 100_000)),
        format!("{{{{ x{} }}}}", many("[0]", 100_000)),
        format!("{{{{ x{} }}}}", many("()", 100_000)),
        format!("{{{{ {}1 }}}}", many("1 if 1 else ", 50_000)),
        format!("{{% if 1 %}}{}{{% endif %}}", many("{% elif 1 %}", 50_000)),
        many("{% if 1 %}", 50_000),
        many("{% for x in [1] %}", 50_000),
        format!("{{% for {}x in y %}}{{% endfor %}}", many("(", 50_000)),
        format!("{{{{ secret('p:x') }}}}{}", many("{% set x = [x] %}", 20_000)).replacen("[x]", "1", 1),
        format!("{{{{ secret('p:x') }}}}{}", many("{% set x = x[1:] %}", 20_000)).replacen("x[1:]", "'a'", 1),
        many("\n", 1 << 17),
        many("a", 2 << 20),
    ] {
        // The stack of the smallest thread that compiles one.
        let compile = std::thread::Builder::new().stack_size(2 << 20);
        let found = compile.spawn(move || mistakes(&text)).unwrap().join().unwrap();
        assert!(!found.is_empty() && found.len() < 50_000);
    }
}

#[test]
fn what_is_just_deep_enough_compiles_and_renders_on_a_small_stack() {
    let text = format!(
        "{{{{ secret('p:x') }}}}{}{}{}{{{{ 'a'{} }}}}{}{{{{ 'b'{} }}}}",
        "{% if true %}".repeat(62),
        "y",
        "{% endif %}".repeat(62),
        " ~ 'a'".repeat(98),
        "{% set x = [1] %}".to_owned() + &"{% set x = [x] %}".repeat(97),
        "|trim".repeat(98),
    );
    let thread = std::thread::Builder::new().stack_size(2 << 20);
    let made = thread.spawn(move || of("v", &text)).unwrap().join().unwrap();
    assert_eq!(made, format!("vy{}b", "a".repeat(99)));
}
