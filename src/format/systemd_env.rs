//! `format = "systemd-env"`: for `EnvironmentFile=`. systemd reads quotes as a shell does. It leaves out variables with control
//! characters, and the whole file where one has a code point that is no character.

use super::dotenv;
use super::env;
use super::error::Unfit;

const NAME: &str = "systemd-env";

pub(super) fn quote(value: &str, text: &mut String) -> Result<(), Unfit> {
    let why =
        "it has a control character other than tab and line feed, and systemd leaves out such variables";
    env::without(value, NAME, why, |c| c.is_ascii_control() && !matches!(c, '\t' | '\n'))?;
    let why = "it has a code point that is no character (as U+FFFF), and systemd refuses files with one";
    env::without(value, NAME, why, is_no_character)?;
    dotenv::shell(value, text);
    Ok(())
}

/// The noncharacters of Unicode.
fn is_no_character(c: char) -> bool {
    matches!(c, '\u{fdd0}'..='\u{fdef}') || u32::from(c) & 0xfffe == 0xfffe
}
