//! What is refused before a template is parsed: statements that the language does not have, and nesting that the parser, which
//! recurses, would follow too far.

use minijinja::machinery::{Token, Tokenizer};

use super::{Mistake, syntax};
use crate::words::{listed, nearest};

/// Statements, and what ends or divides them.
const STATEMENTS: &[&str] =
    &["if", "elif", "else", "endif", "for", "endfor", "set", "endset", "with", "endwith"];

/// Those that the language of others has and this one does not, which the parser knows: they are refused with what is in them.
const PARSED: &[&str] = &["autoescape", "endautoescape", "filter", "endfilter", "do"];

/// Tokens in one tag.
const TOKENS: usize = 600;
/// Brackets in one another, in one tag.
const BRACKETS: usize = 32;
/// `not` and `-` in a row, and `else` in one expression.
const PREFIXES: usize = 16;
/// Statements in one another, where each `elif` stands in the one before.
const BLOCKS: usize = 64;

/// What is wrong with the tags of a text, and whether the parser can follow it. Where a tag cannot be read, the parser says so.
pub(super) fn look(text: &str) -> (Vec<Mistake>, bool) {
    let mut tags = Tags::default();
    let mut tokens = Tokenizer::new(text, "", false, syntax());
    while let Ok(Some((token, span))) = tokens.next_token() {
        tags.take(&token, usize::from(span.start_line));
    }
    (tags.mistakes, !tags.deep)
}

#[derive(Default)]
struct Tags {
    mistakes: Vec<Mistake>,
    deep: bool,
    /// How many each open statement counts for.
    open: Vec<usize>,
    tokens: usize,
    brackets: usize,
    prefixes: usize,
    elses: usize,
    starts: bool,
}

impl Tags {
    fn take(&mut self, token: &Token<'_>, line: usize) {
        match token {
            Token::TemplateData(_) => return,
            Token::VariableStart | Token::BlockStart => {
                *self = Self {
                    mistakes: std::mem::take(&mut self.mistakes),
                    deep: self.deep,
                    open: std::mem::take(&mut self.open),
                    starts: matches!(token, Token::BlockStart),
                    ..Self::default()
                };
                return;
            }
            Token::Ident(word) if self.starts => self.statement(word, line),
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => self.brackets += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                self.brackets = self.brackets.saturating_sub(1);
            }
            Token::Ident("else") => self.elses += 1,
            _ => {}
        }
        self.starts = false;
        self.tokens += 1;
        let prefix = matches!(token, Token::Minus | Token::Ident("not"));
        self.prefixes = if prefix { self.prefixes + 1 } else { 0 };
        // Each is said once, where it is passed.
        if self.tokens == TOKENS + 1 {
            self.deep = true;
            self.say(line, format!("more than {TOKENS} words and signs in one tag"), "use several");
        }
        let deep = self.brackets > BRACKETS || self.prefixes == PREFIXES + 1 || self.elses == PREFIXES + 1;
        if deep {
            self.brackets = 0;
            self.deep = true;
            self.say(line, "this is nested too deep".to_owned(), "`set` parts of it before");
        }
    }

    fn statement(&mut self, word: &str, line: usize) {
        match word {
            "if" | "for" | "with" => self.open.push(1),
            "elif" => {
                if let Some(count) = self.open.last_mut() {
                    *count += 1;
                }
            }
            "endif" | "endfor" | "endwith" => drop(self.open.pop()),
            known if STATEMENTS.contains(&known) || PARSED.contains(&known) => {}
            unknown => {
                let near = nearest(unknown, STATEMENTS).map(|near| format!("did you mean `{near}`?"));
                let offered = || format!("statements are {}", listed(&["if", "for", "set", "with"]));
                let message = format!("there is no statement `{}`", crate::words::printable(unknown));
                self.say(line, message, &near.unwrap_or_else(offered));
            }
        }
        if self.open.iter().sum::<usize>() > BLOCKS {
            self.open.clear();
            self.deep = true;
            let message = format!("more than {BLOCKS} statements in one another");
            self.say(line, message, "an `elif` counts as one within its `if`");
        }
    }

    fn say(&mut self, line: usize, message: String, hint: &str) {
        self.mistakes.push(Mistake { line, message, hint: Some(hint.to_owned()) });
    }
}
