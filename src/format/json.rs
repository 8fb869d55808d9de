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
        (Kind::Object | Kind::List, _) => Json { node, marks_below: None }.serialize(&mut json),
        (_, Some(name)) => json.collect_map([(name, Json { node, marks_below: None })]),
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
    /// Where there is a mark in the place of each value: how many objects and lists deep it still looks for values.
    pub(super) marks_below: Option<usize>,
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let node = self.node;
        let below = |node| Self { node, marks_below: self.marks_below.map(|depth| depth.saturating_sub(1)) };
        match (node.kind(), self.marks_below) {
            (Kind::Object, None | Some(1..)) => {
                let mut map = to.serialize_map(None)?;
                for (name, node) in node.entries().map_err(S::Error::custom)? {
                    map.serialize_entry(&name, &below(node))?;
                }
                map.end()
            }
            (Kind::List, None | Some(1..)) => {
                let mut list = to.serialize_seq(None)?;
                for node in node.items().map_err(S::Error::custom)? {
                    list.serialize_element(&below(node))?;
                }
                list.end()
            }
            (_, Some(_)) => {
                to.serialize_str(&mark(node.text("").map_or(node.raw().get().len(), |text| text.len())))
            }
            (Kind::Text, None) => to.serialize_str(&node.text("").map_err(S::Error::custom)?),
            (_, None) => node.raw().serialize(to),
        }
    }
}
