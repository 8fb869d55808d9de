//! What learning lets in: a caller whom no rule allows, and of whom some rule lacks only what says which program it is.
//!
//! Learning never opens. Whom a rule is for by uid is not up to it: only what else the rule demands is waived, and only
//! for callers of our own user namespace. Owner, group and mode are the kernel's and bind as ever.

use super::{Denial, Grant, Purpose, Rule, Rules};
use crate::identity::{PinnedId, Subject, UserNamespace, Verdict};

/// What learning allows to `of`, to be asked while it is on and after [`decide`](super::decide) has denied. Asks for no
/// evidence. The grant names the rule that comes nearest, and says why the caller would have been denied.
pub fn learn(rules: &Rules, of: &Subject<'_>, purpose: Purpose, denial: &Denial) -> Option<Grant> {
    if of.who.user_namespace != UserNamespace::Ours {
        return None;
    }
    let lacking = |rule: &Rule| rule.selectors.iter().filter(|one| one.check(of) != Verdict::Yes).count();
    let nearest = rules.iter().filter(|rule| rule.is_for(of)).min_by_key(|rule| lacking(rule))?;
    let why = nearest.why_not(of, denial).into();
    let (rule, mints) = (nearest.name.clone(), purpose == Purpose::Read);
    Some(Grant { purpose, rule, learned: Some(why), most_reads: None, mints })
}

impl Rules {
    /// Whether learning could let anybody in: a rule says for which uid it is.
    pub fn can_learn(&self) -> bool {
        self.iter().any(Rule::pins_uid)
    }
}

impl Rule {
    fn pins_uid(&self) -> bool {
        self.selectors.iter().any(|one| matches!(one.pins(), Some(PinnedId::Uid(_))))
    }

    /// Whether the rule says for whom it is by uid, and by all ids that it names it is for `of`.
    fn is_for(&self, of: &Subject<'_>) -> bool {
        let ids = self.selectors.iter().filter(|one| one.pins().is_some());
        self.pins_uid() && ids.map(|one| one.check(of)).all(|verdict| verdict == Verdict::Yes)
    }

    /// Why `of` is denied, with what it has instead of the first thing that the rule demands in vain.
    fn why_not(&self, of: &Subject<'_>, denial: &Denial) -> String {
        let fails = |verdict| matches!(verdict, Verdict::No | Verdict::Unproven);
        match (denial, self.selectors.iter().find(|one| fails(one.check(of)))) {
            (Denial::NoRuleMatches, Some(selector)) => format!("{denial}: {}", selector.seen(of)),
            _ => denial.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Evidence, Exe, Identity, selector, somebody};
    use crate::policy::{Decision, decide};

    fn rules(demands: &[&str]) -> Rules {
        let parse = |(key, value): (&String, &toml::Value)| (selector(key).unwrap().parse)(value).unwrap();
        let rule = |(number, demands): (usize, &&str)| {
            let table: toml::Table = demands.parse().unwrap();
            Rule::new(format!("s.{}", number + 1), table.iter().map(parse).collect())
        };
        Rules::new(demands.iter().enumerate().map(rule).collect())
    }

    fn who(uid: u32, gid: u32) -> Identity {
        let exe = Some(Exe { dev: 0, ino: 0, path: "/opt/new".into() });
        Identity { uid, gid, exe, ..somebody() }
    }

    fn learned(rules: &Rules, who: &Identity, evidence: &Evidence) -> Option<(String, String)> {
        let of = Subject { who, evidence };
        let Decision::Deny(denial) = decide(rules, &of, Purpose::Read) else { panic!("not denied") };
        let grant = learn(rules, &of, Purpose::Read, &denial)?;
        Some((grant.rule().to_owned(), grant.learned().unwrap().to_owned()))
    }

    #[test]
    fn what_is_waived_is_the_program_and_never_an_id() {
        let rules = rules(&["uid = 1000\ngid = 50\nexe = \"/bin/cat\""]);
        let (rule, why) = learned(&rules, &who(1000, 50), &Evidence::default()).unwrap();
        assert_eq!((rule.as_str(), why.as_str()), ("s.1", "no rule matches: the caller runs /opt/new"));
        assert_eq!(learned(&rules, &who(1001, 50), &Evidence::default()), None, "another uid");
        assert_eq!(learned(&rules, &who(1000, 51), &Evidence::default()), None, "without the group");
        assert_eq!(learned(&rules, &who(0, 50), &Evidence::default()), None, "root is another uid");
    }

    #[test]
    fn a_rule_that_is_for_no_uid_teaches_nothing() {
        let rules = rules(&["exe = \"/bin/cat\"", "gid = 50\nexe = \"/bin/cat\""]);
        assert!(!rules.can_learn());
        assert_eq!(learned(&rules, &who(1000, 50), &Evidence::default()), None);
    }

    #[test]
    fn nobody_of_another_user_namespace_is_let_in() {
        let rules = rules(&["uid = 1000\nexe = \"/bin/cat\""]);
        let who = Identity { user_namespace: UserNamespace::Other, ..who(1000, 1000) };
        assert_eq!(learned(&rules, &who, &Evidence::default()), None);
    }

    #[test]
    fn the_nearest_rule_is_named() {
        let far = "uid = 1000\nexe = \"/bin/cat\"\nwithin = \"5s\"";
        let rules = rules(&["uid = 7", far, "uid = 1000\nexe = \"/bin/ls\""]);
        assert_eq!(learned(&rules, &who(1000, 1000), &Evidence::default()).unwrap().0, "s.3");
    }

    #[test]
    fn a_fact_that_cannot_be_established_is_waived_and_named() {
        let rules = rules(&["uid = 1000\nno_new_privs = true"]);
        let evidence = Evidence { hardening: Some(Err("nobody knows".into())), ..Evidence::default() };
        let (_, why) = learned(&rules, &who(1000, 1000), &evidence).unwrap();
        assert_eq!(why, "no rule matches: nobody knows");
    }
}
