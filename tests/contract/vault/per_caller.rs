//! Each workload has a login of its own in the database.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use super::database::{engine, psql};
use super::leases::{exists, is_dropped, lends};
use super::server::{Bao, text_file};
use super::settings;
use crate::process::write_private;
use crate::upstream::At;

/// A mounted hushfs with a scope `db` of two workloads, which are told apart by their programs.
struct Mounted {
    daemon: Child,
    dir: tempfile::TempDir,
}

impl Mounted {
    fn start(provider: &str, from: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (config, here) = (dir.path().join("hushfs.toml"), dir.path().display());
        let text = format!(
            "mount = '{here}/m'\nnamespaces = 'own'\naudit = {{ to = '{here}/audit.log' }}
             [scope.db]\nallow = {{ uid = 0 }}
             file.user = {{ from = 'p:{from}#username', per_caller = true }}
             file.password = {{ from = 'p:{from}#password', per_caller = true }}
             workload = {{ web = {{ exe = '/usr/bin/cat' }}, worker = {{ exe = '/usr/bin/tail' }} }}
             [provider.p]\nkind = 'vault'\n{provider}\n"
        );
        write_private(&config, text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_hushfs"));
        command.args(["mount", "--config"]).arg(&config).stdin(Stdio::null()).stderr(Stdio::null());
        let mut mounted = Self { daemon: command.spawn().unwrap(), dir };
        let since = Instant::now();
        // The socket is there once all is.
        while !mounted.dir.path().join("m.sock").exists() {
            assert!(mounted.daemon.try_wait().unwrap().is_none(), "it cannot be mounted; is this root?");
            assert!(since.elapsed() < Duration::from_secs(20), "it is not mounted");
            std::thread::sleep(Duration::from_millis(20));
        }
        mounted
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join("m/db").join(name)
    }

    fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.daemon);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        self.daemon.wait().unwrap();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if self.daemon.try_wait().unwrap().is_none() {
            self.stop();
        }
        let _ = rustix::mount::unmount(self.dir.path().join("m"), rustix::mount::UnmountFlags::DETACH);
    }
}

/// What a program reads, if it may.
fn read(program: &str, path: &Path) -> Option<String> {
    let output = Command::new(program).arg(path).stdin(Stdio::null()).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

#[test]
fn two_workloads_are_two_users_of_the_database_until_hushfs_is_stopped() {
    let bao = Bao::shared();
    let database = engine(bao);
    let renew = "path \"sys/leases/renew\" { capabilities = [\"update\"] }";
    let token = bao.token(&bao.policy(&format!("{} {renew}", lends(&database))), &json!({ "ttl": "1h" }));
    let at = At { url: bao.url.clone(), ca: None };
    let provider = settings(&at, &format!("token_file = '{}'", text_file(&token)));
    let mut mounted = Mounted::start(&provider, &format!("{database}/creds/app"));
    let (web, worker) = (mounted.file("web/user"), mounted.file("worker/user"));
    let of_web = read("/usr/bin/cat", &web).unwrap();
    let of_worker = read("/usr/bin/tail", &worker).unwrap();
    assert_ne!(of_web, of_worker);
    for user in [&of_web, &of_worker] {
        assert_eq!(&psql("SELECT current_user", user), user, "the database knows it");
    }
    assert_eq!(read("/usr/bin/cat", &web).unwrap(), of_web, "the same again");
    assert!(read("/usr/bin/cat", &mounted.file("web/password")).is_some_and(|password| !password.is_empty()));
    assert_eq!((read("/usr/bin/cat", &worker), read("/usr/bin/tail", &web)), (None, None));
    let (_, lent) = bao.ask("LIST", &format!("sys/leases/lookup/{database}/creds/app"), &json!(null));
    assert_eq!(lent["data"]["keys"].as_array().map(Vec::len), Some(2), "{lent}");
    assert!(exists(&of_web) && exists(&of_worker));
    mounted.stop();
    assert!(is_dropped(&of_web) && is_dropped(&of_worker), "ended with hushfs");
}
