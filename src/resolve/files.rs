//! Files of this host that secrets come from: looked at once a second, so that a change is noticed though nobody reads. That is one
//! `statx` for each file, however many secrets come from it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Resolver;
use super::entry::{Duty, State};
use super::memory::Memory;
use crate::clock::Moment;
use crate::providers::Stamp;
use crate::reference::Reference;

impl Memory {
    /// The files that the values come from, each with the secrets that it had in that state.
    fn files(&self) -> HashMap<Stamp, Vec<Reference>> {
        let mut files = HashMap::<Stamp, Vec<Reference>>::new();
        for (reference, slot) in self.slots.iter() {
            if let State::Held(held) = &slot.entry.state
                && let Some(stamp) = held.value.stamp()
                && !slot.entry.asking
            {
                match files.get_mut(stamp) {
                    Some(of) => of.push(reference.clone()),
                    None => drop(files.insert(stamp.clone(), vec![reference.clone()])),
                }
            }
        }
        files
    }
}

impl Resolver {
    /// Looks at them, and has fetched again what came from one that changed, as far as somebody wants it.
    pub(super) async fn look_at_files(self: Arc<Self>) {
        let files = self.memory.lock().files();
        if files.is_empty() {
            return;
        }
        // Not on a thread of the runtime: a disk may be slow.
        let look = tokio::task::spawn_blocking(|| {
            files.into_iter().filter(|(stamp, _)| !stamp.still_holds()).flat_map(|(_, of)| of).collect()
        });
        let changed: Vec<Reference> = look.await.unwrap_or_default();
        if changed.is_empty() {
            return;
        }
        {
            let (mut memory, now) = (self.memory.lock(), Moment::now());
            for reference in &changed {
                memory.plan_for(reference, Some((now, Duty::Refresh)));
            }
        }
        self.earlier.notify_one();
    }
}
