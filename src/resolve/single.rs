//! Single flight: of all who want the same, one fetches, and all get what it brings.

use std::collections::HashMap;
use std::hash::Hash;

use tokio::sync::watch;

/// What is under way, by what is wanted.
pub(super) struct Flights<K, V>(HashMap<K, watch::Receiver<Option<V>>>);

/// A flight to wait for. It lands, or its pilot is lost.
pub(super) struct Flight<V>(watch::Receiver<Option<V>>);

/// Who has to land it.
pub(super) struct Pilot<V>(watch::Sender<Option<V>>);

/// Who wants something.
pub(super) enum Joined<V> {
    /// It is under way.
    Passenger(Flight<V>),
    /// It is not: whoever asks has to fetch it, and can wait for it as well.
    First(Pilot<V>, Flight<V>),
}

impl<K: Hash + Eq, V: Clone> Flights<K, V> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// The flight that is under way. One whose pilot is lost (its task panicked) is none.
    pub(super) fn under_way(&self, wanted: &K) -> Option<Flight<V>> {
        self.0.get(wanted).filter(|flight| flight.has_changed().is_ok()).cloned().map(Flight)
    }

    /// Joins the flight that is under way, or begins one.
    pub(super) fn join(&mut self, wanted: K) -> Joined<V> {
        if let Some(flight) = self.under_way(&wanted) {
            return Joined::Passenger(flight);
        }
        let (pilot, flight) = watch::channel(None);
        self.0.insert(wanted, flight.clone());
        Joined::First(Pilot(pilot), Flight(flight))
    }

    /// Takes the flight out, so that the next one who wants it begins another; says whether it was still the one that is under
    /// way. One that was called off brings what was so before: for those who asked then, and nobody else.
    pub(super) fn land(&mut self, wanted: &K, pilot: &Pilot<V>) -> bool {
        let is_this = self.0.get(wanted).is_some_and(|flight| flight.same_channel(&pilot.0.subscribe()));
        if is_this {
            self.0.remove(wanted);
        }
        is_this
    }

    /// Calls off what `keep` does not want: who is on such a flight gets what it brings, who comes now begins another.
    pub(super) fn retain(&mut self, keep: impl Fn(&K) -> bool) {
        self.0.retain(|wanted, _| keep(wanted));
    }
}

impl<V: Clone> Flight<V> {
    /// Waits until it has landed; `None` where its pilot is lost.
    pub(super) async fn landed(mut self) -> Option<V> {
        self.0.wait_for(Option::is_some).await.ok()?.clone()
    }
}

impl<V> Pilot<V> {
    /// Gives all passengers what it brought.
    pub(super) fn bring(&self, what: V) {
        self.0.send_replace(Some(what));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use shuttle::sync::Mutex;
    use shuttle::{check_random, future, thread};

    use super::*;

    /// Orders of steps that are tried.
    const TRIED: usize = 2000;

    /// A source of which one question may be under way at a time. It brings the number of the value that it has at the end.
    #[derive(Default)]
    struct Source {
        under_way: AtomicUsize,
        asked: AtomicUsize,
        value: AtomicUsize,
    }

    impl Source {
        fn fetch(&self) -> usize {
            assert_eq!(self.under_way.fetch_add(1, Ordering::SeqCst), 0, "two at once");
            self.asked.fetch_add(1, Ordering::SeqCst);
            thread::yield_now();
            let value = self.value.load(Ordering::SeqCst);
            thread::yield_now();
            self.under_way.fetch_sub(1, Ordering::SeqCst);
            value
        }
    }

    type Shared = Arc<(Mutex<Flights<&'static str, usize>>, Source)>;

    /// What one reader does: joins, flies if it is the first, and waits.
    fn read(shared: &Shared) -> Option<usize> {
        let (flights, source) = &**shared;
        let joined = flights.lock().unwrap().join("secret");
        match joined {
            Joined::Passenger(flight) => future::block_on(flight.landed()),
            Joined::First(pilot, flight) => {
                let value = source.fetch();
                flights.lock().unwrap().land(&"secret", &pilot);
                pilot.bring(value);
                future::block_on(flight.landed())
            }
        }
    }

    #[test]
    fn in_whatever_order_readers_come_one_question_is_under_way_and_all_are_answered() {
        check_random(
            || {
                let shared: Shared = Arc::new((Mutex::new(Flights::new()), Source::default()));
                let readers: Vec<_> = (0..4)
                    .map(|_| {
                        let shared = Arc::clone(&shared);
                        thread::spawn(move || read(&shared))
                    })
                    .collect();
                for reader in readers {
                    assert_eq!(reader.join().unwrap(), Some(0));
                }
                let asked = shared.1.asked.load(Ordering::SeqCst);
                assert!((1..=4).contains(&asked));
                assert!(shared.0.lock().unwrap().under_way(&"secret").is_none(), "nothing is left behind");
            },
            TRIED,
        );
    }

    #[test]
    fn who_comes_after_a_flight_was_called_off_never_gets_what_was_so_before() {
        check_random(
            || {
                let shared: Shared = Arc::new((Mutex::new(Flights::new()), Source::default()));
                let early = {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        // One that flies, without the check for two at once: the second may overlap it.
                        let joined = shared.0.lock().unwrap().join("secret");
                        let Joined::First(pilot, flight) = joined else { return None };
                        let value = shared.1.value.load(Ordering::SeqCst);
                        thread::yield_now();
                        let current = shared.0.lock().unwrap().land(&"secret", &pilot);
                        pilot.bring(value);
                        future::block_on(flight.landed()).map(|value| (value, current))
                    })
                };
                let late = {
                    let shared = Arc::clone(&shared);
                    thread::spawn(move || {
                        shared.1.value.store(1, Ordering::SeqCst);
                        shared.0.lock().unwrap().retain(|_| false);
                        read(&shared)
                    })
                };
                let (early, late) = (early.join().unwrap(), late.join().unwrap());
                // The early one may have begun after the change, and then the late one may have joined it.
                assert_eq!(late, Some(1), "{early:?}");
            },
            TRIED,
        );
    }

    #[test]
    fn a_lost_pilot_is_told_and_the_next_begins_another() {
        let mut flights = Flights::<_, usize>::new();
        let Joined::First(pilot, flight) = flights.join("secret") else { panic!("somebody was there") };
        drop(pilot);
        assert_eq!(future_now(flight.landed()), None);
        assert!(matches!(flights.join("secret"), Joined::First(..)));
    }

    fn future_now<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }
}
