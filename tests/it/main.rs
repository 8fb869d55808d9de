//! Integration tests: the real binary, in a directory of its own.

mod store;
