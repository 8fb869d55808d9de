//! The compiled text of a template.

use std::collections::BTreeSet;
use std::sync::Arc;

use minijinja::machinery::parse;
use minijinja::{Environment, Error, UndefinedBehavior, Value};

use super::ledger::{Failure, Ledger};
use super::root::{self, Root, Shown};
use super::tree::{self, Origin};
use super::walk::{Found, walk};
use super::writer::Writer;
use super::{Mistake, Show, TemplateError, conditions, filters, functions, render, syntax, tokens};
use crate::format::{Form, FormatError};
use crate::reference::Reference;
use crate::secret::SecretBytes;
use crate::words::printable;

/// The longest text, in bytes.
const TEXT: usize = 1 << 20;
/// The most lines: the engine counts no further.
const LINES: usize = 65_000;
/// Fuel for one rendering: an instruction takes one, and 64 bytes of what is made or printed take one.
const FUEL: u64 = 1_000_000;
/// The engine's name for the one template.
const NAME: &str = "template";

/// A text, and what it calls for.
pub(super) struct Program {
    environment: Environment<'static>,
    texts: Vec<Called>,
    trees: Vec<Called>,
    keys: Arc<BTreeSet<String>>,
    len: usize,
}

/// One reference, as it is written.
struct Called {
    text: Arc<str>,
    reference: Reference,
}

impl Program {
    /// Compiles a text. What it calls for comes with it.
    pub(super) fn compile(text: &str) -> Result<(Self, Found), Vec<Mistake>> {
        let wrong =
            |message: String, hint: &str| vec![Mistake { line: 1, message, hint: Some(hint.to_owned()) }];
        if text.len() > TEXT || text.lines().count() > LINES {
            let message = format!("the template is longer than {TEXT} bytes or {LINES} lines");
            return Err(wrong(message, "make several files of it"));
        }
        let (mut mistakes, can_be_followed) = tokens::look(text);
        let mut found = Found::default();
        if can_be_followed {
            match parse(text, NAME, syntax()) {
                Ok(parsed) => {
                    let (walked, more) = walk(&parsed);
                    mistakes.extend(more);
                    found = walked;
                }
                // What the parser does not know was said, with a hint.
                Err(error) if mistakes.iter().any(|mistake| Some(mistake.line) == error.line()) => {}
                Err(error) => mistakes.push(misread(&error)),
            }
        }
        if mistakes.is_empty() && found.texts.is_empty() && found.trees.is_empty() {
            let message = "the template shows no secret; a file that shows none is no secret file";
            return Err(wrong(
                message.to_owned(),
                "write `{{ secret(\"provider:path\") }}` where a value belongs",
            ));
        }
        if !mistakes.is_empty() {
            mistakes.sort_by_key(|mistake| mistake.line);
            return Err(mistakes);
        }
        let mut environment = Environment::empty();
        environment.set_syntax(syntax());
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        functions::add(&mut environment);
        conditions::add(&mut environment);
        filters::add(&mut environment);
        render::print(&mut environment);
        environment.add_template_owned(NAME, text.to_owned()).map_err(|error| vec![misread(&error)])?;
        let called = |(text, reference): (&String, &Reference)| Called {
            text: text.as_str().into(),
            reference: reference.clone(),
        };
        let program = Self {
            environment,
            texts: found.texts.iter().map(called).collect(),
            trees: found.trees.iter().map(called).collect(),
            keys: Arc::new(found.keys.clone()),
            len: text.len(),
        };
        Ok((program, found))
    }

