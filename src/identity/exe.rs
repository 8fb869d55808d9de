//! stub
use super::*;
use std::path::PathBuf;
pub(super) const KIND: SelectorKind = SelectorKind { key: "exe", about: "", strength: Strength::Medium, parse: |value| Ok(Box::new(Reference { path: value.as_str().unwrap_or("").into() })) };
/// An executable that a rule names.
pub struct Reference {
    /// Its path.
    pub path: PathBuf,
}
impl Selector for Reference {
    fn matches(&self, who: &Identity) -> bool { who.exe.as_ref().is_some_and(|exe| std::path::Path::new(&exe.path) == self.path) }
    fn describe(&self) -> String { format!("exe:{}", self.path.display()) }
    fn executable(&self) -> Option<&Reference> { Some(self) }
}
