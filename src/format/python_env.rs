//! `format = "python-env"`: for python-dotenv.
//!
//! It puts the values of variables in the place of `${NAME}` whatever the quotes; a variable without a name has a default, so
//! `${:-$}{` is `${`. In double quotes the escapes of C are characters; line ends in the file are all made `\n`.

use super::env;
use super::error::Unfit;

pub(super) fn quote(value: &str, text: &mut String) -> Result<(), Unfit> {
    env::without_nul(value, "python-env")?;
    let quote = if value.contains(['\'', '\\', '\r']) { '"' } else { '\'' };
    text.push(quote);
    let mut rest = value.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '$' if rest.peek() == Some(&'{') => text.push_str("${:-$}"),
            '\r' => text.push_str("\\r"),
            '\\' | '"' if quote == '"' => text.extend(['\\', c]),
            other => text.push(other),
        }
    }
    text.push(quote);
    Ok(())
}
