//! Names of what a provider has, as names in a directory: safe, and to be read back.
//!
//! A `%` and two hexadecimal digits stand for a byte that cannot be there as it is: `/`, NUL and other control characters, `%` itself, and
//! the dots of `.` and `..`. Everything else is as the provider has it, so nearly all names are the same.

/// Linux allows no longer one (`NAME_MAX`), in bytes.
const LONGEST: usize = 255;

/// Why something cannot have a name in a directory.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It has no name.
    #[error("its name is empty")]
    Empty,
    /// Its name is too long.
    #[error("its name would have {0} bytes, and a file's has 255 at most")]
    Long(usize),
    /// A name that no reference has a place for.
    #[error("its name cannot stand in a reference")]
    NoReference,
    /// A directory has the name already.
    #[error("there are secrets below it as well, in a directory of that name")]
    Directory,
    /// There are too many.
    #[error("there are more than {0}")]
    TooMany(usize),
}

/// The name of a file for what the provider calls so.
///
/// # Errors
/// It has none.
pub(super) fn safe(name: &str) -> Result<String, Unfit> {
    let dots = matches!(name, "." | "..");
    let mut safe = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '/' | '%' => escape(c, &mut safe),
            '.' if dots => escape(c, &mut safe),
            c if c.is_control() => escape(c, &mut safe),
            c => safe.push(c),
        }
    }
    match safe.len() {
        0 => Err(Unfit::Empty),
        len if len > LONGEST => Err(Unfit::Long(len)),
        _ => Ok(safe),
    }
}

fn escape(c: char, to: &mut String) {
    let mut bytes = [0; 4];
    for byte in c.encode_utf8(&mut bytes).bytes() {
        to.push_str(&format!("%{byte:02X}"));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a file's name stands for.
    fn read_back(safe: &str) -> String {
        let mut bytes = Vec::new();
        let mut rest = safe.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            if *first == b'%' {
                let digits = std::str::from_utf8(&after[..2]).unwrap();
                bytes.push(u8::from_str_radix(digits, 16).unwrap());
                rest = &after[2..];
            } else {
                bytes.push(*first);
                rest = after;
            }
        }
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn what_a_directory_cannot_hold_is_written_otherwise() {
        for (name, file) in [
            ("token", "token"),
            (".env", ".env"),
            ("..", "%2E%2E"),
            (".", "%2E"),
            ("...", "..."),
            ("a/b", "a%2Fb"),
            ("../../etc/passwd", "..%2F..%2Fetc%2Fpasswd"),
            ("nul\0", "nul%00"),
            ("100%", "100%25"),
            ("two\nlines", "two%0Alines"),
            ("\u{85}", "%C2%85"),
            ("kü ch#e", "kü ch#e"),
        ] {
            assert_eq!(safe(name).as_deref(), Ok(file), "{name:?}");
        }
        assert_eq!(safe(""), Err(Unfit::Empty));
        assert_eq!(safe(&"x".repeat(300)), Err(Unfit::Long(300)));
        assert_eq!(safe(&"/".repeat(86)), Err(Unfit::Long(258)));
    }

    proptest! {
        #[test]
        fn a_name_is_safe_and_stands_for_one_thing_alone(name in any::<String>()) {
            if let Ok(file) = safe(&name) {
                prop_assert!(!file.contains('/') && !file.chars().any(char::is_control) && file != "." && file != "..");
                prop_assert_eq!(read_back(&file), name);
            }
        }
    }
}
