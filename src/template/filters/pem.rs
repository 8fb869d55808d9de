//! Filters of certificates and keys.

use super::call::{Call, Made};
use super::encodings::{b64decode, lines};
use super::{Filter, filter};
use crate::template::ledger::Failure;
use crate::template::tree::Blob;
use crate::template::writer::Writer;

pub(super) const FILTERS: &[Filter] = &[
    filter("pem_certs", |call| {
        let text = call.text()?;
        let mut out = call.writer(text.len());
        for block in blocks(&text).filter(|block| block.label == "CERTIFICATE") {
            block.write(&mut out)?;
        }
        if out.bytes().is_empty() {
            return Err(Failure::new("there is no block `BEGIN CERTIFICATE`"));
        }
        Ok(Made::Bytes(out))
    })
    .keeping_marks(),
    filter("pem_key", |call| {
        let text = call.text()?;
        let mut out = call.writer(text.len());
        let key = blocks(&text).find(|block| block.label.ends_with("PRIVATE KEY"));
        key.ok_or_else(|| Failure::new("there is no block `BEGIN … PRIVATE KEY`"))?.write(&mut out)?;
        Ok(Made::Bytes(out))
    })
    .keeping_marks(),
    filter("pem", pem).takes(&["label"], 1).keeping_marks(),
];

/// A block of PEM.
struct Block<'t> {
    label: &'t str,
    body: &'t str,
}

/// The blocks of a text that have an end.
fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            let (_, begun) = rest.split_once("-----BEGIN ")?;
            rest = begun;
            let Some((label, after)) = begun.split_once("-----") else { continue };
            if label.contains(['\n', '\r']) {
                continue;
            }
            // Each block ends before the next begins, so all of them are one pass.
            let (within, next) = after.split_at(after.find("-----BEGIN ").unwrap_or(after.len()));
            rest = next;
            let body = within
                .split_once("-----END ")
                .filter(|(_, end)| end.strip_prefix(label).is_some_and(|end| end.starts_with("-----")));
            if let Some((body, _)) = body {
                return Some(Block { label, body });
            }
        }
    })
}

impl Block<'_> {
    /// Writes it with line ends of one kind, in lines of 64 characters, without what stands around it.
    fn write(&self, out: &mut Writer) -> Result<(), Failure> {
        begin(self.label, out)?;
        // A key that is encrypted the old way says how in lines of its own.
        let is_header = |line: &&str| line.contains(':');
        let headers =
            self.body.lines().map(str::trim).skip_while(|line| line.is_empty()).take_while(is_header);
        let mut within = 0;
        for header in headers {
            out.push_str(header)?;
            out.push(b"\n")?;
            within += 1;
        }
        if within > 0 {
            out.push(b"\n")?;
        }
        let body = self.body.lines().map(str::trim).skip_while(|line| line.is_empty()).skip(within);
        let mut column = 0;
        for byte in body.flat_map(str::bytes).filter(|byte| !byte.is_ascii_whitespace()) {
            if column == 64 {
                out.push(b"\n")?;
                column = 0;
            }
            out.push(&[byte])?;
            column += 1;
        }
        if column > 0 {
            out.push(b"\n")?;
        }
        end(self.label, out)
    }
}

fn begin(label: &str, out: &mut Writer) -> Result<(), Failure> {
    out.push_str("-----BEGIN ")?;
    out.push_str(label)?;
    out.push_str("-----\n")
}

fn end(label: &str, out: &mut Writer) -> Result<(), Failure> {
    out.push_str("-----END ")?;
    out.push_str(label)?;
    out.push_str("-----\n")
}

/// DER, as it is or in base64, as a block.
fn pem(call: &Call<'_>) -> Result<Made, Failure> {
    let label = call.arg_text(0, "label")?;
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' ';
    if label.trim().is_empty() || label.trim() != label || !label.chars().all(plain) {
        return Err(Failure::new("`label` must be capital letters, as in `CERTIFICATE`"));
    }
    let input = call.bytes()?;
    let is_bytes = call.input.downcast_object_ref::<Blob>().is_some();
    let decoded = std::str::from_utf8(&input).ok().filter(|_| !is_bytes).and_then(b64decode);
    let der = match &decoded {
        Some(der) => der.as_slice(),
        // A sequence, as certificates and keys are. A short one may happen to be text.
        None if is_bytes || input.first() == Some(&0x30) => &input,
        None => return Err(Failure::new("this is neither DER nor base64")),
    };
    let mut out = call.writer(der.len().saturating_mul(2));
    begin(label, &mut out)?;
    for line in lines(der) {
        out.push_str(&line)?;
        out.push(b"\n")?;
    }
    end(label, &mut out)?;
    Ok(Made::Bytes(out))
}
