//! `hushfs check`: reads the configuration as `mount` would, and mounts nothing.

use std::fmt::Write as _;
use std::process::ExitCode;

use comfy_table::{Table, presets};
use owo_colors::{OwoColorize as _, Stream};
use serde::Serialize;

use super::names::Names;
use super::{ConfigArg, EXIT_CONFIG, Outcome, term};
use crate::config::checked::{AuditSink, Config, Scope};
use crate::config::{self, Look, Problem, Problems};
use crate::identity::{PinnedId, Selector, strength};
use crate::policy::Rule;

mod online;

use online::Online;

/// How many digits of a digest the table shows.
const DIGITS: usize = 12;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// Ask the providers too: whether they can be reached, let us in, and have what the files refer to
    #[arg(long)]
    online: bool,
    /// Print one JSON object instead, for programs
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: Args) -> Outcome {
    let mut loaded = config::load(&args.config.path());
    if let Ok(config) = &mut loaded
        && let Err(error) = config.namespaces.check()
    {
        config
            .warnings
            .push(format!("here `hushfs mount` would refuse to start: {error}; hint: {}", error.hint));
    }
    let online = match &loaded {
        Ok(config) if args.online => Some(Online::ask(config)?),
        _ => None,
    };
    let failed = online.as_ref().is_some_and(|online| !online.ok);
    if args.json {
        term::say(json(&loaded, online));
        return Ok(match loaded {
            Ok(_) if failed => ExitCode::FAILURE,
            Ok(_) => ExitCode::SUCCESS,
            Err(_) => ExitCode::from(EXIT_CONFIG),
        });
    }
    match loaded {
        Ok(config) => {
            term::say(summary(&config));
            if let Some(online) = online {
                term::say(format!("\n{online}"));
            }
            Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Err(problems) => Ok(refuse(&problems)),
    }
}

/// Shows what is wrong with a configuration; the exit code says that it is the configuration.
pub(crate) fn refuse(problems: &Problems) -> ExitCode {
    let look = if term::is_fancy() { Look::Terminal } else { Look::Plain };
    let mut text = config::draw(problems, look);
    warn(&mut text, &problems.warnings, Stream::Stderr);
    let _ = write!(text, "{} to mend", counted(problems.problems.len(), "problem"));
    term::note(text);
    ExitCode::from(EXIT_CONFIG)
}

/// Adds a line for each warning.
fn warn(text: &mut String, warnings: &[String], stream: Stream) {
    for warning in warnings {
        let word = "warning:";
        let _ = writeln!(text, "{} {warning}", word.if_supports_color(stream, |word| word.yellow()));
    }
}

/// What the configuration says, on one page.
fn summary(config: &Config) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{} is right", config.path.display());
    let _ = writeln!(text, "  mount      {}", config.mount.display());
    let providers: Vec<_> =
        config.providers.iter().map(|one| format!("{} ({})", one.name, one.kind.name)).collect();
    let _ = writeln!(
        text,
        "  providers  {}",
        if providers.is_empty() { "none".to_owned() } else { providers.join(", ") }
    );
    let to = match &config.audit.to {
        AuditSink::Stderr => "standard error".to_owned(),
        AuditSink::Journal => "the journal".to_owned(),
        AuditSink::File(path) => path.display().to_string(),
    };
    let _ = writeln!(text, "  audit      {to}");
    let files: usize = config.scopes.iter().map(|scope| scope.files.len()).sum();
    let rules: usize = config.scopes.iter().map(|scope| scope.rules.iter().count()).sum();
    let scopes = counted(config.scopes.len(), "scope");
    let (files, rules) = (counted(files, "file"), counted(rules, "rule"));
    let _ = writeln!(text, "  contents   {scopes}, {files}, {rules}");
    let mut names = Names::default();
    for scope in &config.scopes {
        let _ = write!(text, "\n{}", of_scope(scope, &mut names));
    }
    warn(&mut text, &config.warnings, Stream::Stdout);
    text.trim_end().to_owned()
}

/// A number with its word.
fn counted(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}

