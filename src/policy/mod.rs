//! Who may: rules over identities. A decision is pure: no I/O, no clock, no async.
//!
//! This folder owns the only way to a [`Grant`], and a grant is the only way to a provider.

use std::fmt;
use std::sync::Arc;

use crate::identity::{
    Evidence, Facts, PinnedId, Selector, Subject, UserNamespace, Verdict, holds_elsewhere,
};

mod learn;

pub use learn::learn;

/// The rules of one scope. Any rule may match; within a rule every selector must.
#[derive(Default)]
pub struct Rules {
    rules: Vec<Rule>,
    ask_for_groups: bool,
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
    /// To have it fresh for those who were let in before.
    Refresh,
    /// To have it at hand before anybody reads it, as the configuration says.
    Prefetch,
    /// The names of a directory, which all see who may enter it.
    List,
    /// An operator on the command line wants it fetched again.
    Operator,
}

/// Proof that it is allowed: by a rule, by learning, or by the configuration where nobody is given anything. Only this folder
/// makes one.
#[derive(Debug, Clone)]
pub struct Grant {
    purpose: Purpose,
    rule: Arc<str>,
    learned: Option<Arc<str>>,
    most_reads: Option<u32>,
    mints: bool,
}

/// Why not. A denial is a value, not an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// No rule of the scope matches the caller.
    NoRuleMatches,
    /// No rule matches, and one might have if a fact could have been established; why it could not.
    Unproven(String),
    /// No rule matches, and one would have but for what was found out about the caller; what that is.
    State(String),
    /// The caller is in another user namespace, and no rule that matches is for such callers.
    OtherUserNamespace,
}

/// The outcome of [`decide`].
#[must_use = "a decision that is dropped is a decision that is skipped"]
#[derive(Debug)]
pub enum Decision {
    /// A rule allows it.
    Allow(Grant),
    /// Nothing allows it.
    Deny(Denial),
    /// It turns on facts that are not in the evidence yet.
    Ask(Facts),
}

impl Rule {
    /// A rule named `name` (`scope.number`) that demands all of `selectors`. One without selectors matches everybody that
    /// owner, group and mode let through.
    pub fn new(name: impl Into<Arc<str>>, selectors: Vec<Box<dyn Selector>>) -> Self {
        Self { name: name.into(), selectors }
    }

    /// `scope.number`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the rule demands.
    pub fn selectors(&self) -> &[Box<dyn Selector>] {
        &self.selectors
    }

    /// What each selector finds, in order.
    pub fn tried<'a>(&'a self, of: &'a Subject<'_>) -> impl Iterator<Item = (&'a dyn Selector, Verdict)> {
        self.selectors.iter().map(|selector| (&**selector, selector.check(of)))
    }

    /// What becomes of the rule for `of`. A fact is asked for only where nothing that is known already says no.
    fn weigh(&self, of: &Subject<'_>) -> Weighed {
        let mut asked = Facts::NONE;
        let (mut unproven, mut state) = (None, None);
        for (selector, verdict) in self.tried(of) {
            match verdict {
                Verdict::Yes => {}
                Verdict::No if turns_on_evidence(selector, of) => state = Some(selector),
                Verdict::No => return Weighed::No,
                Verdict::Ask(fact) => asked = asked.with(fact),
                Verdict::Unproven => unproven = Some(selector),
            }
        }
        if !self.holds_in(of.who.user_namespace) {
            return Weighed::OtherNamespace;
        }
        match (state, unproven) {
            (Some(selector), _) => Weighed::State(selector.seen(of)),
            (None, Some(selector)) => Weighed::Unproven(selector.seen(of)),
            (None, None) if !asked.is_empty() => Weighed::Asks(asked),
            (None, None) => Weighed::Yes,
        }
    }

    /// How many times it lets one process instance in to one file, where it counts that.
    fn most_reads(&self) -> Option<u32> {
        self.selectors.iter().filter_map(|selector| selector.most_reads()).min()
    }

    /// Whether the rule lets callers of that user namespace in at all.
    pub fn holds_in(&self, namespace: UserNamespace) -> bool {
        namespace == UserNamespace::Ours || holds_elsewhere(self.selectors.iter().map(|one| &**one))
    }
}

/// Whether what a selector says of `of` comes from the evidence, and not from who it is.
fn turns_on_evidence(selector: &dyn Selector, of: &Subject<'_>) -> bool {
    let bare = Subject { who: of.who, evidence: &Evidence::default() };
    matches!(selector.check(&bare), Verdict::Ask(_))
}

/// What becomes of one rule.
enum Weighed {
    Yes,
    No,
    Asks(Facts),
    Unproven(String),
    State(String),
    OtherNamespace,
}

