//! Filters of lists and objects.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::call::{Call, Made};
use super::{Filter, filter};
use crate::template::json;
use crate::template::ledger::Failure;

pub(super) const FILTERS: &[Filter] = &[
    filter("default", default).takes(&["value", "boolean"], 1),
    filter("length", length),
    filter("join", join).takes(&["separator"], 0),
    filter("first", |call| one(call, call.items()?.into_iter().next())),
    filter("last", |call| one(call, call.items()?.into_iter().next_back())),
    filter("items", |call| {
        let pairs = call.pairs()?.into_iter().map(|(key, value)| Value::from(vec![key, value]));
        Ok(Made::Value(Value::from(pairs.collect::<Vec<_>>())))
    }),
    filter("keys", |call| {
        let keys = call.pairs()?.into_iter().map(|(key, _)| key);
        Ok(Made::Value(Value::from(keys.collect::<Vec<_>>())))
    }),
    filter("values", |call| {
        let values = call.pairs()?.into_iter().map(|(_, value)| value);
        Ok(Made::Value(Value::from(values.collect::<Vec<_>>())))
    }),
    filter("sort", sort).takes(&["reverse"], 0),
];

fn default(call: &Call<'_>) -> Result<Made, Failure> {
    let instead = call.args.first().filter(|value| !value.is_undefined()).ok_or(Failure::Undefined)?;
    let missing = call.input.is_undefined();
    if missing {
        call.ledger.found();
    }
    let empty = call.arg_switch(1, "boolean")? && !call.input.is_true();
    Ok(Made::Value(if missing || empty { instead.clone() } else { call.input.clone() }))
}

fn length(call: &Call<'_>) -> Result<Made, Failure> {
    let length = match call.input.as_str() {
        Some(_) => call.text()?.chars().count(),
        None => call.items()?.len(),
    };
    Ok(Made::Value(Value::from(length)))
}

fn join(call: &Call<'_>) -> Result<Made, Failure> {
    let separator = call.arg_text_or(0, "separator", "")?;
    let mut out = call.writer(0);
    for (nth, item) in call.items()?.iter().enumerate() {
        if nth > 0 {
            out.push_str(separator)?;
        }
        out.push_str(&json::text(item, call.ledger)?)?;
    }
    Ok(Made::Bytes(out))
}

fn one(_: &Call<'_>, item: Option<Value>) -> Result<Made, Failure> {
    item.map(Made::Value).ok_or_else(|| Failure::new("the list is empty"))
}

/// Texts by their bytes, or numbers by their size.
fn sort(call: &Call<'_>) -> Result<Made, Failure> {
    let mut items = call.items()?;
    let all = |kind| items.iter().all(|item| item.kind() == kind);
    if !all(ValueKind::String) && !all(ValueKind::Number) {
        return Err(Failure::new("only texts, or numbers, can be sorted"));
    }
    let bytes: usize = items.iter().filter_map(Value::as_str).map(str::len).sum();
    call.ledger.step(items.len().saturating_mul(16).saturating_add(bytes / 4))?;
    items.sort();
    if call.arg_switch(0, "reverse")? {
        items.reverse();
    }
    Ok(Made::Value(Value::from(items)))
}
