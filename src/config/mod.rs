//! The configuration: raw -> checked.
//!
//! This folder owns reading TOML, reporting every mistake with its place, and handing out what can no longer be wrong.

pub mod checked;
