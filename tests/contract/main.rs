//! What every provider must do, against the real server or the nearest thing to it, and behind a network that misbehaves.
//!
//! A provider has one file here, which says what its server is ([`upstream::Upstream`]), and a line that runs the cases
//! (`contract!`). What it alone can do is tested in the same file. The servers are those of `scripts/test` (Python packages in
//! `target/python`); a test whose server is missing fails.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may panic"
)]

mod cases;
mod listing;
#[cfg(any(feature = "vault", feature = "aws"))]
mod mounted;
mod network;
mod process;
#[cfg(any(feature = "vault", feature = "aws"))]
#[allow(dead_code, reason = "the tests of the mount use more of it")]
#[path = "../mount/support.rs"]
mod support;
mod tls;
mod upstream;

/// Runs all cases against a kind of provider: `contract!(name, Type)` for a server that is reached by HTTP, and
/// `contract!(name, Type, local)` for what is reached without a network.
macro_rules! contract {
    ($module:ident, $upstream:ty) => {
        contract!($module, $upstream, local);
        mod over_the_network {
            use super::*;
            contract!(@ $upstream: a_server_that_is_down, a_server_that_hangs, a_slow_trickle, too_many_requests,
                errors_of_the_server, garbage, a_truncated_body, a_huge_body, a_redirect_elsewhere,
                a_certificate_of_our_own_authority, a_certificate_of_somebody_else, a_wrong_host_name,
                an_expired_certificate, a_server_that_comes_back, a_list_in_bad_weather, in_the_fetcher_with_our_own_authority);
        }
    };
    ($module:ident, $upstream:ty, local) => {
        contract!(@ $upstream: found, missing, a_missing_version, refused, wrong_credentials, revoked_credentials, rotation,
            a_version_that_is_pinned, unicode, binary, concurrent_fetches, logging_in, nothing_is_said_twice, in_the_fetcher, a_list, a_list_of_nothing, a_list_without_rights,
            a_list_from_the_fetcher);
    };
    (@ $upstream:ty: $($case:ident),+) => {
        $(#[test] fn $case() { crate::cases::$case::<$upstream>(); })+
    };
}
pub(crate) use contract;

#[cfg(feature = "aws")]
mod aws;
#[cfg(feature = "command")]
mod command;
#[cfg(feature = "command")]
mod command_docs;
#[cfg(feature = "gcp")]
mod gcp;
mod store;
#[cfg(feature = "vault")]
mod vault;
