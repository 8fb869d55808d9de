//! stub
/// Caller
pub struct Caller;
/// Attestor
pub struct Attestor;
/// Refusal
pub struct Refusal;
