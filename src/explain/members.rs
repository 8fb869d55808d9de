//! The processes of a unit, or of a container.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use crate::identity::{self, Attestor, Cgroup, ContainerId, Tid};

/// How many containers are asked about to find one by its name.
const CONTAINERS: usize = 256;
/// Of those, how many at once.
const AT_ONCE: usize = 16;
/// How long that may take, all in all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Those of a system unit: at least one.
///
/// # Errors
/// Why there is none, as a clause.
pub(super) async fn of_unit(unit: &str) -> Result<Vec<Tid>, String> {
    let unit = identity::whole_unit_name(unit);
    let is_in = |cgroup: &Cgroup| cgroup.place().is_some_and(|place| place.unit == unit);
    some(&running().await?, is_in).ok_or_else(|| format!("no process of unit `{unit}` is running"))
}

/// Those of a container, by its id, or 12 digits of it or more, or by its name: at least one.
///
/// # Errors
/// Why there is none, as a clause.
pub(super) async fn of_container(attestor: &Arc<Attestor>, container: &str) -> Result<Vec<Tid>, String> {
    let running = running().await?;
    let mut ids = distinct(&running);
    if ContainerId::may_begin_with(container) {
        ids.retain(|id| id.id.starts_with(container));
        if ids.len() > 1 {
            return Err(format!("{} containers have an id that begins with `{container}`", ids.len()));
        }
    } else {
        ids = named(attestor, ids, container).await?;
    }
    let is_in = |cgroup: &Cgroup| cgroup.container().is_some_and(|id| ids.contains(id));
    some(&running, is_in).ok_or_else(|| format!("no process of container `{container}` is running"))
}

async fn running() -> Result<Vec<(Tid, Cgroup)>, String> {
    match tokio::task::spawn_blocking(identity::running).await {
        Ok(Ok(running)) => Ok(running),
        Ok(Err(error)) => Err(format!("processes cannot be listed: {error}")),
        Err(_) => Err("processes cannot be listed: a bug in hushfs".to_owned()),
    }
}

/// Those that are in it, if there are any.
fn some(running: &[(Tid, Cgroup)], is_in: impl Fn(&Cgroup) -> bool) -> Option<Vec<Tid>> {
    let found: Vec<_> = running.iter().filter(|(_, cgroup)| is_in(cgroup)).map(|(tid, _)| *tid).collect();
    (!found.is_empty()).then_some(found)
}

/// The containers that processes are in.
fn distinct(running: &[(Tid, Cgroup)]) -> Vec<ContainerId> {
    let mut ids: Vec<_> = running.iter().filter_map(|(_, cgroup)| cgroup.container().cloned()).collect();
    ids.sort_unstable_by(|a, b| a.id.cmp(&b.id));
    ids.dedup();
    ids
}

/// Those of the containers that have this name, by what their runtimes say. None may have it; then every runtime that had to be
/// asked did answer.
async fn named(
    attestor: &Arc<Attestor>,
    mut ids: Vec<ContainerId>,
    name: &str,
) -> Result<Vec<ContainerId>, String> {
    let mut reasons = BTreeSet::new();
    if let Some(more) = ids.len().checked_sub(CONTAINERS).filter(|more| *more > 0) {
        reasons.insert(format!("{more} more containers are not asked about"));
        ids.truncate(CONTAINERS);
    }
    let (until, places) = (Instant::now() + PATIENCE, Arc::new(Semaphore::new(AT_ONCE)));
    let mut asks = JoinSet::new();
    for id in ids {
        let (attestor, places) = (Arc::clone(attestor), Arc::clone(&places));
        asks.spawn(async move {
            let ask = async {
                let _place = places.acquire().await;
                attestor.container(&id).await
            };
            let said = timeout_at(until, ask)
                .await
                .unwrap_or_else(|_| Err("the runtimes take too long to answer".into()));
            (id, said)
        });
    }
    let mut found = Vec::new();
    while let Some(asked) = asks.join_next().await {
        match asked {
            Ok((id, Ok(container))) if container.name == name => found.push(id),
            Ok((_, Ok(_))) => {}
            Ok((_, Err(why))) => drop(reasons.insert(why.to_string())),
            Err(_) => drop(reasons.insert("a bug in hushfs".to_owned())),
        }
    }
    if found.is_empty() && !reasons.is_empty() {
        let reasons: Vec<_> = reasons.into_iter().collect();
        let why = reasons.join("; ");
        return Err(format!("container `{name}` is not found, and not all can be asked about: {why}"));
    }
    Ok(found)
}
