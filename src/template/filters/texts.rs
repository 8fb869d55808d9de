//! Filters of texts.

use minijinja::Value;

use super::call::{Call, Made, everywhere};
use super::{Filter, filter};
use crate::template::json;
use crate::template::ledger::Failure;

pub(super) const FILTERS: &[Filter] = &[
    filter("trim", |call| {
        let text = call.text()?;
        made(call, text.trim())
    }),
    filter("upper", |call| each_char(call, |c, out| c.to_uppercase().try_for_each(out))).keeping_marks(),
    filter("lower", |call| each_char(call, |c, out| c.to_lowercase().try_for_each(out))).keeping_marks(),
    filter("replace", replace).takes(&["old", "new"], 2),
    filter("indent", indent).takes(&["width", "first"], 1),
    filter("split", split).takes(&["separator"], 1),
    filter("lines", |call| {
        let text = call.text()?;
        if call.is_mark() {
            return Ok(everywhere(&text));
        }
        let lines = call.collect(text.lines().map(Value::from))?;
        Ok(Made::Value(Value::from(lines)))
    }),
    filter("unescape_newlines", unescape_newlines),
    filter("string", |call| {
        let text = call.text()?;
        made(call, &text)
    }),
    filter("int", int).keeping_marks(),
    filter("tojson", |call| {
        let indent = call.arg_number(0, "indent", 16)?;
        let mut out = call.writer(0);
        json::write(call.input, indent, 0, call.ledger, &mut out)?;
        Ok(Made::Bytes(out))
    })
    .takes(&["indent"], 0),
];

fn made(call: &Call<'_>, text: &str) -> Result<Made, Failure> {
    let mut out = call.writer(text.len());
    out.push_str(text)?;
    Ok(Made::Bytes(out))
}

fn each_char(
    call: &Call<'_>,
    write: impl Fn(char, &mut dyn FnMut(char) -> Result<(), Failure>) -> Result<(), Failure>,
) -> Result<Made, Failure> {
    let text = call.text()?;
    let mut out = call.writer(text.len());
    text.chars().try_for_each(|c| write(c, &mut |c| out.push_char(c)))?;
    Ok(Made::Bytes(out))
}

fn replace(call: &Call<'_>) -> Result<Made, Failure> {
    let (text, old, new) = (call.text()?, call.arg_text(0, "old")?, call.arg_text(1, "new")?);
    if old.is_empty() {
        return Err(Failure::new("`old` is empty"));
    }
    let mut out = call.writer(text.len());
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once(old) {
        out.push_str(before)?;
        out.push_str(new)?;
        rest = after;
    }
    out.push_str(rest)?;
    Ok(Made::Bytes(out))
}

/// Every line but the first gets the spaces, empty lines get none.
fn indent(call: &Call<'_>) -> Result<Made, Failure> {
    let text = call.text()?;
    let width = call.arg_number(0, "width", 64)?.unwrap_or(4);
    let first = call.arg_switch(1, "first")?;
    let spaces = " ".repeat(width);
    let mut out = call.writer(text.len());
    for (nth, line) in text.split_inclusive('\n').enumerate() {
        if (nth > 0 || first) && !matches!(line, "\n" | "\r\n") {
            out.push_str(&spaces)?;
        }
        out.push_str(line)?;
    }
    Ok(Made::Bytes(out))
}

fn split(call: &Call<'_>) -> Result<Made, Failure> {
    let (text, separator) = (call.text()?, call.arg_text(0, "separator")?);
    if separator.is_empty() {
        return Err(Failure::new("`separator` is empty"));
    }
    if call.is_mark() {
        return Ok(everywhere(&text));
    }
    let parts = call.collect(text.split(separator).map(Value::from))?;
    Ok(Made::Value(Value::from(parts)))
}

/// `\n` as two characters is a line end: so keys are kept where there is one line for each.
fn unescape_newlines(call: &Call<'_>) -> Result<Made, Failure> {
    let text = call.text()?;
    let mut out = call.writer(text.len());
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once("\\n") {
        out.push_str(before.strip_suffix("\\r").unwrap_or(before))?;
        out.push_str("\n")?;
        rest = after;
    }
    out.push_str(rest)?;
    Ok(Made::Bytes(out))
}

fn int(call: &Call<'_>) -> Result<Made, Failure> {
    let text = call.text()?;
    let number = text.trim().parse::<i64>();
    let number = number.map_err(|_| Failure::new("this is not a whole number"))?;
    Ok(Made::Value(Value::from(number)))
}
