//! The form of AWS's own files: sections, and in each `key = value`.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

/// A section's name, and what it says. Values may be keys.
pub(super) type Sections = BTreeMap<String, Section>;
/// What one section says.
pub(super) type Section = BTreeMap<String, Zeroizing<String>>;

/// The name of a section for what stands above the first one.
pub(super) const TOP: &str = "";

/// Reads such a file. An error is the number of the line at fault.
pub(super) fn parse(bytes: &[u8]) -> Result<Sections, usize> {
    let mut sections = Sections::new();
    let mut name = TOP.to_owned();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let line = std::str::from_utf8(line).map_err(|_| number + 1)?;
        // A line that is moved in belongs to the value above it, which is then none that is asked for here.
        let moved_in = line.starts_with([' ', '\t']) && name != TOP;
        let text = line.trim();
        if text.is_empty() || text.starts_with(['#', ';']) || moved_in {
            continue;
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, _) = rest.split_once(']').ok_or(number + 1)?;
            name = inside.split_whitespace().collect::<Vec<_>>().join(" ");
            sections.entry(name.clone()).or_default();
            continue;
        }
        let (key, value) = text.split_once('=').ok_or(number + 1)?;
        let comment = [" #", " ;", "\t#", "\t;"].into_iter().filter_map(|sign| value.find(sign)).min();
        let value = value.get(..comment.unwrap_or(value.len())).unwrap_or_default().trim();
        let value = Zeroizing::new(value.to_owned());
        sections.entry(name.clone()).or_default().insert(key.trim().to_ascii_lowercase(), value);
    }
    Ok(sections)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_keys_and_comments() {
        let text = b"top = 1\n# c\n[default]\r\nAWS_Access_Key_Id = A  # c\nsecret=a=b#c\n\n[ profile   x ] ; c\ns3 =\n  nested = 1\nregion=r\n";
        let sections = parse(text).unwrap();
        let value =
            |section: &str, key: &str| sections.get(section)?.get(key).map(|value| value.as_str().to_owned());
        assert_eq!(value(TOP, "top").as_deref(), Some("1"));
        assert_eq!(value("default", "aws_access_key_id").as_deref(), Some("A"));
        assert_eq!(value("default", "secret").as_deref(), Some("a=b#c"));
        assert_eq!(value("profile x", "region").as_deref(), Some("r"));
        assert_eq!(value("profile x", "nested"), None);
    }

    #[test]
    fn a_line_that_is_neither_is_named_by_its_number() {
        assert_eq!(parse(b"[a]\nb\n"), Err(2));
        assert_eq!(parse(b"\n[a\n"), Err(2));
        assert_eq!(parse(b"[a]\nb = \xff\n"), Err(2));
    }
}
