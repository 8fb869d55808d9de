//! Names of scopes and files: what can be a name in a directory and in a terminal.

/// Linux allows no longer one (`NAME_MAX`).
const MAX_BYTES: usize = 255;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NameError {
    #[error("a name cannot be empty")]
    Empty,
    #[error("`.` and `..` are no names")]
    Dots,
    #[error("a name cannot contain `/`: there are no directories in a scope")]
    Slash,
    #[error("a name cannot contain control characters")]
    Control,
    #[error("a name cannot be longer than 255 bytes")]
    Long,
}

/// Whether it can be the name of a directory or file.
pub(super) fn check(name: &str) -> Result<(), NameError> {
    match name {
        "" => Err(NameError::Empty),
        "." | ".." => Err(NameError::Dots),
        _ if name.contains('/') => Err(NameError::Slash),
        _ if name.chars().any(char::is_control) => Err(NameError::Control),
        _ if name.len() > MAX_BYTES => Err(NameError::Long),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_spaces_dots_and_any_script() {
        for name in ["token", ".env", "mcp.json", "my token", "ключ", "...", "a:b"] {
            assert_eq!(check(name), Ok(()), "{name:?}");
        }
        assert_eq!(check(&"ü".repeat(127)), Ok(()));
    }

    #[test]
    fn what_a_directory_cannot_hold_is_no_name() {
        assert_eq!(check(""), Err(NameError::Empty));
        assert_eq!(check(".."), Err(NameError::Dots));
        assert_eq!(check("a/b"), Err(NameError::Slash));
        assert_eq!(check("a\0b"), Err(NameError::Control));
        assert_eq!(check("a\nb"), Err(NameError::Control));
        assert_eq!(check(&"ü".repeat(128)), Err(NameError::Long));
    }
}
