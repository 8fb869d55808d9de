//! Node, as the MCP gateways that run on it read their configuration.

use crate::host::{Program, fresh, host, made, same, user};

const NODE: &[Program] = &[("node", "nodejs")];

/// Looks, asks for the size, reads: on the first try.
const ONE_LINER: &str = "node -e 'const fs = require(\"fs\"), p = process.argv[1];
    if (!fs.existsSync(p)) throw new Error(\"missing\");
    if (fs.statSync(p).size === 0) throw new Error(\"empty\");
    process.stdout.write(fs.readFileSync(p))'";

#[test]
fn node_reads_the_whole_value_on_the_first_try_on_a_fresh_mount() {
    let host = fresh();
    same(&user(&host, NODE, &format!("{ONE_LINER} $F/config.json")), &made().json);
    host.eventually("one open is on record", || {
        host.audit().iter().filter(|record| record["op"] == "open").count() == 1
    });
}

/// What the one-liner does instead: it must find the file there and not empty, and then the read throws.
fn throws(host: &crate::support::Host, file: &str, code: &str) {
    let script = format!(
        "node -e 'const fs = require(\"fs\"), p = process.argv[1];
            if (!fs.existsSync(p)) throw new Error(\"missing\");
            if (!(fs.statSync(p).size > 0)) throw new Error(\"empty\");
            let text; try {{ text = fs.readFileSync(p) }} catch (error) {{ process.stdout.write(error.message) }}
            if (text !== undefined) throw new Error(\"it was read\")' {file}"
    );
    let said = String::from_utf8(user(host, NODE, &script)).unwrap();
    assert!(said.starts_with(code), "{said}");
}

#[test]
fn node_throws_where_the_rule_denies() {
    throws(&host(), "$D/config.json", "EACCES");
}

#[test]
fn node_throws_where_the_provider_has_no_such_secret() {
    // Node knows no name for ENOKEY.
    throws(&host(), "$F/absent", "Unknown system error -126");
}

#[test]
fn node_throws_where_the_provider_fails() {
    let host = fresh();
    std::fs::remove_file(host.path("store.key")).unwrap();
    throws(&host, "$F/config.json", "EIO");
}

#[test]
fn node_reads_by_promise() {
    let script = "node -e 'require(\"fs/promises\").readFile(process.argv[1]).then(b => process.stdout.write(b))' $F/text";
    same(&user(&host(), NODE, script), &made().text);
}

#[test]
fn node_reads_by_stream() {
    let script = "node -e 'require(\"fs\").createReadStream(process.argv[1]).pipe(process.stdout)' $F/text";
    same(&user(&host(), NODE, script), &made().text);
}

#[test]
fn node_requires_json() {
    let script = "node -p 'require(process.argv[1]).servers.slack.token' $F/config.json";
    same(&user(&host(), NODE, script), format!("{}\n", made().passphrase).as_bytes());
}

#[test]
fn node_copies() {
    let script = "node -e 'require(\"fs\").copyFileSync(process.argv[1], \"copy\")' $F/text; cat copy";
    same(&user(&host(), NODE, script), &made().text);
}
