//! Which programs run what somebody else wrote.

use std::path::Path;

/// Programs that run what somebody else wrote: their path says nothing of it. A version may follow the name.
const INTERPRETERS: &[&str] = &[
    "node", "nodejs", "deno", "bun", "python", "pypy", "bash", "sh", "dash", "zsh", "ksh", "fish", "busybox",
    "java", "perl", "ruby", "php", "lua", "luajit", "tclsh", "env", "awk", "gawk", "mawk", "dotnet",
];

/// Whether the path, or what it links to, is an interpreter.
pub fn is_interpreter(path: &Path) -> bool {
    let by_name =
        |path: &Path| path.file_name().and_then(|name| name.to_str()).is_some_and(is_interpreter_name);
    by_name(path) || path.canonicalize().is_ok_and(|path| by_name(&path))
}

fn is_interpreter_name(name: &str) -> bool {
    if name.starts_with("ld-linux") || name.starts_with("ld-musl") || name == "ld.so" {
        return true;
    }
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    INTERPRETERS.contains(&stem)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_known_with_and_without_a_version() {
        for name in ["node", "python3", "python3.12", "bash", "perl5.36.0", "ld-linux-x86-64.so.2", "java"] {
            assert!(is_interpreter_name(name), "{name}");
        }
        for name in ["nginx", "app", "pythonic", "redis-server", "3"] {
            assert!(!is_interpreter_name(name), "{name}");
        }
    }
}
