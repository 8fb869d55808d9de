//! Values as text, and as JSON.

use std::borrow::Cow;
use std::fmt;

use minijinja::Value;
use minijinja::value::{ObjectRepr, ValueKind};

use super::ledger::{Failure, Ledger};
use super::writer::Writer;

/// A value as it is printed: text as it is, everything else as JSON has it.
pub(super) fn text<'v>(value: &'v Value, ledger: &Ledger) -> Result<Cow<'v, str>, Failure> {
    match value.as_str() {
        Some(text) => Ok(Cow::Borrowed(text)),
        None => {
            let mut written = Writer::new(ledger.max, 0);
            write(value, None, 0, ledger, &mut written)?;
            Ok(Cow::Owned(written.text()?.to_owned()))
        }
    }
}

/// Writes JSON: with line ends and so many spaces for each level, or in one line.
pub(super) fn write(
    value: &Value,
    indent: Option<usize>,
    level: usize,
    ledger: &Ledger,
    out: &mut Writer,
) -> Result<(), Failure> {
    ledger.step(1)?;
    match value.kind() {
        ValueKind::Undefined => Err(Failure::Undefined),
        ValueKind::None => out.push_str("null"),
        ValueKind::Bool => out.push_str(if value.is_true() { "true" } else { "false" }),
        ValueKind::Number => number(value, out),
        ValueKind::String => string(value.as_str().unwrap_or_default(), ledger, out),
        ValueKind::Map | ValueKind::Seq | ValueKind::Iterable => container(value, indent, level, ledger, out),
        _ => {
            // A number that stays as it is written. Bytes are written as nothing, and the ledger has why.
            out.push_str(&value.to_string())?;
            ledger.failed().map_or(Ok(()), Err)
        }
    }
}

fn number(value: &Value, out: &mut Writer) -> Result<(), Failure> {
    if value.is_integer() {
        return out.push_str(&value.to_string());
    }
    match f64::try_from(value.clone()) {
        Ok(number) if number.is_finite() => out.push_str(&number.to_string()),
        _ => Err(Failure::new("the number is too large")),
    }
}

fn string(text: &str, ledger: &Ledger, out: &mut Writer) -> Result<(), Failure> {
    ledger.step(text.len() / 8)?;
    serde_json::to_writer(out, text).map_err(|_| Failure::TooLarge)
}

fn container(
    value: &Value,
    indent: Option<usize>,
    level: usize,
    ledger: &Ledger,
    out: &mut Writer,
) -> Result<(), Failure> {
    let unreadable = || Failure::new("this cannot be read as a list");
    let is_map = value.kind() == ValueKind::Map;
    let mut first = true;
    let mut entry = |key: Option<&Value>, item: &Value, out: &mut Writer| {
        if !first {
            out.push(b",")?;
        }
        first = false;
        line(indent, level + 1, out)?;
        if let Some(key) = key {
            string(&text(key, ledger)?, ledger, out)?;
            out.push(if indent.is_some() { b": " } else { b":" })?;
        }
        write(item, indent, level + 1, ledger, out)
    };
    out.push(if is_map { b"{" } else { b"[" })?;
    if is_map {
        let object = value.as_object().filter(|object| object.repr() == ObjectRepr::Map);
        let mut pairs = object.and_then(|object| object.try_iter_pairs()).ok_or_else(unreadable)?;
        pairs.try_for_each(|(key, item)| entry(Some(&key), &item, out))?;
    } else {
        value.try_iter().map_err(|_| unreadable())?.try_for_each(|item| entry(None, &item, out))?;
    }
    if !first {
        line(indent, level, out)?;
    }
    out.push(if is_map { b"}" } else { b"]" })
}

fn line(indent: Option<usize>, level: usize, out: &mut Writer) -> Result<(), Failure> {
    let Some(indent) = indent else { return Ok(()) };
    out.push(b"\n")?;
    (0..indent.saturating_mul(level)).try_for_each(|_| out.push(b" "))
}

/// Where the engine makes a text of a value. It takes no error: that is in the ledger.
pub(super) fn render(value: &Value, ledger: &Ledger, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut out = Writer::new(ledger.max, 0);
    match write(value, None, 0, ledger, &mut out).and_then(|()| Ok(f.write_str(out.text()?))) {
        Ok(written) => written,
        Err(failure) => {
            ledger.fail(failure);
            Ok(())
        }
    }
}
