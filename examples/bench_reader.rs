//! Measures what a reader waits for: `open`, `fstat`, `read` to the end and `close` of one file, in nanoseconds.
//!
//! Several files are measured in turns of one block each, so that what disturbs the machine for a while disturbs all of
//! them. A file that is expected to be denied is only opened. Any answer other than the expected one ends the run with an
//! error: a wrong number is worse than none. Prints one JSON object.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Serialize;

/// Measures what a reader waits for.
#[derive(Parser)]
struct Args {
    /// Files to read, each as NAME=PATH
    #[arg(long = "read", value_name = "NAME=PATH", value_parser = target)]
    reads: Vec<(String, PathBuf)>,
    /// Files whose open is denied with EACCES, each as NAME=PATH
    #[arg(long = "denied", value_name = "NAME=PATH", value_parser = target)]
    denied: Vec<(String, PathBuf)>,
    /// Measurements of each file
    #[arg(long, default_value_t = 20_000)]
    count: usize,
    /// Measurements of one file before the next has its turn
    #[arg(long, default_value_t = 200)]
    block: usize,
    /// Measurements of each file that are thrown away first
    #[arg(long, default_value_t = 1_000)]
    warmup: usize,
}

/// One file and what was measured of it.
struct Target {
    name: String,
    path: PathBuf,
    expect: Expect,
    nanos: Vec<u64>,
}

#[derive(Clone, Copy)]
enum Expect {
    Content,
    Denial,
}

#[derive(Serialize)]
struct Summary {
    count: usize,
    min_ns: u64,
    p50_ns: u64,
    p90_ns: u64,
    p99_ns: u64,
}

fn target(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=PATH")?;
    Ok((name.to_owned(), path.into()))
}

impl Target {
    fn new(expect: Expect, capacity: usize) -> impl Fn((String, PathBuf)) -> Self {
        move |(name, path)| Self { name, path, expect, nanos: Vec::with_capacity(capacity) }
    }

    /// One measurement.
    fn once(&self) -> Result<u64, String> {
        let start = Instant::now();
        let failed = |what: &str, errno: Errno| format!("{}: {what}: {errno}", self.path.display());
        let opened = rustix::fs::open(&self.path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let file = match (opened, self.expect) {
            (Ok(file), Expect::Content) => file,
            (Err(Errno::ACCESS), Expect::Denial) => return Ok(nanos_since(start)),
            (Ok(_), Expect::Denial) => {
                return Err(format!("{}: opened, but was to be denied", self.path.display()));
            }
            (Err(errno), _) => return Err(failed("open", errno)),
        };
        let size = rustix::fs::fstat(&file).map_err(|errno| failed("fstat", errno))?.st_size;
        let mut buffer = [0; 4096];
        let mut total = 0i64;
        loop {
            match rustix::io::read(&file, &mut buffer).map_err(|errno| failed("read", errno))? {
                0 => break,
                n => total = total.saturating_add(i64::try_from(n).unwrap_or(i64::MAX)),
            }
        }
        drop(file);
        let nanos = nanos_since(start);
        if total == size {
            Ok(nanos)
        } else {
            Err(format!("{}: fstat said {size} bytes, read gave {total}", self.path.display()))
        }
    }

    fn summary(mut self) -> (String, Summary) {
        self.nanos.sort_unstable();
        let count = self.nanos.len();
        let at = |share: usize| {
            self.nanos.get((count * share / 100).min(count.saturating_sub(1))).copied().unwrap_or(0)
        };
        let summary = Summary { count, min_ns: at(0), p50_ns: at(50), p90_ns: at(90), p99_ns: at(99) };
        (self.name, summary)
    }
}

fn nanos_since(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

fn run(args: Args) -> Result<(), String> {
    let reads = args.reads.into_iter().map(Target::new(Expect::Content, args.count));
    let denied = args.denied.into_iter().map(Target::new(Expect::Denial, args.count));
    let mut targets: Vec<Target> = reads.chain(denied).collect();
    for target in &targets {
        for _ in 0..args.warmup {
            target.once()?;
        }
    }
    let block = args.block.clamp(1, args.count.max(1));
    for _ in 0..args.count / block {
        for target in &mut targets {
            // The first after a turn of the others finds cold caches that no real reader in a loop would.
            target.once()?;
            for _ in 0..block {
                let nanos = target.once()?;
                target.nanos.push(nanos);
            }
        }
    }
    let summaries: BTreeMap<String, Summary> = targets.into_iter().map(Target::summary).collect();
    let text = serde_json::to_string(&summaries).map_err(|error| error.to_string())?;
    writeln!(std::io::stdout(), "{text}").map_err(|error| error.to_string())
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "bench_reader: {error}");
            ExitCode::FAILURE
        }
    }
}
