//! `format = "toml"`: the secret as TOML, in the provider's order, tables after the other values as TOML wants it.

use serde::ser::{Error as _, Serialize, SerializeMap, SerializeSeq, Serializer};
use zeroize::Zeroizing;

use super::FormatError;
use super::error::Unfit;
use super::node::{Kind, Node};

const NAME: &str = "toml";

pub(super) fn encode(node: Node<'_>, name: Option<&str>) -> Result<Zeroizing<Vec<u8>>, FormatError> {
    node.check_depth()?;
    check(node, name.unwrap_or_default())?;
    let written = match (node.kind(), name) {
        (Kind::Object, _) => ::toml::to_string(&Toml(node)),
        (_, Some(name)) => ::toml::to_string(&One(name, node)),
        (_, None) => return Err(FormatError::NotNamed),
    };
    written.map(|text| Zeroizing::new(text.into_bytes())).map_err(|_| FormatError::NotNamed)
}

/// As a string of TOML.
pub(super) fn string(value: &str) -> Zeroizing<String> {
    Zeroizing::new(::toml::Value::String(value.to_owned()).to_string())
}

/// That TOML has all that is there: it has no null, and only numbers of 64 bits.
fn check(node: Node<'_>, name: &str) -> Result<(), FormatError> {
    let unfit = |why| Err(Unfit { format: NAME, why }.of_value(name));
    match node.kind() {
        Kind::Object => node.entries()?.into_iter().try_for_each(|(name, node)| check(node, &name)),
        Kind::List => node.items()?.into_iter().try_for_each(|node| check(node, name)),
        Kind::Text => node.text(name).map(drop),
        Kind::Null => unfit("it is null, which TOML does not have"),
        Kind::Number => number(node).map_or_else(|| unfit("it is a number of more than 64 bits"), |_| Ok(())),
        Kind::Bool => Ok(()),
    }
}

enum Number {
    Whole(i64),
    Real(f64),
}

fn number(node: Node<'_>) -> Option<Number> {
    let text = node.raw().get();
    if text.contains(['.', 'e', 'E']) {
        text.parse().ok().filter(|real: &f64| real.is_finite()).map(Number::Real)
    } else {
        text.parse().ok().map(Number::Whole)
    }
}

/// One value by its name.
struct One<'a>(&'a str, Node<'a>);

impl Serialize for One<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map([(self.0, Toml(self.1))])
    }
}

struct Toml<'a>(Node<'a>);

impl Serialize for Toml<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(node) = *self;
        match node.kind() {
            Kind::Object => {
                let mut map = to.serialize_map(None)?;
                for (name, node) in node.entries().map_err(S::Error::custom)? {
                    map.serialize_entry(&name, &Toml(node))?;
                }
                map.end()
            }
            Kind::List => {
                let mut list = to.serialize_seq(None)?;
                for node in node.items().map_err(S::Error::custom)? {
                    list.serialize_element(&Toml(node))?;
                }
                list.end()
            }
            Kind::Bool => to.serialize_bool(node.raw().get() == "true"),
            Kind::Number => match number(node) {
                Some(Number::Whole(number)) => to.serialize_i64(number),
                Some(Number::Real(number)) => to.serialize_f64(number),
                None => Err(S::Error::custom("a number that was checked")),
            },
            Kind::Text => to.serialize_str(&node.text("").map_err(S::Error::custom)?),
            Kind::Null => Err(S::Error::custom("a null that was checked")),
        }
    }
}
