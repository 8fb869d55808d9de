//! How much a value can be made of: no template doubles a value over and over.

/// What an expression is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weight {
    /// Values that it is made of, and what is done to them.
    parts: usize,
    /// How far they stand in one another.
    depth: usize,
}

/// More parts are refused.
pub(super) const PARTS: usize = 1024;
/// A deeper nesting is refused.
pub(super) const DEPTH: usize = 100;

impl Weight {
    /// Of one value.
    pub(super) const ONE: Self = Self { parts: 1, depth: 1 };

    /// Of what is made of these. `None` where that is too much.
    pub(super) fn of(parts: &[Self]) -> Option<Self> {
        let made = Self {
            parts: parts.iter().fold(1, |sum, weight| weight.parts.saturating_add(sum)),
            depth: parts.iter().fold(0, |most, weight| weight.depth.max(most)).saturating_add(1),
        };
        made.checked()
    }

    /// Of this, so many times.
    pub(super) fn times(self, times: usize) -> Option<Self> {
        Self { parts: self.parts.saturating_mul(times.max(1)), ..self }.checked()
    }

    /// Of what is one or the other.
    pub(super) fn most(self, other: Self) -> Self {
        Self { parts: self.parts.max(other.parts), depth: self.depth.max(other.depth) }
    }

    fn checked(self) -> Option<Self> {
        (self.parts <= PARTS && self.depth <= DEPTH).then_some(self)
    }
}
