//! Packages of npm.

use std::path::PathBuf;

use hushfs::format::Format;

use crate::values;
use crate::written::{Values, printed, program, write};

/// What `script` prints, where the packages of `tests/formats/package.json` are found.
pub(crate) fn node(values: &Values, script: &str) -> Vec<u8> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let packages = target.parent().unwrap().join("node/node_modules");
    assert!(packages.exists(), "{} is missing: scripts/node makes it", packages.display());
    let script = format!(
        "const fs = require('fs'), from = name => require({:?} + '/' + name);\n{script}",
        packages.display().to_string()
    );
    printed(&program("node", "nodejs"), &["-e", &script], values.dir.path())
}

const PARSE: &str = "process.stdout.write(JSON.stringify(from('dotenv').parse(fs.readFileSync('values'))))";

/// What no kind of its quotes holds.
fn cannot(value: &str) -> bool {
    let unquoted = !value.contains(['#', '\n', '\r', '\u{2028}', '\u{2029}'])
        && value.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}') == value
        && !value.starts_with(['\'', '"', '`']);
    let hidden = value.ends_with('\\');
    let escapes = value.contains("\\n") || value.contains("\\r");
    let double = !value.contains('"') && !hidden && !escapes;
    if value.contains('\r') {
        return !double;
    }
    !(unquoted || double || (!hidden && (!value.contains('\'') || !value.contains('`'))))
}

#[test]
fn dotenv_reads_every_value_but_those_that_none_of_its_quotes_holds() {
    let values = write(Format::NodeEnv, &values::all(), cannot);
    values.read_as_json(&node(&values, PARSE));
}

#[test]
fn dotenv_reads_them_in_its_fast_way_too() {
    let values = write(Format::NodeEnv, &values::all(), cannot);
    values.read_as_json(&node(&values, &PARSE.replace("('values')", "('values'), { fast: true }")));
}

#[test]
fn dotenv_puts_every_value_in_the_environment() {
    let values = write(Format::NodeEnv, &values::all(), cannot);
    let script = "from('dotenv').config({ path: 'values', quiet: true }); process.stdout.write(JSON.stringify(process.env))";
    values.read_as_json(&node(&values, script));
}
