//! Logins that a database engine lends, of a real PostgreSQL.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use super::secrets::provider;
use super::server::Bao;
use super::values;
use crate::process::{free_port, serve};
use crate::upstream::fetch;

/// The newest server that is installed.
fn program(name: &str) -> PathBuf {
    let all = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        all.map(|version| version.path().join("bin").join(name)).filter(|path| path.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| panic!("{name} is missing: it is in the package postgresql"))
}

/// A command by the user `postgres`, since the server refuses to run as root.
fn by_postgres(name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args([
        "--reuid",
        "postgres",
        "--regid",
        "postgres",
        "--clear-groups",
        "--pdeathsig",
        "KILL",
        "--",
    ]);
    command.arg(program(name));
    command
}

/// A server that trusts everybody on this host.
fn postgres() -> SocketAddr {
    static SERVER: OnceLock<(SocketAddr, tempfile::TempDir)> = OnceLock::new();
    let start = || {
        let at = tempfile::tempdir().unwrap();
        let (data, address) = (at.path().join("data"), free_port());
        // Others may pass through, to what is theirs alone.
        std::fs::set_permissions(at.path(), PermissionsExt::from_mode(0o755)).unwrap();
        std::fs::create_dir(&data).unwrap();
        assert!(Command::new("chown").arg("postgres:").arg(&data).status().unwrap().success());
        let mut initdb = by_postgres("initdb");
        initdb.args(["--auth=trust", "--username=postgres", "--no-sync", "--pgdata"]).arg(&data);
        let out = initdb.current_dir("/").output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let mut server = by_postgres("postgres");
        server
            .args(["-h", "127.0.0.1", "-p", &address.port().to_string(), "-c", "fsync=off", "-D"])
            .arg(&data);
        server.args(["-k".as_ref(), data.as_os_str()]);
        serve("postgres", &server, address);
        (address, at)
    };
    SERVER.get_or_init(start).0
}

/// A database engine with a role that lends logins and one whose password is rotated; answers where it is mounted.
pub(super) fn engine(bao: &Bao) -> String {
    let (database, address) = (bao.mount("sys/mounts", "database", &json!(null)), postgres());
    let config = json!({
        "plugin_name": "postgresql-database-plugin", "allowed_roles": "*", "username": "postgres", "password": "any",
        "connection_url": format!("postgresql://{{{{username}}}}:{{{{password}}}}@{address}/postgres?sslmode=disable")
    });
    // It listens before it lets anybody in.
    let since = Instant::now();
    while bao.ask("POST", &format!("{database}/config/pg"), &config).0 >= 300 {
        assert!(since.elapsed() < Duration::from_secs(20), "the database lets nobody in");
        std::thread::sleep(Duration::from_millis(50));
    }
    let create = "CREATE ROLE \"{{name}}\" WITH LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}';";
    let role =
        json!({ "db_name": "pg", "creation_statements": [create], "default_ttl": "30m", "max_ttl": "2h" });
    bao.write(&format!("{database}/roles/app"), &role);
    database
}

fn left(expires: Option<SystemTime>) -> u64 {
    expires.unwrap().duration_since(SystemTime::now()).unwrap().as_secs()
}

pub(super) fn psql(sql: &str, user: &str) -> String {
    let address = postgres();
    let out = Command::new("psql")
        .args(["-h", "127.0.0.1", "-p", &address.port().to_string(), "-U", user, "-tAc", sql, "postgres"])
        .current_dir(Path::new("/"))
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

#[test]
fn each_fetch_is_lent_a_login_of_its_own() {
    let bao = Bao::shared();
    let database = engine(bao);
    let rules = format!("path \"{database}/creds/*\" {{ capabilities = [\"read\"] }}");
    let provider = provider(bao, &rules, "");
    let path = format!("{database}/creds/app");
    let (first, second) = (fetch(&*provider, &path).unwrap(), fetch(&*provider, &path).unwrap());
    let lease = first.lease.as_ref().unwrap();
    assert!(lease.handle.starts_with(&format!("{path}/")), "{}", lease.handle);
    assert_eq!((lease.lasts.as_secs(), lease.renewable), (1800, true));
    assert!((1790..=1800).contains(&left(first.expires)));
    assert_ne!(first.version, second.version);
    let user = values(&first)["username"].as_str().unwrap().to_owned();
    assert_ne!(Value::String(user.clone()), values(&second)["username"]);
    assert_eq!(psql("SELECT current_user", &user), user, "the database knows it");
}

#[test]
fn a_password_that_the_engine_rotates_keeps_its_version_and_says_when_it_ends() {
    let bao = Bao::shared();
    let database = engine(bao);
    let user = database.replace('-', "_");
    psql(&format!("CREATE ROLE \"{user}\" WITH LOGIN"), "postgres");
    let role = json!({ "db_name": "pg", "username": user, "rotation_period": "1h" });
    bao.write(&format!("{database}/static-roles/fixed"), &role);
    let rules = format!("path \"{database}/static-creds/*\" {{ capabilities = [\"read\"] }}");
    let provider = provider(bao, &rules, "");
    let path = format!("{database}/static-creds/fixed");
    let first = fetch(&*provider, &path).unwrap();
    std::thread::sleep(Duration::from_millis(1100));
    let again = fetch(&*provider, &path).unwrap();
    assert_eq!((&first.version, first.created), (&again.version, again.created));
    assert!(first.lease.is_none());
    assert!((3500..=3600).contains(&left(first.expires)));
    bao.write(&format!("{database}/rotate-role/fixed"), &json!({}));
    assert_ne!(first.version, fetch(&*provider, &path).unwrap().version);
}
