//! Bytes by chance, for what reads references, writes formats and compiles templates: some hundred inputs each in every run of the tests.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "clippy.toml allows these in test functions, and what they call is part of the test"
)]

use proptest::collection::vec;
use proptest::prelude::*;

mod bodies;

/// Bytes of which many are special to some format.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let special = prop::sample::select(b"'\"`\\${}#=;:%! \t\n\r[]()<>&*|~?@-_/,nrtuxa10\0\x07\x7f".to_vec());
    vec(prop_oneof![4 => special, 1 => any::<u8>()], 0..200)
}

proptest! {
    #[test]
    fn references_are_printed_as_they_were_parsed(text in "\\PC*", shaped in "[a-z:/#?=.~0v]{0,30}") {
        bodies::references(text.as_bytes());
        bodies::references(shaped.as_bytes());
    }

    #[test]
    fn what_is_written_is_read_back(data in bytes()) {
        bodies::formats(&data);
    }

    #[test]
    fn templates_do_not_panic_and_keep_within_bounds(
        text in "(\\{\\{|\\}\\}|\\{%|%\\}|secret\\(|\"p:a\"|\"p:a#b\"|secret_json|\\)|\\||[ -~\n]){0,30}"
    ) {
        bodies::templates(text.as_bytes());
    }
}
