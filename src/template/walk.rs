//! The statements of a template: which names there are where, and what is not offered.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::machinery::{Span, ast};

use super::Mistake;
use super::weight::Weight;
use crate::reference::Reference;
use crate::words::printable;

/// What a template asks for.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// What `secret` is called with, as written.
    pub(super) texts: BTreeMap<String, Reference>,
    /// What `secret_json` is called with, as written.
    pub(super) trees: BTreeMap<String, Reference>,
    /// Keys that the text of the template says: these may be named in errors, others may be values.
    pub(super) keys: BTreeSet<String>,
}

/// Walks a template, from top to bottom.
pub(super) fn walk(template: &ast::Stmt<'_>) -> (Found, Vec<Mistake>) {
    let mut walk =
        Walk { found: Found::default(), mistakes: Vec::new(), scopes: vec![BTreeMap::new()], loops: 0 };
    walk.statement(template);
    (walk.found, walk.mistakes)
}

pub(super) struct Walk<'a> {
    pub(super) found: Found,
    mistakes: Vec<Mistake>,
    scopes: Vec<BTreeMap<&'a str, Weight>>,
    loops: usize,
}

/// In which line something starts.
pub(super) fn line(span: Span) -> usize {
    usize::from(span.start_line)
}

impl<'a> Walk<'a> {
    pub(super) fn say(&mut self, line: usize, message: impl Into<String>, hint: impl Into<String>) {
        self.mistakes.push(Mistake { line, message: message.into(), hint: Some(hint.into()) });
    }

    /// What a variable weighs, where there is one.
    pub(super) fn variable(&self, name: &str) -> Option<Weight> {
        self.scopes.iter().rev().find_map(|scope| scope.get(name)).copied()
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &'a str> {
        self.scopes.iter().flat_map(|scope| scope.keys().copied())
    }

    pub(super) fn in_loop(&self) -> bool {
        self.loops > 0
    }

    fn statements(&mut self, statements: &[ast::Stmt<'a>]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &ast::Stmt<'a>) {
        match statement {
            ast::Stmt::Template(template) => self.statements(&template.children),
            ast::Stmt::EmitExpr(emit) => drop(self.expression(&emit.expr)),
            ast::Stmt::EmitRaw(_) => {}
            ast::Stmt::ForLoop(each) => self.each(each, line(each.span())),
            ast::Stmt::IfCond(either) => {
                self.expression(&either.expr);
                self.statements(&either.true_body);
                self.statements(&either.false_body);
            }
            ast::Stmt::WithBlock(with) => {
                self.scopes.push(BTreeMap::new());
                for (target, value) in &with.assignments {
                    let weight = self.expression(value);
                    self.assign(target, weight);
                }
                self.statements(&with.body);
                self.scopes.pop();
            }
            ast::Stmt::Set(set) => {
                let weight = self.expression(&set.expr);
                self.assign(&set.target, weight);
            }
            ast::Stmt::SetBlock(set) => {
                let hint = "write `{% set name = … %}`, with `~` between texts";
                self.say(line(set.span()), "`set` takes a value, not a block", hint);
                self.assign(&set.target, Weight::ONE);
                self.statements(&set.body);
            }
            ast::Stmt::FilterBlock(filter) => {
                let hint = "write `{{ … | filter }}` at each value";
                self.say(line(filter.span()), "there is no statement `filter`", hint);
                self.statements(&filter.body);
            }
            ast::Stmt::AutoEscape(escape) => {
                let hint = "nothing is escaped by itself; `tojson` and the `quote_…` filters quote";
                self.say(line(escape.span()), "there is no statement `autoescape`", hint);
                self.statements(&escape.body);
            }
            ast::Stmt::Do(called) => {
                self.say(line(called.span()), "there is no statement `do`", "nothing here has an effect");
            }
        }
    }

    fn each(&mut self, each: &ast::ForLoop<'a>, line: usize) {
        let weight = self.expression(&each.iter);
        if each.recursive {
            self.say(line, "a loop cannot be recursive", "use a loop within the loop");
        }
        self.scopes.push(BTreeMap::new());
        self.loops += 1;
        self.assign(&each.target, weight);
        if let Some(filter) = &each.filter_expr {
            self.expression(filter);
        }
        self.statements(&each.body);
        self.loops -= 1;
        self.scopes.pop();
        self.statements(&each.else_body);
    }

    fn assign(&mut self, target: &ast::Expr<'a>, weight: Weight) {
        match target {
            ast::Expr::Var(var) if super::functions::FUNCTIONS.contains(&var.id) => {
                let message = format!("`{}` is a function and stays one", var.id);
                self.say(line(var.span()), message, "take another name");
            }
            ast::Expr::Var(var) => {
                if let Some(scope) = self.scopes.last_mut() {
                    // In one branch of several: it may still be what it was.
                    scope.entry(var.id).and_modify(|was| *was = was.most(weight)).or_insert(weight);
                }
            }
            ast::Expr::List(names) => {
                for name in &names.items {
                    self.assign(name, weight);
                }
            }
            ast::Expr::GetAttr(attribute) => {
                let message = format!("`.{}` of a value cannot be set", printable(attribute.name));
                self.say(line(attribute.span()), message, "write `{% set name = … %}`");
            }
            other => self.say(line(other.span()), "only a name can be set", "write `{% set name = … %}`"),
        }
    }
}
