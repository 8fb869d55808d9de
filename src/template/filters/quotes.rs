//! Filters that write a text as others read it back.

use super::call::{Call, Made};
use super::{Filter, filter};
use crate::template::ledger::Failure;
use crate::template::quoting;

pub(super) const FILTERS: &[Filter] = &[
    filter("quote_sh", |call| quoted(call, quoting::sh)),
    filter("quote_env", |call| quoted(call, quoting::dotenv)),
    filter("quote_yaml", |call| quoted(call, quoting::yaml)),
    filter("quote_toml", |call| quoted(call, quoting::toml)),
    filter("quote_ini", |call| quoted(call, quoting::ini)),
    filter("quote_properties", |call| quoted(call, quoting::properties)),
];

fn quoted(call: &Call<'_>, quote: fn(&str) -> zeroize::Zeroizing<String>) -> Result<Made, Failure> {
    let quoted = quote(&call.text()?);
    let mut out = call.writer(quoted.len());
    out.push_str(&quoted)?;
    Ok(Made::Bytes(out))
}
