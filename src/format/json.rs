//! `format = "json"`: the secret as JSON, set in lines, in the provider's order, with a line end.

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use zeroize::Zeroizing;

use super::FormatError;
use super::mark::mark;
use super::node::{Kind, Node};

pub(super) fn encode(node: Node<'_>, name: Option<&str>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    node.check_depth()?;
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    let mut json = serde_json::Serializer::pretty(&mut *text);
    let written = match (node.kind(), name) {
        (Kind::Object | Kind::List, _) => Json { node, marked: false }.serialize(&mut json),
        (_, Some(name)) => json.collect_map([(name, Json { node, marked: false })]),
        (_, None) => return Err(FormatError::NotNamed),
    };
    // Into memory: nothing fails but what is no text.
    written.map_err(|_| FormatError::NotText(name.unwrap_or_default().to_owned()))?;
    text.push(b'\n');
    Ok(text)
}

/// A value that writes its numbers as they were.
pub(super) struct Json<'a> {
    pub(super) node: Node<'a>,
    /// Whether there is a mark in the place of each value.
    pub(super) marked: bool,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { node, marked } = *self;
        match node.kind() {
            Kind::Object => {
                let mut map = to.serialize_map(None)?;
                for (name, node) in node.entries().map_err(S::Error::custom)? {
                    map.serialize_entry(&name, &Json { node, marked })?;
                }
                map.end()
            }
            Kind::List => {
                let mut list = to.serialize_seq(None)?;
                for node in node.items().map_err(S::Error::custom)? {
                    list.serialize_element(&Json { node, marked })?;
                }
                list.end()
            }
            _ if marked => {
                let text = node.text("").map_err(S::Error::custom)?;
                to.serialize_str(&mark(text.len()))
            }
            Kind::Text => to.serialize_str(&node.text("").map_err(S::Error::custom)?),
            Kind::Number | Kind::Bool | Kind::Null => node.raw().serialize(to),
        }
    }
}
