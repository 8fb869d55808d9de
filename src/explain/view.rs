//! What somebody may see of a scope.

use crate::identity::{Subject, Verdict};
use crate::policy::Rule;

/// What somebody may see of a scope's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// All.
    Whole,
    /// Those of which the process asked about has everything, and those that demand an id and have it right: what others need is nobody's business.
    /// Whether a file exists shows only where the directory may be entered.
    Own,
}

impl View {
    /// Whether a rule is shown.
    pub(super) fn shows(self, rule: &Rule, of: &Subject<'_>) -> bool {
        let mut ids = rule.tried(of).filter(|(selector, _)| selector.pins().is_some()).peekable();
        self == Self::Whole
            || has_all(rule, of)
            || (ids.peek().is_some() && ids.all(|(_, verdict)| verdict == Verdict::Yes))
    }
}

/// Whether the caller has all that a rule demands, in a user namespace for which it holds.
pub(super) fn matches(rule: &Rule, of: &Subject<'_>) -> bool {
    rule.holds_in(of.who.user_namespace) && has_all(rule, of)
}

fn has_all(rule: &Rule, of: &Subject<'_>) -> bool {
    rule.tried(of).all(|(_, verdict)| verdict == Verdict::Yes)
}
