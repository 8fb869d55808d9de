//! The expressions of a template: every name, filter and test is one that there is, and every reference is written out.

use minijinja::machinery::ast::{self, BinOpKind, CallArg, Expr};

use super::conditions::TESTS;
use super::filters;
use super::functions::FUNCTIONS;
use super::walk::{Walk, line};
use super::weight::{DEPTH, PARTS, Weight};
use crate::reference::Reference;
use crate::words::{listed, nearest, printable};

impl<'a> Walk<'a> {
    /// Checks an expression; what it weighs.
    pub(super) fn expression(&mut self, expression: &Expr<'a>) -> Weight {
        let at = line(expression.span());
        match expression {
            Expr::Const(_) => Weight::ONE,
            Expr::Var(var) => self.name(var.id, at),
            Expr::Slice(slice) => {
                let bounds = [&slice.start, &slice.stop, &slice.step];
                let parts = std::iter::once(&slice.expr).chain(bounds.into_iter().flatten());
                self.all(parts, at)
            }
            Expr::UnaryOp(unary) => self.all([&unary.expr], at),
            Expr::BinOp(binary) => self.binary(binary, at),
            Expr::Compare(compare) => {
                let parts = std::iter::once(&compare.expr).chain(compare.ops.iter().map(|op| &op.expr));
                self.all(parts, at)
            }
            Expr::IfExpr(either) => {
                let parts = [&either.test_expr, &either.true_expr].into_iter().chain(&either.false_expr);
                self.all(parts, at)
            }
            Expr::Filter(filter) => self.filter(filter, at),
            Expr::Test(test) => self.test(test, at),
            Expr::GetAttr(attribute) => {
                self.found.keys.insert(attribute.name.to_owned());
                self.all([&attribute.expr], at)
            }
            Expr::GetItem(item) => {
                if let Expr::Const(key) = &item.subscript_expr
                    && let Some(key) = key.value.as_str()
                {
                    self.found.keys.insert(key.to_owned());
                }
                self.all([&item.expr, &item.subscript_expr], at)
            }
            Expr::Call(call) => self.call(call, at),
            Expr::List(list) => self.all(&list.items, at),
            Expr::Tuple(tuple) => self.all(&tuple.items, at),
            Expr::Map(map) => self.all(map.keys.iter().chain(&map.values), at),
        }
    }

    fn all<'e>(&mut self, parts: impl IntoIterator<Item = &'e Expr<'a>>, at: usize) -> Weight
    where
        'a: 'e,
    {
        let parts: Vec<_> = parts.into_iter().map(|part| self.expression(part)).collect();
        self.weighed(Weight::of(&parts), at)
    }

    fn weighed(&mut self, weight: Option<Weight>, at: usize) -> Weight {
        weight.unwrap_or_else(|| {
            let message = format!(
                "this is made of too much: more than {PARTS} values and steps, or more than {DEPTH} in one another"
            );
            self.say(at, message, "a variable counts as what it was set to");
            Weight::ONE
        })
    }

    fn name(&mut self, name: &'a str, at: usize) -> Weight {
        if let Some(weight) = self.variable(name) {
            return weight;
        }
        if name == "loop" && self.in_loop() {
            return Weight::ONE;
        }
        if FUNCTIONS.contains(&name) {
            let hint = format!("write `{}`", usage(name));
            self.say(at, format!("`{name}` is a function and can only be called"), hint);
            return Weight::ONE;
        }
        let known: Vec<_> = self.variables().chain(FUNCTIONS.iter().copied()).collect();
        let near = nearest(name, &known).map(|near| format!("did you mean `{near}`?"));
        let hint = near.unwrap_or_else(|| {
            "a template has what it sets itself: values come from `secret(\"provider:path\")`".to_owned()
        });
        self.say(at, format!("there is no variable `{}`", printable(name)), hint);
        Weight::ONE
    }