impl Rules {
    /// These rules, in the order in which they are tried.
    pub fn new(rules: Vec<Rule>) -> Self {
        let mut selectors = rules.iter().flat_map(|rule| &rule.selectors);
        let ask_for_groups = selectors.any(|selector| matches!(selector.pins(), Some(PinnedId::Gid(_))));
        Self { rules, ask_for_groups }
    }

    /// Looks whether an executable that a rule names was replaced since, and learns the new one. Returns whether one was.
    /// A `stat` for each, so it is for callers that would be denied otherwise.
    pub fn look_again(&self) -> bool {
        let named =
            self.rules.iter().flat_map(|rule| &rule.selectors).filter_map(|selector| selector.executable());
        named.fold(false, |any, reference| reference.look_again() | any)
    }

    /// Whether a rule demands a group, and so turns on which groups a caller has.
    pub fn ask_for_groups(&self) -> bool {
        self.ask_for_groups
    }

    /// The rules, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
}

/// Decides whether `of` may. Denies unless a rule allows, and asks for evidence only where a rule turns on it and none allows
/// without.
pub fn decide(rules: &Rules, of: &Subject<'_>, purpose: Purpose) -> Decision {
    let mut asked = Facts::NONE;
    let mut denial = Denial::NoRuleMatches;
    for rule in &rules.rules {
        match rule.weigh(of) {
            Weighed::Yes => {
                let (name, most_reads) = (Arc::clone(&rule.name), rule.most_reads());
                return Decision::Allow(Grant {
                    purpose,
                    rule: name,
                    learned: None,
                    most_reads,
                    mints: purpose == Purpose::Read,
                });
            }
            Weighed::No => {}
            Weighed::Asks(facts) => asked = asked.union(facts),
            Weighed::Unproven(why) => denial = Denial::Unproven(why),
            Weighed::State(seen) => denial = Denial::State(seen),
            Weighed::OtherNamespace => denial = Denial::OtherUserNamespace,
        }
    }
    if asked.is_empty() { Decision::Deny(denial) } else { Decision::Ask(asked) }
}

impl Purpose {
    /// Whether nobody waits for it.
    pub fn is_behind(self) -> bool {
        matches!(self, Self::Refresh | Self::Prefetch | Self::List)
    }
}

impl Grant {
    /// To fetch again what this one let somebody have.
    #[must_use]
    pub fn to_refresh(&self) -> Self {
        Self { purpose: Purpose::Refresh, learned: None, most_reads: None, ..self.clone() }
    }

    /// To fetch again for an operator what this one let somebody have.
    #[must_use]
    pub fn to_operator(&self) -> Self {
        Self { purpose: Purpose::Operator, ..self.to_refresh() }
    }

    /// To fetch before anybody reads, where the configuration says `prefetch`. Nobody is given anything.
    pub fn to_prefetch() -> Self {
        Self::of_nobody(Purpose::Prefetch, "prefetch")
    }

    /// To find out the names of a directory, as the configuration says. Nobody is given a value.
    pub fn to_list() -> Self {
        Self::of_nobody(Purpose::List, "list")
    }

    /// To fetch for an operator, who is given nothing either.
    pub fn of_operator() -> Self {
        Self::of_nobody(Purpose::Operator, "operator")
    }

    fn of_nobody(purpose: Purpose, rule: &str) -> Self {
        Self { purpose, rule: Arc::from(rule), learned: None, most_reads: None, mints: false }
    }

    /// Whether a credential may be made for it. Nothing but a read mints, and what has what was read at hand again.
    pub fn mints(&self) -> bool {
        self.mints
    }

    /// What it is for.
    pub fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The rule that allows it.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Why it would be denied, where only learning allows it.
    pub fn learned(&self) -> Option<&str> {
        self.learned.as_deref()
    }

