//! Names of systemd units, and of the control groups that systemd makes for them.

use std::borrow::Cow;

/// The kinds of unit that processes run in.
pub(super) const KINDS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// Kinds of unit that do something, and that no process runs in.
const OTHERS: [&str; 4] = [".timer", ".path", ".target", ".automount"];

/// The longest name that systemd gives a unit.
const LONGEST: usize = 255;

/// Whether it is the name of one unit that processes run in. A template (`a@.service`) is none, its instances are.
pub(super) fn is_unit(name: &str) -> bool {
    let kind = KINDS.iter().find_map(|kind| name.strip_suffix(kind));
    name.len() <= LONGEST
        && kind.is_some_and(|stem| is_plain(stem) && !stem.starts_with('@') && !is_template(stem))
}

/// Whether it is the name of one unit that can be told to restart: of those that processes run in, all but scopes, which only
/// whoever made them can; and of the others those that do something.
pub fn is_managed(name: &str) -> bool {
    let of_others = OTHERS.iter().find_map(|kind| name.strip_suffix(kind));
    let like_a_service = of_others.map(|stem| format!("{stem}.service"));
    name.len() <= LONGEST && !name.ends_with(".scope") && is_unit(like_a_service.as_deref().unwrap_or(name))
}

/// The whole name of a unit that is written as people tell it to `systemctl`: without a kind it is a service.
pub fn whole(name: &str) -> Cow<'_, str> {
    let service = format!("{name}.service");
    let has_kind = KINDS.iter().chain(&OTHERS).any(|kind| name.ends_with(kind)) || is_slice(name);
    if !has_kind && is_unit(&service) { service.into() } else { name.into() }
}

/// Whether it is the name of a slice.
pub(super) fn is_slice(name: &str) -> bool {
    let stem = name.strip_suffix(".slice");
    name.len() <= LONGEST && stem.is_some_and(|stem| is_plain(stem) && !stem.contains('@'))
}

/// The name behind that of a control group: systemd writes a `_` before those that the kernel has a use for
/// (`_cpu.service`, beside the kernel's `cpu.stat`) and those that begin with `_` or a dot themselves.
pub(super) fn of_group(group: &str) -> &str {
    group.strip_prefix('_').unwrap_or(group)
}

/// Whether an instance is missing. It begins at the first `@`.
fn is_template(stem: &str) -> bool {
    stem.split_once('@').is_some_and(|(_, instance)| instance.is_empty())
}

fn is_plain(stem: &str) -> bool {
    !stem.is_empty() && stem.bytes().all(|c| c.is_ascii_alphanumeric() || b":-_.\\@".contains(&c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_processes_run_in_is_told_from_what_they_do_not() {
        for name in
            ["a.service", "a@b@c.service", "session-1.scope", "-.mount", r"dev-disk\x2d1.swap", "_a.service"]
        {
            assert!(is_unit(name) && !is_slice(name), "{name}");
        }
        for name in [
            "",
            ".service",
            "a",
            "a.timer",
            "a.slice",
            "a@.service",
            "@b.service",
            "a b.service",
            "a.service (deleted)",
        ] {
            assert!(!is_unit(name), "{name}");
        }
        assert!(is_slice("user-1000.slice") && is_slice(r"system-a\x2db.slice"));
        assert!(!is_slice(".slice") && !is_slice("a@b.slice") && !is_slice("a.slice (deleted)"));
        assert!(
            is_unit(&format!("{}.service", "a".repeat(247)))
                && !is_unit(&format!("{}.service", "a".repeat(248)))
        );
    }

    #[test]
    fn a_name_without_a_kind_is_a_service() {
        for (written, name) in [
            ("nginx", "nginx.service"),
            ("app@1", "app@1.service"),
            ("python3.11", "python3.11.service"),
            ("a.service", "a.service"),
            ("a.scope", "a.scope"),
            ("a.slice", "a.slice"),
            ("a b", "a b"),
            ("a.timer", "a.timer"),
            ("a@.service", "a@.service"),
        ] {
            assert_eq!(whole(written), name);
        }
    }

    #[test]
    fn what_can_be_told_to_restart_is_a_unit_of_a_kind_that_does_something() {
        for name in ["a.service", "a@1.service", "a.socket", "a.timer", "a@1.timer", "a.target", "a.path"] {
            assert!(is_managed(name), "{name}");
        }
        for name in ["a", "a.scope", "a.slice", "a@.timer", "a@.service", ".timer", "a b.timer", "a.device"] {
            assert!(!is_managed(name), "{name}");
        }
    }

    #[test]
    fn one_underscore_is_systemds_own() {
        assert_eq!(of_group("_cpu.service"), "cpu.service");
        assert_eq!(of_group("__a.service"), "_a.service");
        assert_eq!(of_group("a_.service"), "a_.service");
    }
}
