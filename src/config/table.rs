//! Tables and values with their places.

use serde::Deserialize as _;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::report::{At, Found, Report};
use crate::identity::Step;
use crate::words::{listed, nearest};

/// One `key = value`, or one `[table]`.
#[derive(Clone)]
pub(super) struct Entry<'s> {
    /// The key.
    pub(super) key: &'s str,
    /// Where the key stands.
    pub(super) key_at: At,
    /// The value.
    pub(super) value: &'s DeValue<'s>,
    /// Where the value stands; for a `[table]`, where its header stands.
    pub(super) at: At,
}

/// The entries of a table in the order in which they are written.
pub(super) fn entries<'s>(source: usize, table: &'s DeTable<'s>) -> Vec<Entry<'s>> {
    let entry = |(key, value): (&'s Spanned<_>, &'s Spanned<DeValue<'s>>)| Entry {
        key: AsRef::<str>::as_ref(key.get_ref()),
        key_at: At { source, span: key.span() },
        value: value.get_ref(),
        at: At { source, span: value.span() },
    };
    let mut entries: Vec<_> = table.iter().map(entry).collect();
    entries.sort_by_key(|entry| entry.key_at.span.start);
    entries
}

/// The entry of that name.
pub(super) fn find<'e, 's>(entries: &'e [Entry<'s>], key: &str) -> Option<&'e Entry<'s>> {
    entries.iter().find(|entry| entry.key == key)
}

/// The value itself where it is a table, or each item where it is a list, under the same key.
pub(super) fn items<'s>(entry: &Entry<'s>) -> Option<Vec<Entry<'s>>> {
    if entry.value.as_table().is_some() {
        return Some(vec![entry.clone()]);
    }
    let item = |value: &'s Spanned<DeValue<'s>>| Entry {
        value: value.get_ref(),
        at: At { source: entry.at.source, span: value.span() },
        ..entry.clone()
    };
    Some(entry.value.as_array()?.iter().map(item).collect())
}

impl<'s> Entry<'s> {
    /// The text, or a report that it is none.
    pub(super) fn text(&self, report: &mut Report) -> Option<&'s str> {
        let text = self.value.as_str();
        if text.is_none() {
            report.error(self.wrong_type("a string"));
        }
        text
    }

    /// The entries of the table, or a report that it is none.
    pub(super) fn table(&self, report: &mut Report) -> Option<Vec<Entry<'s>>> {
        let table = self.value.as_table();
        if table.is_none() {
            report.error(self.wrong_type("a table"));
        }
        table.map(|table| entries(self.at.source, table))
    }

    /// Where the steps lead from the value: as far as there is such a thing.
    pub(super) fn within(&self, steps: &[Step]) -> At {
        let (mut value, mut span) = (self.value, self.at.span.clone());
        for step in steps {
            let next = match step {
                Step::Item(number) => value.as_array().and_then(|list| list.get(*number)),
                Step::Value(key) | Step::Key(key) => {
                    let entry = value.as_table().and_then(|table| table.get_key_value(key.as_str()));
                    if let (Some((key, _)), Step::Key(_)) = (entry, step) {
                        return At { source: self.at.source, span: key.span() };
                    }
                    entry.map(|(_, value)| value)
                }
            };
            let Some(next) = next else { break };
            (value, span) = (next.get_ref(), next.span());
        }
        At { source: self.at.source, span }
    }

    /// That it should have been something else.
    pub(super) fn wrong_type(&self, wanted: &str) -> Found {
        let is = self.value.type_str();
        Found::at(&self.at, format!("`{}` takes {wanted}, and this is {} {is}", self.key, article(is)))
    }

    /// The value without places.
    pub(super) fn plain(&self, report: &mut Report) -> Option<toml::Value> {
        let value = Spanned::new(self.at.span.clone(), self.value.clone());
        match toml::Value::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => Some(value),
            Err(error) => {
                let span = error.span().unwrap_or_else(|| self.at.span.clone());
                report.error(Found::at(&At { source: self.at.source, span }, error.message()));
                None
            }
        }
    }
}

/// The meaning of a word that is one of `words`.
pub(super) fn one_of<T: Copy>(entry: &Entry<'_>, words: &[(&str, T)], report: &mut Report) -> Option<T> {
    let text = entry.text(report)?;
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, meaning)| *meaning);
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        let near = nearest(text, &known).map(|near| format!("did you mean \"{near}\"?"));
        let quoted: Vec<_> = known.iter().map(|word| format!("\"{word}\"")).collect();
        let message = match quoted.split_last() {
            Some((last, rest)) => format!("`{}` takes {} or {last}", entry.key, rest.join(", ")),
            None => format!("`{}` takes nothing", entry.key),
        };
        report.error(Found::at(&entry.at, message).maybe_hint(near));
    }
    found
}

/// Reports a key that is not one of `known` in `place`; `hint` says more than the nearest known key.
pub(super) fn unknown(
    report: &mut Report,
    entry: &Entry<'_>,
    known: &[&str],
    place: &str,
    hint: Option<String>,
) {
    report.hide(&entry.at);
    let list = listed(known);
    let hint = hint.or_else(|| nearest(entry.key, known).map(|near| format!("did you mean `{near}`?")));
    let message = format!("`{}` is not known in {place}; known are {list}", entry.key);
    report.error(Found::at(&entry.key_at, message).maybe_hint(hint));
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}
