//! Clients of databases, which are particular about the modes of their password files.

use crate::host::{host, made, same, user};
use crate::peer;

#[test]
fn psql_takes_the_password_from_pgpass_and_finds_its_mode_right() {
    let (port, server) = peer::postgres();
    let script = format!(
        "export PGSSLMODE=disable PGGSSENCMODE=disable PGPASSFILE=$F/pgpass
         ! psql -w -h 127.0.0.1 -p {port} -U app -d app -c 'select 1' 2>&1"
    );
    let said = String::from_utf8(user(&host(), &[("psql", "postgresql-client")], &script)).unwrap();
    same(&server.join().unwrap(), format!("{}\0", made().passphrase).as_bytes());
    assert!(said.contains("seen") && !said.to_lowercase().contains("warning"), "{said}");
}

#[test]
fn mariadb_takes_its_options_from_a_file() {
    let script = "! mariadb --defaults-file=$F/my.cnf -e 'select 1' 2>&1";
    let said = String::from_utf8(user(&host(), &[("mariadb", "mariadb-client")], script)).unwrap();
    assert!(said.contains(&format!("'/nowhere/{}'", made().passphrase)), "{said}");
    assert!(!said.to_lowercase().contains("warning"), "{said}");
}

#[test]
fn sqlite_reads_a_file_by_its_size() {
    let script = "sqlite3 :memory: \"select length(readfile('$F/binary')); select writefile('copy', readfile('$F/binary'))\" | head -n 1; cat copy";
    let wanted = [b"70001\n".as_slice(), &made().binary].concat();
    same(&user(&host(), &[("sqlite3", "sqlite3")], script), &wanted);
}
