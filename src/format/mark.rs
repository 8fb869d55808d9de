//! What stands for a value that is not shown.

/// What is shown in the place of a value of so many bytes.
pub fn mark(len: usize) -> String {
    format!("‹secret:{len} bytes›")
}
