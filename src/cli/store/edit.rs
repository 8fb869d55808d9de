//! `hushfs store edit`: a secret in the operator's editor, in a file that exists in memory only.
//!
//! Named values are edited as a JSON object, a raw value as the text it is. The store is not locked meanwhile; if it
//! changed under the editor, nothing is written.

use std::path::Path;
use std::process::{ExitCode, ExitStatus};

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use zeroize::Zeroizing;

use super::scratch::{Scratch, Swap};
use super::set::{Fit, store};
use super::{Place, json};
use crate::audit::record::Outcome as Ended;
use crate::cli::record::{Attempt, record, sink};
use crate::cli::{Failure, Outcome, term};
use crate::providers::store::{Name, StoreError, Value, Wiping};
use crate::sys::stack;

/// What it takes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The secret
    #[arg(value_name = "NAME", value_parser = Name::whole)]
    name: Name,
    /// Edit although memory may be swapped out to a disk (for encrypted swap)
    #[arg(long)]
    allow_swap: bool,
}

pub(super) fn run(place: &Place, args: &Args) -> Outcome {
    let name = &args.name;
    let put = |version: &str, outcome, why: &str| {
        let path = format!("store:{name}");
        record(sink(place.audit.as_deref())?, &Attempt { verb: "store edit", path, version, outcome, why })
    };
    let (version, old) = match read(place, name) {
        Ok(found) => found,
        Err(error) => {
            put("", Ended::Failed, &error.to_string())?;
            return Err(error.into());
        }
    };
    let text = to_text(name, &old)?;
    let swap = if args.allow_swap { Swap::Accept } else { Swap::Refuse };
    let file = if matches!(old, Value::Named(_)) { "secret.json" } else { "secret.txt" };
    let scratch = Scratch::create(file, &text, swap)?;
    put(&version, Ended::Allowed, "")?;
    let status =
        edit(&scratch.file).map_err(|error| Failure::new(format!("cannot run the editor: {error}")))?;
    let nothing = |why: String| Failure::new(why).hint("nothing was changed");
    match status {
        Some(status) if status.success() => {}
        Some(status) => return Err(nothing(format!("the editor failed: {status}"))),
        None => return Err(nothing("stopped by a signal".to_owned())),
    }
    let edited = scratch.read()?;
    drop(scratch);
    let new = from_text(&old, &text, &edited).map_err(nothing)?;
    let done = place.site().change(&|| place.passphrase(), |document| {
        if document.version(&name.secret, None)?.version != version {
            return Err(StoreError::Unfit {
                message: format!("`{name}` was changed by somebody else meanwhile"),
                hint: "nothing was changed; edit it again".to_owned(),
            });
        }
        store(document, &name.secret, new, Fit::Same)
    })?;
    term::note(done);
    Ok(ExitCode::SUCCESS)
}

fn read(place: &Place, name: &Name) -> Result<(String, Value), StoreError> {
    // The editor may stay open for hours, and this process under it.
    let (mut document, _) = stack::wiped_after(|| place.site().read(&|| place.passphrase()))?;
    document.history(&name.secret)?;
    let newest = document.secrets.remove(&name.secret).and_then(|mut history| history.versions.pop());
    let newest = newest.ok_or_else(|| StoreError::NoSecret(name.secret.clone()))?;
    Ok((newest.version, newest.value))
}

fn to_text(name: &Name, value: &Value) -> Result<Zeroizing<Vec<u8>>, Failure> {
    match value {
        Value::Bytes(bytes) if std::str::from_utf8(bytes).is_ok() => Ok(bytes.clone()),
        Value::Bytes(_) => {
            Err(Failure::new(format!("`{name}` is not text (UTF-8), so there is nothing to edit"))
                .hint("replace it: `hushfs store set` reads bytes from standard input"))
        }
        Value::Named(values) => {
            let mut text = Wiping::default();
            serde_json::to_writer_pretty(&mut text, values)
                .map_err(|error| Failure::new(format!("cannot write `{name}` as JSON: {error}")))?;
            let mut text = text.into_inner();
            text.reserve_exact(1);
            text.push(b'\n');
            Ok(text)
        }
    }
}

/// What the edited text means. Editors end a file with a line end: it counts only if the value had one before.
fn from_text(old: &Value, before: &[u8], edited: &[u8]) -> Result<Value, String> {
    let edited = if before.ends_with(b"\n") { edited } else { edited.strip_suffix(b"\n").unwrap_or(edited) };
    if edited.iter().all(u8::is_ascii_whitespace) {
        return Err("what was edited is empty".to_owned());
    }
    match old {
        Value::Bytes(_) => Ok(Value::Bytes(Zeroizing::new(edited.to_vec()))),
        Value::Named(_) => json::parse(edited).map(Value::Named).map_err(|error| error.to_string()),
    }
}

/// Runs the editor and waits. Ctrl-C is the editor's; a signal that ends us ends it too (`None`), so that the file is
/// removed in every case but SIGKILL.
fn edit(file: &Path) -> std::io::Result<Option<ExitStatus>> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let mut line = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(|| "vi".into());
    // By the shell, as others do: `EDITOR="code --wait"`.
    line.push(" \"$1\"");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut quit = signal(SignalKind::quit())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut editor = Command::new("/bin/sh").arg("-c").arg(&line).arg("sh").arg(file).spawn()?;
        loop {
            tokio::select! {
                status = editor.wait() => return status.map(Some),
                _ = interrupt.recv() => {}
                _ = quit.recv() => {}
                _ = terminate.recv() => break,
                _ = hangup.recv() => break,
            }
        }
        editor.kill().await?;
        Ok(None)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_an_editor_adds_is_no_part_of_the_value() {
        let raw = |text: &str| Value::Bytes(Zeroizing::new(text.as_bytes().to_vec()));
        let edited = |before: &str, after: &str| from_text(&raw(before), before.as_bytes(), after.as_bytes());
        assert!(edited("a", "a\n").unwrap() == raw("a"));
        assert!(edited("a", "b\n\n").unwrap() == raw("b\n"));
        assert!(edited("a\n", "b\n").unwrap() == raw("b\n"));
        assert!(edited("a\n", "b").unwrap() == raw("b"));
        assert!(edited("a", "\n").is_err());
    }
}
