//! Logins of a real database, lent to real readers.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::slice;
use std::time::{Duration, Instant};

use super::super::database::{engine, psql};
use super::super::leases::{lends, role};
use super::super::server::{Bao, unique};
use super::{direct, mounted};
use crate::support::{Host, ends_within, says};

/// What the database knows of the logins of one role.
struct Role {
    name: String,
}

/// A host with a file `a/user` that shows the name of a login, and the role that makes it.
fn host(rules: &str, ttl: &str, max_ttl: &str) -> (Host, Role) {
    let bao = Bao::shared();
    let database = engine(bao);
    // The server takes eight letters of it for the name of a login.
    let role = Role { name: unique("m") };
    self::role(bao, &database, &role.name, ttl, max_ttl);
    let token = bao.token(&bao.policy(&lends(&database)), &serde_json::json!({ "ttl": "1h" }));
    let from = format!("p:{database}/creds/{}#username", role.name);
    let file = format!("file.user = {{ from = \"{from}\", {rules} }}");
    (mounted(&direct(bao), &token, "", &file), role)
}

impl Role {
    /// The logins there are.
    fn users(&self) -> Vec<String> {
        let name = &self.name;
        let sql = format!("SELECT rolname FROM pg_roles WHERE rolname LIKE 'v-%-{name}-%' ORDER BY oid");
        psql(&sql, "postgres").lines().map(str::to_owned).collect()
    }
}

/// A process that has read the file, and lives until it is told.
struct Reader(Child);

impl Reader {
    fn of(host: &Host) -> (Self, String) {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "IFS= read -r user < \"$0\"; echo \"$user\"; read -r end"])
            .arg(host.file("a/user"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (Self(child), line.trim().to_owned())
    }

    fn ends(mut self) {
        drop(self.0.stdin.take());
        assert!(ends_within(&mut self.0, Duration::from_secs(5)).is_some());
    }
}

/// What a process that ends at once reads.
fn cat(host: &Host) -> String {
    says(Command::new("/usr/bin/cat").arg(host.file("a/user")))
}

#[test]
fn a_hundred_reads_make_one_login_and_a_stat_and_prefetch_make_none() {
    let (mut host, role) = host("prefetch = true", "30m", "2h");
    let file = host.file("a/user");
    for _ in 0..10 {
        fs::metadata(&file).unwrap();
        says(Command::new("/usr/bin/stat").arg(&file));
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(role.users(), Vec::<String>::new(), "nobody has read it");
    let script = "for i in 1 2 3 4 5 6 7 8 9 10; do cat \"$0\"; echo; done";
    let since = Instant::now();
    let said: Vec<_> = std::thread::scope(|scope| {
        let shell = || says(Command::new("/bin/sh").args(["-c", script]).arg(&file));
        let all: Vec<_> = (0..10).map(|_| scope.spawn(shell)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let took = since.elapsed();
    let users = role.users();
    println!("100 reads by 100 processes of 10 shells: {} login of the database, in {took:?}", users.len());
    assert_eq!(users.len(), 1, "{users:?}");
    let read: Vec<_> = said.iter().flat_map(|said| said.lines()).collect();
    assert!(read.len() == 100 && read.iter().all(|user| *user == users[0]), "{read:?}");
    let (took, code) = host.stop();
    let left = role.users();
    println!("hushfs ended in {took:?}, and left {} logins", left.len());
    assert_eq!((code, left.len()), (Some(0), 0), "{}", host.log());
}

#[test]
fn a_login_is_renewed_replaced_before_its_end_and_gone_after_its_last_reader() {
    let (mut host, role) = host("revoke = \"on_exit\"", "6s", "15s");
    let made = Instant::now();
    let (reader, first) = Reader::of(&host);
    assert_eq!(role.users(), slice::from_ref(&first));
    // It is lent for six seconds, so at nine it was renewed; at fifteen the server ends it, whatever is asked.
    let mut second = cat(&host);
    let mut known_after = Duration::ZERO;
    while second == first {
        assert!(made.elapsed() < Duration::from_secs(15), "{}", host.log());
        // The next one may have been made since.
        let users = role.users();
        let is_good = users.contains(&first) && users.len() <= 2;
        assert!(is_good, "after {:?}: {users:?} {}", made.elapsed(), host.log());
        known_after = made.elapsed();
        std::thread::sleep(Duration::from_millis(200));
        second = cat(&host);
    }
    let (replaced, users) = (made.elapsed(), role.users());
    println!(
        "a login of 6 s, 15 s at most: the first one until {known_after:?}, another one at {replaced:?}: {users:?}"
    );
    assert!(known_after > Duration::from_secs(8), "it was to be renewed: {known_after:?}");
    assert!(users.contains(&second), "{users:?}");
    assert!(users.contains(&first) && replaced < Duration::from_secs(15), "the first one was still good");
    reader.ends();
    let ended = Instant::now();
    host.eventually("all are gone", || role.users().is_empty());
    println!("after the last reader ended: gone within {:?}", ended.elapsed());
    host.recorded("its end", |record| record["op"] == "revoke" && record["outcome"] == "allowed");
    let (_reader, third) = Reader::of(&host);
    assert_eq!(role.users(), slice::from_ref(&third));
    let (_, code) = host.stop();
    assert_eq!((code, role.users().len()), (Some(0), 0), "at the end of hushfs: {}", host.log());
}
