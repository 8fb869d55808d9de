//! Filters that write bytes as text and read them back.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use zeroize::Zeroizing;

use super::call::{Call, Made};
use super::{Filter, filter};
use crate::template::ledger::Failure;

pub(super) const FILTERS: &[Filter] = &[
    filter("b64encode", b64encode).takes(&["urlsafe"], 0).keeping_marks(),
    filter("b64decode", |call| {
        let decoded = b64decode(&call.text()?).ok_or_else(|| Failure::new("this is not base64"))?;
        bytes(call, &decoded)
    })
    .keeping_marks(),
    filter("hexencode", |call| {
        let input = call.bytes()?;
        let mut out = call.writer(input.len().saturating_mul(2));
        input.iter().try_for_each(|byte| out.push(&[hex(byte >> 4), hex(byte & 15)]))?;
        Ok(Made::Bytes(out))
    })
    .keeping_marks(),
    filter("hexdecode", hexdecode).keeping_marks(),
    filter("urlencode", |call| {
        let input = call.bytes()?;
        let mut out = call.writer(input.len().saturating_mul(3));
        for byte in input.iter() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(&[*byte])?,
                _ => out.push(&[b'%', upper(byte >> 4), upper(byte & 15)])?,
            }
        }
        Ok(Made::Bytes(out))
    })
    .keeping_marks(),
];

fn bytes(call: &Call<'_>, made: &[u8]) -> Result<Made, Failure> {
    let mut out = call.writer(made.len());
    out.push(made)?;
    Ok(Made::Bytes(out))
}

fn b64encode(call: &Call<'_>) -> Result<Made, Failure> {
    let input = call.bytes()?;
    let urlsafe = call.arg_switch(0, "urlsafe")?;
    let encoded = if urlsafe { URL_SAFE_NO_PAD.encode(&input) } else { STANDARD.encode(&input) };
    bytes(call, Zeroizing::new(encoded).as_bytes())
}

/// Both alphabets, padded or not, in lines or not.
pub(super) fn b64decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let plain = |byte: u8| match byte {
        b'-' => b'+',
        b'_' => b'/',
        byte => byte,
    };
    let bytes = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(plain);
    let mut room = Zeroizing::new(Vec::with_capacity(text.len()));
    room.extend(bytes);
    let end = room.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    let padding = room.len() - end;
    if padding > 2 || (padding > 0 && room.len() % 4 != 0) {
        return None;
    }
    STANDARD_NO_PAD.decode(room.get(..end)?).ok().map(Zeroizing::new)
}

fn hexdecode(call: &Call<'_>) -> Result<Made, Failure> {
    let text = call.text()?;
    let text = text.trim().as_bytes();
    let mut out = call.writer(text.len() / 2);
    for pair in text.chunks(2) {
        let byte = match pair {
            [high, low] => digit(*high).zip(digit(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        out.push(&[byte.ok_or_else(|| Failure::new("this is not hexadecimal"))?])?;
    }
    Ok(Made::Bytes(out))
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

fn hex(digit: u8) -> u8 {
    if digit < 10 { b'0' + digit } else { b'a' + digit - 10 }
}

fn upper(digit: u8) -> u8 {
    hex(digit).to_ascii_uppercase()
}

/// Base64 in lines of 64 characters, as PEM has it.
pub(super) fn lines(bytes: &[u8]) -> impl Iterator<Item = Cow<'static, str>> {
    let encoded = Zeroizing::new(STANDARD.encode(bytes));
    let lines: Vec<_> = encoded
        .as_bytes()
        .chunks(64)
        .map(|line| Cow::Owned(String::from_utf8_lossy(line).into_owned()))
        .collect();
    lines.into_iter()
}
