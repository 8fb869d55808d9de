//! Programs that take their own settings from the file.

use crate::host::{host, made, same, user};

#[test]
fn git_reads_a_configuration() {
    let wanted = format!("Authorization: Bearer {}\n", made().passphrase);
    let script = "git config --file $F/gitconfig --get http.extraHeader";
    same(&user(&host(), &[("git", "git")], script), wanted.as_bytes());
}

#[test]
fn git_includes_a_configuration() {
    let wanted = format!("Authorization: Bearer {}\n", made().passphrase);
    let script = "git config --global include.path $F/gitconfig; git config --get http.extraHeader";
    same(&user(&host(), &[("git", "git")], script), wanted.as_bytes());
}

#[test]
fn git_finds_a_password_in_a_credential_store() {
    let script = "printf 'protocol=https\\nhost=example.org\\n\\n' |
        git -c \"credential.helper=store --file=$F/git-credentials\" credential fill | grep ^password=";
    let wanted = format!("password={}\n", made().passphrase);
    same(&user(&host(), &[("git", "git")], script), wanted.as_bytes());
}

#[test]
fn haproxy_takes_key_and_certificate_of_one_file() {
    let port = crate::host::free_port();
    let script = format!(
        "printf '%s\\n' 'defaults' '  mode http' '  timeout client 1s' '  timeout server 1s' '  timeout connect 1s' \
         'frontend f' \"  bind 127.0.0.1:{port} ssl crt $F/tls.pem\" > h.cfg; haproxy -c -f h.cfg 2>&1
         sed -i \"s|tls.pem|passphrase|\" h.cfg; ! haproxy -c -f h.cfg > refused 2>&1"
    );
    let said = String::from_utf8(user(&host(), &[("haproxy", "haproxy")], &script)).unwrap();
    assert!(said.contains("valid"), "{said}");
}
