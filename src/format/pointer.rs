//! What a key names: a named value of the secret, or a JSON pointer (RFC 6901) into it.

use std::borrow::Cow;

use super::FormatError;
use super::node::{Kind, Node};

/// What `key` names in `root`, and what that is called there. A name that is there as it is written goes first.
pub(super) fn find<'a>(root: Node<'a>, key: &str) -> Result<(Cow<'a, str>, Node<'a>), FormatError> {
    if !matches!(root.kind(), Kind::Object | Kind::List) {
        return Err(FormatError::NotNamed);
    }
    if let Some(found) = named(root, key)? {
        return Ok(found);
    }
    let missing = || FormatError::NoSuchKey(key.to_owned());
    let path = key.strip_prefix('/').ok_or_else(missing)?;
    let mut at = (Cow::Borrowed(""), root);
    for token in path.split('/') {
        at = step(at.1, token)?.ok_or_else(missing)?;
    }
    Ok(at)
}

fn step<'a>(node: Node<'a>, token: &str) -> Result<Option<(Cow<'a, str>, Node<'a>)>, FormatError> {
    if node.kind() != Kind::List {
        // The order is the one that RFC 6901 gives: `~01` is `~1`.
        return named(node, &token.replace("~1", "/").replace("~0", "~"));
    }
    let digits = token.bytes().all(|byte| byte.is_ascii_digit()) && (token == "0" || !token.starts_with('0'));
    let Some(index) = token.parse::<usize>().ok().filter(|_| digits) else { return Ok(None) };
    Ok(node.items()?.get(index).map(|item| (Cow::Owned(token.to_owned()), *item)))
}

fn named<'a>(node: Node<'a>, name: &str) -> Result<Option<(Cow<'a, str>, Node<'a>)>, FormatError> {
    Ok(node.entries()?.into_iter().find(|(known, _)| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::SecretBytes;

    fn at(secret: &str, key: &str) -> Result<String, FormatError> {
        let secret = SecretBytes::copy_from(secret.as_bytes());
        let (_, node) = find(Node::parse(&secret)?, key)?;
        node.text(key).map(Cow::into_owned)
    }

    /// Its examples, but for those with a quote or backslash in the name, and the empty one, which is no key here.
    #[test]
    fn the_examples_of_rfc_6901_are_found() {
        let secret =
            r#"{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\j":5,"k\"l":6," ":7,"m~n":8}"#;
        for (pointer, value) in [
            ("/foo", r#"["bar","baz"]"#),
            ("/foo/0", "bar"),
            ("/", "0"),
            ("/a~1b", "1"),
            ("/c%d", "2"),
            ("/e^f", "3"),
            ("/g|h", "4"),
            ("/i\\j", "5"),
            ("/k\"l", "6"),
            ("/ ", "7"),
            ("/m~0n", "8"),
            ("foo", r#"["bar","baz"]"#),
        ] {
            assert_eq!(at(secret, pointer).as_deref(), Ok(value), "{pointer}");
        }
        for pointer in
            ["/foo/2", "/foo/00", "/foo/01", "/foo/-", "/foo/+1", "/foo/", "/foo/0/x", "/x", "x", "foo/0"]
        {
            assert_eq!(at(secret, pointer), Err(FormatError::NoSuchKey(pointer.into())), "{pointer}");
        }
    }

    #[test]
    fn a_name_that_looks_like_a_pointer_goes_first() {
        let secret = r#"{"/a":"name","a":"pointer","~1":"odd"}"#;
        assert_eq!(at(secret, "/a").as_deref(), Ok("name"));
        assert_eq!(at(secret, "/~01").as_deref(), Ok("odd"));
        assert_eq!(at("[[1,[2]]]", "/0/1/0").as_deref(), Ok("2"));
        assert_eq!(at("plain", "/0"), Err(FormatError::NotNamed));
        assert_eq!(at("\"a\"", "/0"), Err(FormatError::NotNamed));
    }
}
