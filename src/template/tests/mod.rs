//! Templates, compiled and rendered.

use super::*;

mod chance;
mod compile;
mod filters;
mod limits;
mod marks;
mod render;

/// Renders a text with these values by their whole references.
fn with(text: &str, values: &[(&str, &[u8])], show: Show, max: u64) -> Result<Vec<u8>, TemplateError> {
    let template =
        Template::compile("app.conf", text).unwrap_or_else(|mistakes| panic!("{text}: {mistakes:?}"));
    let held: Vec<_> = template
        .secrets()
        .iter()
        .map(|secret| {
            let found = values.iter().find(|(reference, _)| *reference == secret.to_string());
            SecretBytes::copy_from(found.unwrap_or_else(|| panic!("no value of {secret}")).1)
        })
        .collect();
    let lent: Vec<_> = held.iter().collect();
    let rendered = template.render(&lent, show, max);
    #[expect(clippy::disallowed_methods, reason = "made-up values")]
    rendered.map(|bytes| bytes.expose_secret().to_vec())
}

fn rendered(text: &str, values: &[(&str, &[u8])]) -> String {
    let bytes = with(text, values, Show::Values, 1 << 20);
    String::from_utf8(bytes.unwrap_or_else(|error| panic!("{text}: {error}"))).unwrap()
}

/// With one secret `p:x`.
fn of(value: &str, text: &str) -> String {
    rendered(text, &[("p:x", value.as_bytes())])
}

fn fails(value: &str, text: &str) -> TemplateError {
    let values = [("p:x", value.as_bytes())];
    let error = with(text, &values, Show::Values, 1 << 20).err();
    error.unwrap_or_else(|| panic!("{text} renders"))
}

fn mistakes(text: &str) -> Vec<Mistake> {
    Template::compile("app.conf", text).err().unwrap_or_default()
}