    /// How many times the rule lets one process instance in to one file. `None` where it does not count.
    pub fn most_reads(&self) -> Option<u32> {
        self.most_reads
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRuleMatches => f.write_str("no rule matches"),
            Self::Unproven(why) | Self::State(why) => write!(f, "no rule matches: {why}"),
            Self::OtherUserNamespace => f.write_str("the caller is in another user namespace"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::identity::{Fact, Identity, selector, somebody};

    fn who(uid: u32, gid: u32, groups: &[u32]) -> Identity {
        Identity { uid, gid, groups: groups.to_vec(), ..somebody() }
    }

    fn rule(name: &str, demands: &str) -> Rule {
        let table: toml::Table = demands.parse().unwrap();
        let parse = |(key, value): (&String, &toml::Value)| (selector(key).unwrap().parse)(value).unwrap();
        Rule::new(name, table.iter().map(parse).collect())
    }

    fn decided(rules: &Rules, who: &Identity, evidence: &Evidence) -> Decision {
        decide(rules, &Subject { who, evidence }, Purpose::Read)
    }

    fn allowed_by(rules: &Rules, who: &Identity) -> Option<String> {
        match decided(rules, who, &Evidence::default()) {
            Decision::Allow(grant) => Some(grant.rule().to_owned()),
            Decision::Deny(_) => None,
            Decision::Ask(facts) => panic!("{facts:?}"),
        }
    }

    #[test]
    fn deny_without_rules() {
        assert_eq!(allowed_by(&Rules::default(), &who(0, 0, &[])), None);
    }

    #[test]
    fn deny_when_one_selector_is_missing() {
        let rules = Rules::new(vec![rule("s.1", "uid = 1000\ngid = 50")]);
        assert_eq!(allowed_by(&rules, &who(1000, 1000, &[])), None);
        assert_eq!(allowed_by(&rules, &who(1001, 50, &[])), None);
        assert_eq!(allowed_by(&rules, &who(1000, 1000, &[7, 50])), Some("s.1".into()));
    }

    #[test]
    fn the_first_rule_that_matches_is_named() {
        let rules = Rules::new(vec![rule("s.1", "uid = 1"), rule("s.2", "uid = 2"), rule("s.3", "gid = 2")]);
        assert_eq!(allowed_by(&rules, &who(2, 2, &[])), Some("s.2".into()));
    }

    #[test]
    fn root_obeys_the_rules() {
        let rules = Rules::new(vec![rule("s.1", "uid = 1000")]);
        assert_eq!(allowed_by(&rules, &who(0, 0, &[])), None);
    }

    #[test]
    fn evidence_is_asked_for_only_where_a_rule_turns_on_it() {
        let rules = Rules::new(vec![rule("s.1", "uid = 1\nwithin = \"5s\""), rule("s.2", "uid = 2")]);
        assert_eq!(allowed_by(&rules, &who(3, 3, &[])), None, "a stranger costs nothing");
        assert_eq!(allowed_by(&rules, &who(2, 2, &[])), Some("s.2".into()));
        let Decision::Ask(facts) = decided(&rules, &who(1, 1, &[]), &Evidence::default()) else {
            panic!("it turns on the age")
        };
        assert!(facts.contains(Fact::Age) && facts.without(Fact::Age).is_empty());
    }

    #[test]
    fn a_fact_that_cannot_be_established_denies_and_says_why() {
        let rules = Rules::new(vec![rule("s.1", "no_new_privs = true")]);
        let evidence = Evidence { hardening: Some(Err("nobody knows".into())), ..Evidence::default() };
        let Decision::Deny(denial) = decided(&rules, &somebody(), &evidence) else { panic!("allowed") };
        assert_eq!(denial.to_string(), "no rule matches: nobody knows");
    }

    #[test]
    fn a_caller_whose_state_alone_is_wrong_is_told_so_and_a_stranger_is_not() {
        let rules = Rules::new(vec![rule("s.1", "uid = 1000\nreads = 1\nwithin = \"5s\"")]);
        let evidence = Evidence { reads: Some(1), age: Some(Duration::ZERO), ..Evidence::default() };
        let denied = |who| match decided(&rules, &who, &evidence) {
            Decision::Deny(denial) => denial.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            denied(somebody()),
            "no rule matches: the caller's process has had 1 of its 1 reads of the file"
        );
        assert_eq!(denied(who(1001, 1001, &[])), "no rule matches");
    }

    #[test]
    fn a_grant_says_how_often_it_may_be_used() {
        for (demands, most) in [("uid = 1000", None), ("uid = 1000\nreads = 3", Some(3))] {
            let evidence = Evidence { reads: Some(2), ..Evidence::default() };
            let Decision::Allow(grant) =
                decided(&Rules::new(vec![rule("s.1", demands)]), &somebody(), &evidence)
            else {
                panic!("{demands}")
            };
            assert_eq!(grant.most_reads(), most);
        }
    }

    #[test]
    fn another_user_namespace_is_denied_whatever_matches() {
        let rules = Rules::new(vec![rule("s.1", "uid = 1000")]);
        let who = Identity { user_namespace: UserNamespace::Other, ..somebody() };
        let Decision::Deny(denial) = decided(&rules, &who, &Evidence::default()) else { panic!("allowed") };
        assert_eq!(denial, Denial::OtherUserNamespace);
    }

    #[test]
    fn in_another_user_namespace_a_rule_needs_a_selector_that_holds_there_and_none_that_can_be_forged() {
        for (demands, holds) in [
            ("uid = 1", false),
            ("uid = 1\nunit = \"a.service\"", true),
            ("slice = \"a.slice\"", true),
            ("container = { name = \"a\" }\nuid = 1", true),
            ("unit = \"a.service\"\nexe = \"/bin/cat\"", false),
            ("uid = 1\nuser_unit = \"a.service\"", false),
        ] {
            let rule = rule("s.1", demands);
            assert_eq!(rule.holds_in(UserNamespace::Other), holds, "{demands}");
            assert!(rule.holds_in(UserNamespace::Ours), "{demands}");
        }
    }
}
