//! `format = "systemd-env"`: for `EnvironmentFile=`. systemd reads quotes as a shell does, and leaves out variables with control
//! characters.

use super::dotenv;
use super::env;
use super::error::Unfit;

pub(super) fn quote(value: &str, text: &mut String) -> Result<(), Unfit> {
    let why =
        "it has a control character other than tab and line feed, and systemd leaves out such variables";
    env::without(value, "systemd-env", why, |c| c.is_ascii_control() && !matches!(c, '\t' | '\n'))?;
    dotenv::shell(value, text);
    Ok(())
}
