//! `format = "docker-env"`: for `docker run --env-file` and `podman run --env-file`, which know no quotes and no escapes: what
//! follows the first `=` is the value, to the end of the line.

use super::env;
use super::error::Unfit;

const NAME: &str = "docker-env";

/// Lines of Go's `bufio.Scanner` end within 64 KiB, name and line end included.
const LONGEST: usize = 60 << 10;

pub(super) fn quote(value: &str, text: &mut String) -> Result<(), Unfit> {
    env::without_nul(value, NAME)?;
    let why = "it has a line end, which ends a value in this format";
    env::without(value, NAME, why, |c| matches!(c, '\n' | '\r'))?;
    if value.len() > LONGEST {
        return Err(Unfit {
            format: NAME,
            why: "it has more than 60 KiB, and lines end at 64 in this format",
        });
    }
    text.push_str(value);
    Ok(())
}
