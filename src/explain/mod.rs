//! Why: what is seen of a process, what each rule makes of it, and what one would have to change.
//!
//! This folder owns the words of `hushfs explain` and `hushfs whoami`, for the daemon ([`crate::control`]) and for the command
//! line where no daemon runs. It decides nothing: the outcome is [`crate::policy::decide`]'s and [`crate::policy::learn`]'s, and
//! beside it stands what each selector found. Unlike an open it has every fact established that a rule it shows asks for.
//!
//! ```text
//!  PATH          -- place   --> scope, file
//!  a unit, a container -- members --> processes
//!  a process     -- look    --> Inspected, Evidence   twice the same, or it is changing
//!  all of it     -- judge   --> Explanation           pure
//! ```

mod answer;
mod asked;
mod explanation;
mod judge;
mod kernel;
mod look;
mod members;
mod place;
#[cfg(test)]
mod tests;
mod view;

pub use answer::{Explained, Whom, answer, whoami};
pub use asked::{Asked, Counted};
pub use explanation::{
    Change, ContainerSeen, ExeSeen, Explanation, JudgedBy, Kernel, OUTDATED, Outcome, Passes, Permissions,
    RuleSeen, Seen, SelectorSeen, Told, Whose,
};
pub use judge::explain;
pub use place::{NoSuchPath, Place};
pub use view::View;
