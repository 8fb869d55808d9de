//! How long a template takes: 64 KiB of text that shows 50 secrets, half of them objects of eight keys.
//!
//! `cargo run --release --example bench_template` prints microseconds for one rendering, of the best and of the middle of many.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use hushfs::secret::SecretBytes;
use hushfs::template::{Show, Template};

/// As `hushfs` has it.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

const SECRETS: usize = 50;
const TEXT: usize = 64 << 10;
const ROUNDS: usize = 2000;
const MAX: u64 = 1 << 20;

fn main() -> ExitCode {
    let text = text();
    let Ok(template) = Template::compile("bench", &text) else {
        return fail("the template does not compile");
    };
    let values: Vec<_> = template.secrets().iter().map(|secret| value(secret.path())).collect();
    let values: Vec<_> = values.iter().collect();
    let mut took = Vec::with_capacity(ROUNDS);
    let mut bytes = 0;
    for _ in 0..ROUNDS {
        let start = Instant::now();
        match template.render(&values, Show::Values, MAX) {
            Ok(rendered) => bytes = rendered.len(),
            Err(error) => return fail(&error.to_string()),
        }
        took.push(start.elapsed());
    }
    took.sort_unstable();
    let at = |place: usize| took.get(place).map_or(0.0, |took: &Duration| took.as_secs_f64() * 1e6);
    say(&format!(
        "{} bytes of text, {SECRETS} secrets, {} references, {bytes} bytes: best {:.0} us, median {:.0} us",
        text.len(),
        template.references().len(),
        at(0),
        at(ROUNDS / 2),
    ));
    ExitCode::SUCCESS
}

#[expect(clippy::print_stdout, reason = "what it is for")]
fn say(text: &str) {
    println!("{text}");
}

fn fail(why: &str) -> ExitCode {
    say(why);
    ExitCode::FAILURE
}

/// Half of them are objects.
fn value(path: &str) -> SecretBytes {
    let text = match path.ends_with("json") {
        true => {
            let keys = (0..8).map(|key| format!("\"key{key}\":\"value of {path} and {key}\""));
            format!("{{{}}}", keys.collect::<Vec<_>>().join(","))
        }
        false => format!("the value of {path}, which is of some length"),
    };
    SecretBytes::copy_from(text.as_bytes())
}

fn text() -> String {
    let mut text = String::new();
    for nth in 0..SECRETS {
        let _ = match nth % 2 {
            0 => writeln!(text, "password{nth} = {{{{ secret(\"p:{nth}\") | quote_toml }}}}"),
            _ => writeln!(
                text,
                "user{nth} = {{{{ secret(\"p:{nth}-json#key1\") }}}}\n{{% for k, v in secret_json(\"p:{nth}-json\") | items %}}\n{{{{ k }}}}={{{{ v }}}}\n{{% endfor %}}\nport = {{{{ secret_json(\"p:{nth}-json\").key7 }}}}"
            ),
        };
        let goal = TEXT * (nth + 1) / SECRETS;
        while text.len() < goal {
            let room = (goal - text.len()).min(64);
            let _ = writeln!(
                text,
                "{}",
                "# a line of the file that is always there, as it is written....."
                    .get(..room.saturating_sub(1))
                    .unwrap_or_default()
            );
        }
    }
    text
}
