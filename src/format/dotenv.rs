//! `format = "dotenv"`: assignments that a POSIX shell reads, in the form that most other readers read alike.
//!
//! Readers disagree on escapes, so the form with the fewest is written: single quotes, in which nothing is special, for
//! every value without a single quote; else double quotes with `\`, `"`, `$` and `` ` `` escaped. A backslash at the end would
//! hide the single quote after it from readers that are no shells, and they would read on into the next value.

use super::env;
use super::error::Unfit;

pub(super) fn quote(value: &str, text: &mut String) -> Result<(), Unfit> {
    env::without_nul(value, "dotenv")?;
    shell(value, text);
    Ok(())
}

/// As a shell reads it. systemd reads such quotes as a shell does.
pub(super) fn shell(value: &str, text: &mut String) {
    if !value.contains('\'') && !value.ends_with('\\') {
        text.extend(["'", value, "'"]);
        return;
    }
    text.push('"');
    for c in value.chars() {
        if matches!(c, '\\' | '"' | '$' | '`') {
            text.push('\\');
        }
        text.push(c);
    }
    text.push('"');
}
