//! Measures what it takes to know a caller, in microseconds: one never seen, one seen before, and one that is only recalled.
//!
//! It starts processes that sleep, in rounds, and identifies each as if it had asked for a file. Without the mount: what a reader waits
//! for in all is `scripts/bench`'s to say. Run it as root, from a release build: only root may inspect everybody.
//!
//! ```sh
//! cargo build --release --example identity && taskset -c 1 target/release/examples/identity
//! ```

use std::hint::black_box;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use clap::Parser;
use hushfs::identity::{Attestor, Caller, Refusal, Tid};

/// Measures what it takes to know a caller.
#[derive(Parser)]
struct Args {
    /// Processes that are started in a round
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=500))]
    processes: u32,
    /// Rounds
    #[arg(long, default_value_t = 5)]
    rounds: u32,
    /// The uid and gid they run with
    #[arg(long, default_value_t = 1000)]
    uid: u32,
    /// Supplementary groups of theirs, which make a known one dearer: they are looked at again
    #[arg(long)]
    groups: bool,
}

/// Processes that sleep, ended when dropped.
struct Sleepers(Vec<Child>);

impl Sleepers {
    fn start(args: &Args) -> std::io::Result<Self> {
        let mut sleepers = Self(Vec::new());
        let groups = if args.groups { "--groups=4,20,24" } else { "--clear-groups" };
        for _ in 0..args.processes {
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &args.uid.to_string(), "--regid", &args.uid.to_string(), groups]);
            command.args(["sleep", "600"]).stdin(Stdio::null()).process_group(0);
            sleepers.0.push(command.spawn()?);
        }
        // Each is another program twice before it sleeps: it is settled once its name is the last one's.
        for sleeper in &sleepers.0 {
            let name = format!("/proc/{}/comm", sleeper.id());
            while std::fs::read_to_string(&name)? != "sleep\n" {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(sleepers)
    }

    fn callers(&self, uid: u32) -> impl Iterator<Item = Caller> {
        self.0.iter().map(move |sleeper| Caller { tid: Tid(sleeper.id()), uid, gid: uid })
    }
}

impl Drop for Sleepers {
    fn drop(&mut self) {
        for sleeper in &mut self.0 {
            let _ = sleeper.kill();
        }
        for sleeper in &mut self.0 {
            let _ = sleeper.wait();
        }
    }
}

/// How long `act` takes, added to `to`.
fn timed<T>(to: &mut Vec<Duration>, act: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = black_box(act());
    to.push(start.elapsed());
    done
}

fn summary(name: &str, mut took: Vec<Duration>) -> String {
    took.sort_unstable();
    let at = |share: usize| took.get(took.len() * share / 100).map_or(0.0, |one| one.as_secs_f64() * 1e6);
    format!("{name:30} {:8.1} {:8.1} {:8}", at(50), at(90), took.len())
}

fn run(args: &Args) -> Result<(), String> {
    let attestor = Attestor::new().map_err(|error| format!("/proc cannot be read: {error}"))?;
    let (mut never_seen, mut known, mut recalled) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let sleepers =
            Sleepers::start(args).map_err(|error| format!("setpriv cannot be started: {error}"))?;
        let refused = |refusal: Refusal| format!("a process is not identified: {refusal}");
        for caller in sleepers.callers(args.uid) {
            timed(&mut never_seen, || attestor.identify(caller)).map_err(refused)?;
        }
        for caller in sleepers.callers(args.uid) {
            // The first look finds what the processor does not have at hand; a caller that reads in a loop does not meet that.
            for turn in 0..10 {
                let mut aside = Vec::new();
                let known = if turn == 0 { &mut aside } else { &mut known };
                timed(known, || attestor.identify(caller)).map_err(refused)?;
            }
            for _ in 0..10 {
                timed(&mut recalled, || attestor.recall(caller)).ok_or("a process that was known is not")?;
            }
        }
    }
    let lines = [
        format!("{:30} {:>8} {:>8} {:>8}", "microseconds", "p50", "p90", "of"),
        summary("a process never seen", never_seen),
        summary("a known one", known),
        summary("a known one, only recalled", recalled),
    ];
    writeln!(std::io::stdout(), "{}", lines.join("\n")).map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "identity: {error}");
            ExitCode::FAILURE
        }
    }
}
