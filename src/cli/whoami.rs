//! `hushfs whoami`: what hushfs sees of whoever runs it.

use std::process::ExitCode;

use nix::unistd::{Uid, User};
use toml::Value;

use super::daemon::{Asked, DaemonArg, unexpected};
use super::explain::{self, page};
use super::{Failure, Outcome, term};
use crate::control::{Answer, Ask};
use crate::explain::{ContainerSeen, Seen, Whose, whoami};
use crate::identity::{Cgroup, NamedUnit, holds_elsewhere, selector};
use crate::words::{is_plain, printable};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print one JSON object instead, for programs
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: DaemonArg,
}

pub(crate) fn run(args: Args) -> Outcome {
    let (seen, by) = match args.daemon.ask(None, &Ask::Whoami)? {
        Asked::Answered(Answer::Seen { caller }) => (*caller, None),
        Asked::Answered(other) => return Err(unexpected(other)),
        Asked::Wrong(code) => return Ok(code),
        Asked::Alone(config) => {
            let seen =
                explain::look(&config.runtimes, async |attestor, itself| whoami(&attestor, itself).await)?;
            let seen = seen.map_err(|why| Failure::new(why.to_string()))?;
            (seen, Some("no daemon was asked: this is what one would see".to_owned()))
        }
    };
    if args.json {
        term::say(serde_json::to_string_pretty(&seen).unwrap_or_default());
        return Ok(ExitCode::SUCCESS);
    }
    let mut text = String::new();
    page::section(&mut text, "you", page::Page::new(term::says_fancy()).caller(&seen));
    let note = "pid, executable and age are those of this command; what you run has its own";
    page::section(&mut text, "note", by.into_iter().chain([note.to_owned()]));
    page::section(&mut text, "refused", seen.refused.iter().map(|why| printable(why)));
    page::section(&mut text, "in a rule", hints(&seen));
    term::say(text.trim_end());
    Ok(ExitCode::SUCCESS)
}

/// How a rule could name whoever was seen, by what is inherited and so is true of what he runs as well; or why none would
/// let him in.
fn hints(seen: &Seen) -> Vec<String> {
    if seen.refused.is_some() {
        return vec!["none: as you are, you are refused whatever a rule says".to_owned()];
    }
    let foreign = seen.user_namespace != Some(Whose::Ours);
    // What a host calls a user means nothing in a container, where this may run.
    let host = seen.container.is_none() && !foreign;
    let user = host.then(|| User::from_uid(Uid::from_raw(seen.uid)).ok().flatten()).flatten();
    let by_user = match user {
        Some(user) => ("user", Value::from(user.name)),
        None => ("uid", Value::from(i64::from(seen.uid))),
    };
    let unit = seen.cgroup.as_deref().and_then(|path| NamedUnit::of(&Cgroup::at(path), seen.uid));
    // A container's scope is a unit as well, of a name that is not used again.
    let by_place = match (&seen.container, &unit) {
        (Some(container), _) => Some(("container", demand(container))),
        (None, Some(unit)) => Some((unit.key, Value::from(unit.written.as_str()))),
        (None, None) => None,
    };
    let rule: Vec<_> = [by_user].into_iter().chain(by_place).collect();
    let selectors: Vec<_> =
        rule.iter().filter_map(|(key, value)| (selector(key)?.parse)(value).ok()).collect();
    if foreign && !holds_elsewhere(selectors.iter().map(|one| &**one)) {
        return vec![
            "none: you are in another user namespace, where only a rule of a system unit or of a container that root \
             started lets anybody in"
                .to_owned(),
        ];
    }
    // A name that does not show what it is, is not for pasting.
    let line = |(key, value): &(&str, Value)| {
        let value = Some(value.to_string()).filter(|written| is_plain(written))?;
        let beside = if *key == "user_unit" { ", only beside the user" } else { "" };
        Some(format!("{key} = {value}  ({}{beside})", selector(key)?.strength))
    };
    let mut lines: Vec<_> = rule.iter().filter_map(line).collect();
    if let Some(unit) = unit.filter(|unit| seen.container.is_none() && unit.written != unit.unit) {
        let all = (unit.key, Value::from(unit.with_all_below()));
        let all = line(&all).filter(|all| !lines.contains(all));
        lines.extend(all.map(|all| format!("{all}, where the group below has another name each time")));
    }
    lines
}

/// How a rule would name a container: by what it has again when it is made anew, if that is known.
fn demand(container: &ContainerSeen) -> Value {
    let ContainerSeen { id, name, pod_uid, .. } = container;
    let (key, value) = match (name, pod_uid) {
        (Some(name), _) => ("name", name),
        (None, Some(pod_uid)) => ("pod_uid", pod_uid),
        (None, None) => ("id", id),
    };
    toml::Table::from_iter([(key.to_owned(), Value::from(value.as_str()))]).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(cgroup: &str, namespace: Whose) -> Seen {
        Seen {
            pid: 7,
            thread: 7,
            uid: 4_000_000,
            uids: [4_000_000; 4],
            gid: 7,
            gids: [7; 4],
            groups: Vec::new(),
            exe: None,
            unit: Cgroup::at(cgroup).place().map(|place| place.unit.to_owned()),
            container: None,
            cgroup: Some(cgroup.to_owned()),
            user_namespace: Some(namespace),
            mount_namespace: Some(Whose::Ours),
            age_seconds: None,
            no_new_privs: None,
            not_dumpable: None,
            traced: None,
            refused: None,
        }
    }

    fn hinted(cgroup: &str) -> Vec<String> {
        hints(&seen(cgroup, Whose::Ours))
    }

    #[test]
    fn below_a_unit_what_holds_there_is_what_is_told() {
        let user = "uid = 4000000  (strong)";
        assert_eq!(hinted("/"), [user]);
        assert_eq!(hinted("/system.slice/a.service"), [user, "unit = \"a.service\"  (strong)"]);
        let all = "unit = \"a.service/*\"  (strong), where the group below has another name each time";
        assert_eq!(
            hinted("/system.slice/a.service/main"),
            [user, "unit = \"a.service/main\"  (strong)", all]
        );
        assert_eq!(hinted("/system.slice/a.service/x/y"), [user, "unit = \"a.service/*\"  (strong)"]);
        assert_eq!(
            hinted("/user.slice/user-4000000.slice/user@4000000.service/app.slice/b.service"),
            [user, "user_unit = \"b.service\"  (weak, only beside the user)"]
        );
        assert_eq!(hinted("/system.slice/a\u{202e}.service/x"), [user]);
        assert_eq!(hinted(r"/system.slice/a\x2db.service")[1], r"unit = 'a\x2db.service'  (strong)");
    }

    #[test]
    fn who_would_be_refused_anyway_is_told_so_and_no_rule() {
        for cgroup in ["/", "/user.slice/user-4000000.slice/user@4000000.service/b.service"] {
            let told = hints(&seen(cgroup, Whose::Other));
            assert!(
                told.len() == 1 && told[0].starts_with("none: you are in another user namespace"),
                "{told:?}"
            );
        }
        let told = hints(&seen("/system.slice/a.service", Whose::Other));
        assert_eq!(told, ["uid = 4000000  (strong)", "unit = \"a.service\"  (strong)"], "it holds there too");
        let refused = Seen { refused: Some("the caller is gone".to_owned()), ..seen("/", Whose::Ours) };
        assert!(hints(&refused)[0].starts_with("none: as you are, you are refused"));
    }
}
