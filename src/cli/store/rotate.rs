//! `hushfs store rotate-key`: a new key in place of the old one.

use std::process::ExitCode;

use super::Place;
use crate::cli::{Outcome, term};

pub(super) fn run(place: &Place) -> Outcome {
    let site = place.site();
    let new = site.rotate(&|| place.passphrase())?;
    term::say(format_args!("new public key  {new}"));
    term::say(format_args!("key             {}", site.key.display()));
    term::say(
        "\nCopies of the store made before this still open with the old key. If that key may be in wrong hands,",
    );
    term::say("change the secrets themselves, and destroy old backups of the store or of the key.");
    term::say(
        "Back up the new key now. Where hushfs reads the key as a systemd credential, restart its unit.",
    );
    Ok(ExitCode::SUCCESS)
}
