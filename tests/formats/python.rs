//! python-dotenv.

use std::path::PathBuf;

use hushfs::format::Format;

use crate::values;
use crate::written::{Values, printed, write};

/// What `script` prints, with the packages of `tests/contract/requirements.txt`.
pub(crate) fn python(values: &Values, script: &str) -> Vec<u8> {
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let program = target.parent().unwrap().join("python/bin/python");
    assert!(program.exists(), "{} is missing: scripts/python makes it", program.display());
    printed(&program, &["-c", &format!("import json\n{script}")], values.dir.path())
}

#[test]
fn dotenv_reads_every_value() {
    let values = write(Format::PythonEnv, &values::all(), |value| value.contains('\0'));
    values.read_as_json(&python(&values, "import dotenv; print(json.dumps(dotenv.dotenv_values('values')))"));
    let script =
        "import dotenv, os; assert dotenv.load_dotenv('values'); print(json.dumps(dict(os.environ)))";
    values.read_as_json(&python(&values, script));
}