    fn binary(&mut self, binary: &ast::BinOp<'a>, at: usize) -> Weight {
        match binary.op {
            BinOpKind::Pow => {
                self.say(at, "there is no `**`", "write the number");
                self.all([&binary.left, &binary.right], at)
            }
            BinOpKind::Mul => {
                let weight = self.all([&binary.left, &binary.right], at);
                if is_number(&binary.left) && is_number(&binary.right) {
                    return weight;
                }
                // A text or a list, so many times.
                let times = |side: &Expr<'a>| match side {
                    Expr::Const(number) => number.value.as_usize(),
                    _ => None,
                };
                match times(&binary.left).or_else(|| times(&binary.right)) {
                    Some(times) => self.weighed(weight.times(times), at),
                    None => {
                        let message = "one side of `*` must be a number that is written there";
                        self.say(at, message, "numbers are `60`, `x | int` and what is worked out of them");
                        weight
                    }
                }
            }
            _ => self.all([&binary.left, &binary.right], at),
        }
    }

    fn filter(&mut self, filter: &ast::Filter<'a>, at: usize) -> Weight {
        match filters::find(filter.name) {
            Some(known) => self.arguments(filter.name, known.parameters, known.required, &filter.args, at),
            None => {
                let hint = filters::offered(filter.name);
                self.say(at, format!("there is no filter `{}`", printable(filter.name)), hint);
            }
        }
        let args = filter.args.iter().map(argument);
        self.all(filter.expr.iter().chain(args), at)
    }

    fn test(&mut self, test: &ast::Test<'a>, at: usize) -> Weight {
        match TESTS.iter().find(|known| known.name == test.name) {
            Some(known) => {
                self.arguments(test.name, known.parameters, known.parameters.len(), &test.args, at);
            }
            None => {
                let names: Vec<_> = TESTS.iter().map(|known| known.name).collect();
                let near = nearest(test.name, &names).map(|near| format!("did you mean `{near}`?"));
                let hint = near.unwrap_or_else(|| format!("tests are {}", listed(&names)));
                self.say(at, format!("there is no test `is {}`", printable(test.name)), hint);
            }
        }
        self.all(std::iter::once(&test.expr).chain(test.args.iter().map(argument)), at)
    }

    /// Whether a filter or test can be given these.
    fn arguments(
        &mut self,
        name: &str,
        parameters: &[&str],
        required: usize,
        given: &[CallArg<'a>],
        at: usize,
    ) {
        let mut set: Vec<&str> = Vec::new();
        for (nth, argument) in given.iter().enumerate() {
            match argument {
                CallArg::Pos(_) => match parameters.get(nth) {
                    Some(parameter) => set.push(parameter),
                    None => {
                        let message = format!("`{name}` takes {}", taken(parameters));
                        return self.say(at, message, "leave out what is too much");
                    }
                },
                CallArg::Kwarg(key, _) if parameters.contains(key) && !set.contains(key) => set.push(key),
                CallArg::Kwarg(key, _) => {
                    let message = format!("`{name}` takes no `{}` here", printable(key));
                    return self.say(at, message, format!("it takes {}", taken(parameters)));
                }
                CallArg::PosSplat(_) | CallArg::KwargSplat(_) => return self.spread(at),
            }
        }
        let missing = parameters.iter().take(required).find(|parameter| !set.contains(parameter));
        if let Some(missing) = missing {
            let message = format!("`{name}` needs `{missing}`");
            self.say(at, message, format!("it takes {}", taken(parameters)));
        }
    }

    fn spread(&mut self, at: usize) {
        self.say(at, "arguments cannot be spread with `*`", "write each of them");
    }

    fn call(&mut self, call: &ast::Call<'a>, at: usize) -> Weight {
        match &call.expr {
            Expr::Var(function) => match function.id {
                "secret" | "secret_json" => return self.reference(function.id, &call.args, at),
                "range" => {
                    let known = ["start", "stop", "step"];
                    self.arguments("range", &known, 1, &call.args, at);
                    if call.args.iter().any(|arg| matches!(arg, CallArg::Kwarg(..))) {
                        self.say(
                            at,
                            "`range` takes its numbers by place",
                            "write `range(3)` or `range(1, 4)`",
                        );
                    }
                }
                unknown => {
                    let near = nearest(unknown, FUNCTIONS).map(|near| format!("did you mean `{near}`?"));
                    let hint = near.unwrap_or_else(|| format!("functions are {}", listed(FUNCTIONS)));
                    self.say(at, format!("there is no function `{}`", printable(unknown)), hint);
                }
            },
            Expr::GetAttr(method) if is_loop(&method.expr) && method.name == "cycle" && self.in_loop() => {
                if call.args.iter().any(|arg| !matches!(arg, CallArg::Pos(_))) {
                    self.say(at, "`loop.cycle` takes values", "as in `loop.cycle(\"a\", \"b\")`");
                }
            }
            Expr::GetAttr(method) => {
                let near = filters::find(method.name).map(|filter| format!("write `… | {}`", filter.name));
                let hint =
                    near.unwrap_or_else(|| "what can be done to a value is done by filters".to_owned());
                self.say(at, format!("values have no methods: `.{}(…)`", printable(method.name)), hint);
                self.expression(&method.expr);
            }
            other => {
                self.say(at, "only a function can be called", format!("functions are {}", listed(FUNCTIONS)));
                self.expression(other);
            }
        }
        let args: Vec<_> = call.args.iter().map(|arg| self.expression(argument(arg))).collect();
        self.weighed(Weight::of(&args), at)
    }

    /// One of the functions that show a secret.
    fn reference(&mut self, function: &str, args: &[CallArg<'a>], at: usize) -> Weight {
        let text = match args {
            [CallArg::Pos(Expr::Const(text))] => text.value.as_str(),
            _ => None,
        };
        let Some(text) = text else {
            let hint = format!("write `{}`", usage(function));
            self.say(at, format!("`{function}` takes one reference, written out in quotes"), hint);
            return Weight::ONE;
        };
        match text.parse::<Reference>() {
            // It may be a secret that was written in place of its reference: the text is not said.
            Err(error) => {
                self.say(at, format!("not a reference: {error}"), format!("write `{}`", usage(function)));
            }
            Ok(reference) => {
                let shown = match function {
                    "secret" => &mut self.found.texts,
                    _ => &mut self.found.trees,
                };
                shown.insert(text.to_owned(), reference);
            }
        }
        Weight::ONE
    }
}

/// Whether this can only be a number.
fn is_number(expression: &Expr<'_>) -> bool {
    match expression {
        Expr::Const(number) => number.value.is_number(),
        Expr::UnaryOp(unary) => is_number(&unary.expr),
        Expr::BinOp(binary) => {
            let arithmetic = matches!(
                binary.op,
                BinOpKind::Add
                    | BinOpKind::Sub
                    | BinOpKind::Mul
                    | BinOpKind::Div
                    | BinOpKind::FloorDiv
                    | BinOpKind::Rem
            );
            arithmetic && is_number(&binary.left) && is_number(&binary.right)
        }
        // A mark in its place fails: it is no number then.
        Expr::Filter(filter) => filter.name == "length",
        _ => false,
    }
}

fn is_loop(expression: &Expr<'_>) -> bool {
    matches!(expression, Expr::Var(var) if var.id == "loop")
}

fn argument<'e, 'a>(argument: &'e CallArg<'a>) -> &'e Expr<'a> {
    match argument {
        CallArg::Pos(value)
        | CallArg::Kwarg(_, value)
        | CallArg::PosSplat(value)
        | CallArg::KwargSplat(value) => value,
    }
}

fn taken(parameters: &[&str]) -> String {
    match parameters {
        [] => "nothing".to_owned(),
        parameters => listed(parameters),
    }
}

fn usage(function: &str) -> &'static str {
    match function {
        "secret" => "secret(\"provider:path\")` or `secret(\"provider:path#key\")",
        "secret_json" => "secret_json(\"provider:path\")",
        _ => "range(3)",
    }
}
