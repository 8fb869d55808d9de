//! stub
use super::*;
pub(super) const KIND: Kind = Kind { name: "store", about: "", check: |_, _| Ok(vec![]), open: |_, _| Err(SettingsError { key: None, message: "stub".into(), hint: None }) };
