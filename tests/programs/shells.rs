//! Shells.

use crate::host::{Program, host, made, same, user};

const BASH: &[Program] = &[("bash", "bash")];

#[test]
fn bash_substitutes_the_content() {
    same(&user(&host(), BASH, "printf %s \"$(<$F/passphrase)\""), made().passphrase.as_bytes());
}

#[test]
fn bash_sources_an_environment_file() {
    let script = "set -a; source $F/.env; env | grep '^TOKEN='; printf '%s\\n' \"$GREETING\"";
    let wanted = format!("TOKEN={}\nit is \"$HOME\"\n", made().passphrase);
    same(&user(&host(), BASH, script), wanted.as_bytes());
}

#[test]
fn bash_maps_a_file_to_lines() {
    same(&user(&host(), BASH, "mapfile lines < $F/text; printf %s \"${lines[@]}\""), &made().text);
}

#[test]
fn sh_reads_a_line() {
    let script = "sh -c '. \"$F/.env\"; [ -s \"$F/passphrase\" ] && read -r line < \"$F/pgpass\"; echo \"$line $TOKEN\"'";
    let wanted = format!("localhost:*:*:*:{0} {0}\n", made().passphrase);
    same(&user(&host(), &[("sh", "dash")], script), wanted.as_bytes());
}

#[test]
fn xargs_reads_arguments() {
    same(
        &user(&host(), &[("xargs", "findutils")], "xargs -a $F/passphrase printf %s"),
        made().passphrase.as_bytes(),
    );
}

#[test]
fn find_finds_by_size_and_by_not_being_empty() {
    let script = "find $F -name text -size 204800c -printf '%f\\n'; find $F -empty; find $F -name absent -not -empty -printf '%f\\n'";
    same(&user(&host(), &[("find", "findutils")], script), b"text\nabsent\n");
}

#[test]
fn systemd_creds_shows_a_credential() {
    let script = "CREDENTIALS_DIRECTORY=$F systemd-creds cat passphrase";
    same(&user(&host(), &[("systemd-creds", "systemd")], script), made().passphrase.as_bytes());
}
