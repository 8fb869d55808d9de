//! `format = "node-env"`: for the package dotenv of npm.
//!
//! It has three kinds of quotes and no way to escape one, and in double quotes `\n` and `\r` are characters. Outside of quotes
//! a value ends at `#` and at the line's end. A backslash before the closing quote may hide it.

use super::env;
use super::error::Unfit;

const NAME: &str = "node-env";

pub(super) fn quote(value: &str, text: &mut String) -> Result<(), Unfit> {
    env::without_nul(value, NAME)?;
    let lacks = |quote: char| !value.contains(quote) && !value.ends_with('\\');
    let escapes = || value.contains("\\n") || value.contains("\\r");
    if value.contains('\r') {
        // Line ends in the file are made `\n` before anything else.
        if !lacks('"') || escapes() {
            let why =
                "it has a carriage return beside a double quote, `\\n` or `\\r`, or a backslash at its end";
            return Err(Unfit { format: NAME, why });
        }
        text.extend(["\"", &zeroize::Zeroizing::new(value.replace('\r', "\\r")), "\""]);
    } else if lacks('\'') {
        text.extend(["'", value, "'"]);
    } else if lacks('"') && !escapes() {
        text.extend(["\"", value, "\""]);
    } else if lacks('`') {
        text.extend(["`", value, "`"]);
    } else if is_plain(value) {
        text.push_str(value);
    } else {
        let why = "it has all three quotes, or a backslash at its end, beside what needs quotes";
        return Err(Unfit { format: NAME, why });
    }
    Ok(())
}

/// Whether it is the same without quotes.
fn is_plain(value: &str) -> bool {
    let is_space = |c: char| c.is_whitespace() || c == '\u{feff}';
    let ends = |c: char| matches!(c, '#' | '\n' | '\r' | '\u{2028}' | '\u{2029}');
    !value.contains(ends)
        && !value.starts_with(|c: char| is_space(c) || matches!(c, '\'' | '"' | '`'))
        && !value.ends_with(is_space)
}