    /// Renders it with the values of `secrets`.
    pub(super) fn render(
        &self,
        name: &str,
        secrets: &[Reference],
        values: &[&SecretBytes],
        show: Show,
        max: u64,
    ) -> Result<SecretBytes, TemplateError> {
        let ledger = Arc::new(Ledger::new(show, max, Arc::clone(&self.keys)));
        let value = |reference: &Reference| {
            let at = secrets.binary_search(&reference.whole()).ok();
            at.and_then(|at| values.get(at)).copied().ok_or(Failure::Undefined)
        };
        let shown = |called: &[Called], read: fn(&SecretBytes, &Reference, &Arc<Ledger>) -> _| -> Shown {
            let one = |called: &Called| {
                let read = value(&called.reference).and_then(|value| read(value, &called.reference, &ledger));
                (Arc::clone(&called.text), read)
            };
            called.iter().map(one).collect()
        };
        let root = Root::new(Arc::clone(&ledger), shown(&self.texts, text), shown(&self.trees, tree));
        let expected = values.iter().fold(self.len, |sum, value| sum.saturating_add(value.len()));
        let mut out = Writer::new(max, expected);
        let done = self.run(root, &mut out);
        if out.is_full() {
            return Err(TemplateError::TooLarge { max });
        }
        let line = done.as_ref().err().and_then(Error::line);
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        match (ledger.failed(), done) {
            (None, Ok(())) => Ok(SecretBytes::copy_from(out.bytes())),
            (None, Err(error)) => Err(match ledger.missed() {
                Some(what) if error.kind() == minijinja::ErrorKind::UndefinedError => {
                    TemplateError::NoSuchKey { place, what }
                }
                _ => TemplateError::Other { place, what: render::said(&error).to_owned() },
            }),
            (Some(failure), _) => Err(told(failure, place, max)),
        }
    }

    fn run(&self, root: Root, out: &mut Writer) -> Result<(), Error> {
        let template = self.environment.get_template(NAME)?;
        template.render_captured_to(root::context(root), out)?;
        Ok(())
    }
}

fn told(failure: Failure, place: String, max: u64) -> TemplateError {
    match failure {
        Failure::NoSuchKey(what) => TemplateError::NoSuchKey { place, what },
        Failure::TooLarge => TemplateError::TooLarge { max },
        Failure::TooMuch => TemplateError::Other { place, what: "rendering takes too many steps".to_owned() },
        Failure::Undefined => {
            TemplateError::Other { place, what: "a value that is not there is used".to_owned() }
        }
        Failure::Other(what) => TemplateError::Other { place, what },
    }
}

/// What `secret` gives for one reference.
#[expect(clippy::disallowed_methods, reason = "a template is rendered of the bytes, in memory that is wiped")]
fn text(secret: &SecretBytes, reference: &Reference, ledger: &Arc<Ledger>) -> Result<Value, Failure> {
    let Some(key) = reference.key() else {
        return Ok(tree::plain(secret.expose_secret(), ledger));
    };
    // The whole is read to find the key.
    ledger.step(1 + secret.len() / 8)?;
    match Form::RAW.write(secret, Some(key)) {
        Ok(value) => Ok(tree::plain(value.expose_secret(), ledger)),
        Err(error) => Err(failed(&error, reference)),
    }
}

/// What `secret_json` gives for one reference.
#[expect(clippy::disallowed_methods, reason = "a template is rendered of the bytes, in memory that is wiped")]
fn tree(secret: &SecretBytes, reference: &Reference, ledger: &Arc<Ledger>) -> Result<Value, Failure> {
    let origin = Origin { secret: reference.to_string().into(), ledger: Arc::clone(ledger) };
    let Some(key) = reference.key() else {
        return tree::read(secret.expose_secret(), &origin);
    };
    ledger.step(1 + secret.len() / 8)?;
    match Form::RAW.write(secret, Some(key)) {
        Ok(value) => tree::read(value.expose_secret(), &origin),
        Err(error) => Err(failed(&error, reference)),
    }
}

fn failed(error: &FormatError, reference: &Reference) -> Failure {
    let whole = reference.whole();
    match error {
        FormatError::NoSuchKey(key) => Failure::NoSuchKey(format!("the secret `{whole}` has no key `{key}`")),
        error => Failure::Other(format!("the secret `{whole}`: {error}")),
    }
}

/// A mistake that the parser found.
fn misread(error: &Error) -> Mistake {
    let said = printable(error.detail().unwrap_or("this is no template"));
    Mistake { line: error.line().unwrap_or(1), message: format!("not a template: {said}"), hint: None }
}