/// A scope's directory, its files and its rules.
fn of_scope(scope: &Scope, users: &mut Names) -> String {
    let names: Vec<_> = scope.files.iter().map(|file| file.name.as_str()).collect();
    let Scope { name, uid, gid, dir_mode, .. } = scope;
    let learning = scope.learns_until(jiff::Timestamp::now());
    let learning = learning.map(|until| format!("  learning until {until}\n")).unwrap_or_default();
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(term::arrangement());
    table.set_header(["  rule", "demands", "strength"]);
    for (number, rule) in (1_usize..).zip(scope.rules.iter()) {
        let lines: Vec<_> =
            rule.selectors().iter().map(|one| (shown(&**one, users), strength_of(&**one))).collect();
        let column = |of: fn(&(String, String)) -> &str| lines.iter().map(of).collect::<Vec<_>>().join("\n");
        table.add_row([format!("  {name}.{number}"), column(|line| &line.0), column(|line| &line.1)]);
    }
    let files = if names.is_empty() { "no files".to_owned() } else { names.join(", ") };
    format!("{name}/  uid {uid}, gid {gid}, mode {dir_mode:04o}: {files}\n{learning}{}\n", table.trim_fmt())
}

/// A selector for the table: users by name, and digests by their beginning, which is enough to tell them apart.
fn shown(selector: &dyn Selector, users: &mut Names) -> String {
    if let Some(PinnedId::Uid(uid)) = selector.pins()
        && let Some(name) = users.name(uid)
    {
        return format!("user:{name} ({uid})");
    }
    let described = selector.describe();
    let Some(digests) = described.strip_prefix("exe_sha256:") else { return described };
    let begin = |digest: &str| format!("{}…", digest.get(..DIGITS).unwrap_or(digest));
    let begins: Vec<_> = digests.split(',').map(begin).collect();
    format!("exe_sha256:{}", begins.join(", "))
}

#[derive(Serialize)]
struct Report<'a> {
    ok: bool,
    problems: &'a [Problem],
    warnings: &'a [String],
    scopes: Vec<ScopeReport<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    online: Option<Online>,
}

#[derive(Serialize)]
struct ScopeReport<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    learn_until: Option<jiff::Timestamp>,
    files: Vec<FileReport<'a>>,
    rules: Vec<Vec<SelectorReport>>,
}

#[derive(Serialize)]
struct FileReport<'a> {
    name: &'a str,
    from: String,
    format: &'static str,
    uid: u32,
    gid: u32,
    mode: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    per_caller: bool,
}

#[derive(Serialize)]
struct SelectorReport {
    selector: String,
    strength: String,
}

fn json(loaded: &Result<Config, Problems>, online: Option<Online>) -> String {
    let report = match loaded {
        Ok(config) => Report {
            ok: true,
            problems: &[],
            warnings: &config.warnings,
            scopes: config.scopes.iter().map(|scope| scope_report(scope)).collect(),
            online,
        },
        Err(problems) => Report {
            ok: false,
            problems: &problems.problems,
            warnings: &problems.warnings,
            scopes: Vec::new(),
            online: None,
        },
    };
    serde_json::to_string_pretty(&report).unwrap_or_default()
}

fn scope_report(scope: &Scope) -> ScopeReport<'_> {
    let files = scope.files.iter().map(|one| FileReport {
        name: &one.name,
        from: one.shows.to_string(),
        format: one.shows.form().map_or("template", |form| form.format.name()),
        uid: one.uid,
        gid: one.gid,
        mode: octal(one.mode),
        per_caller: one.shows.whom().is_some(),
    });
    ScopeReport {
        name: &scope.name,
        uid: scope.uid,
        gid: scope.gid,
        mode: octal(scope.dir_mode),
        learn_until: scope.learn_until,
        files: files.collect(),
        rules: scope.rules.iter().map(selectors).collect(),
    }
}

/// What a rule demands, and how hard each is to evade.
fn selectors(rule: &Rule) -> Vec<SelectorReport> {
    let one = |selector: &dyn Selector| SelectorReport {
        selector: selector.describe(),
        strength: strength_of(selector),
    };
    rule.selectors().iter().map(|selector| one(&**selector)).collect()
}

fn strength_of(selector: &dyn Selector) -> String {
    strength(selector).map(|strength| strength.to_string()).unwrap_or_default()
}

fn octal(mode: u16) -> String {
    format!("{mode:04o}")
}
