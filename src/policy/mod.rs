//! Who may: rules over identities. A decision is pure: no I/O, no clock, no async.
//!
//! This folder owns the only way to a [`Grant`], and a grant is the only way to a provider.

use std::sync::Arc;

use crate::identity::{Identity, PinnedId, Selector};

/// The rules of one scope. Any rule may match; within a rule every selector must.
#[derive(Default)]
pub struct Rules {
    rules: Vec<Rule>,
}

/// One rule.
pub struct Rule {
    name: Arc<str>,
    selectors: Vec<Box<dyn Selector>>,
}

/// What a grant is for. Each is audited as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The bytes, for a caller that opened or reads a file.
    Read,
    /// The true size, for a caller that may read the file.
    Stat,
}

/// Proof that a rule allows it. Only [`decide`] makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    purpose: Purpose,
    rule: Arc<str>,
}

/// Why not. A denial is a value, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No rule of the scope matches the caller.
    NoRuleMatches,
}

/// The outcome of [`decide`].
#[must_use = "a decision that is dropped is a decision that is skipped"]
#[derive(Debug)]
pub enum Decision {
    /// A rule allows it.
    Allow(Grant),
    /// Nothing allows it.
    Deny(Denial),
}

impl Rule {
    /// A rule named `name` (`scope.number`) that demands all of `selectors`. One without selectors matches everybody that
    /// owner, group and mode let through.
    pub fn new(name: impl Into<Arc<str>>, selectors: Vec<Box<dyn Selector>>) -> Self {
        Self { name: name.into(), selectors }
    }

    /// What the rule demands.
    pub fn selectors(&self) -> &[Box<dyn Selector>] {
        &self.selectors
    }

    fn matches(&self, who: &Identity) -> bool {
        self.selectors.iter().all(|selector| selector.matches(who))
    }
}

impl Rules {
    /// These rules, in the order in which they are tried.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules }
    }

    /// Looks whether an executable that a rule names was replaced since, and learns the new one. Returns whether one was.
    /// A `stat` for each, so it is for callers that would be denied otherwise.
    pub fn look_again(&self) -> bool {
        let named =
            self.rules.iter().flat_map(|rule| &rule.selectors).filter_map(|selector| selector.executable());
        named.fold(false, |any, reference| reference.look_again() | any)
    }

    /// Whether a rule demands a group.
    pub fn ask_for_groups(&self) -> bool {
        let mut selectors = self.rules.iter().flat_map(|rule| &rule.selectors);
        selectors.any(|selector| matches!(selector.pins(), Some(PinnedId::Gid(_))))
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
}

/// Decides whether `who` may. Denies unless a rule allows.
pub fn decide(rules: &Rules, who: &Identity, purpose: Purpose) -> Decision {
    match rules.iter().find(|rule| rule.matches(who)) {
        Some(rule) => Decision::Allow(Grant { purpose, rule: Arc::clone(&rule.name) }),
        None => Decision::Deny(Denial::NoRuleMatches),
    }
}

impl Grant {
    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The rule that allows it.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

impl Denial {
    /// For the audit record.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoRuleMatches => "no rule matches",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Pid, ProcessId, selector};

    fn who(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        let process = ProcessId { pid: Pid(1), start: 1 };
        Identity { process, uid, gid, groups: groups.to_vec(), exe: None, unit: None }
    }

    fn rule(name: &str, demands: &[(&str, i64)]) -> Rule {
        let parse = |(key, value): &(&str, i64)| {
            (selector(key).unwrap().parse)(&toml::Value::Integer(*value)).unwrap()
        };
        Rule::new(name, demands.iter().map(parse).collect())
    }

    fn allowed_by(rules: &Rules, who: &Identity) -> Option<String> {
        match decide(rules, who, Purpose::Read) {
            Decision::Allow(grant) => Some(grant.rule().to_owned()),
            Decision::Deny(_) => None,
        }
    }

    #[test]
    fn deny_without_rules() {
        assert_eq!(allowed_by(&Rules::default(), &who(0, 0, &[])), None);
    }

    #[test]
    fn deny_when_one_selector_is_missing() {
        let rules = Rules::new(vec![rule("s.1", &[("uid", 1000), ("gid", 50)])]);
        assert_eq!(allowed_by(&rules, &who(1000, 1000, &[])), None);
        assert_eq!(allowed_by(&rules, &who(1001, 50, &[])), None);
        assert_eq!(allowed_by(&rules, &who(1000, 1000, &[7, 50])), Some("s.1".into()));
    }

    #[test]
    fn the_first_rule_that_matches_is_named() {
        let rules = Rules::new(vec![
            rule("s.1", &[("uid", 1)]),
            rule("s.2", &[("uid", 2)]),
            rule("s.3", &[("gid", 2)]),
        ]);
        assert_eq!(allowed_by(&rules, &who(2, 2, &[])), Some("s.2".into()));
    }

    #[test]
    fn root_obeys_the_rules() {
        let rules = Rules::new(vec![rule("s.1", &[("uid", 1000)])]);
        assert_eq!(allowed_by(&rules, &who(0, 0, &[])), None);
    }
}
