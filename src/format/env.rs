//! Named values as assignments to environment variables, a line or more each, in the provider's order.

use zeroize::Zeroizing;

use super::FormatError;
use super::error::Unfit;
use super::named::Named;

/// Appends a value as a reader wants it after `NAME=`.
pub(super) type Quoting = fn(&str, &mut String) -> Result<(), Unfit>;

pub(super) fn encode(named: &Named<'_>, quote: Quoting) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    let mut text = Zeroizing::new(String::with_capacity(1024));
    for (name, value) in named.iter() {
        let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(FormatError::BadName(name.to_owned()));
        }
        text.push_str(name);
        text.push('=');
        quote(value, &mut text).map_err(|unfit| unfit.of_value(name))?;
        text.push('\n');
    }
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}

/// That no character of `value` is one that cannot be written.
pub(super) fn without(
    value: &str,
    format: &'static str,
    why: &'static str,
    is_unfit: impl Fn(char) -> bool,
) -> Result<(), Unfit> {
    if value.chars().any(is_unfit) { Err(Unfit { format, why }) } else { Ok(()) }
}

/// That `value` can be in an environment at all.
pub(super) fn without_nul(value: &str, format: &'static str) -> Result<(), Unfit> {
    without(value, format, "it has a NUL, which no environment variable can hold", |c| c == '\0')
}
