//! Programs that read a key or a certificate.

use crate::host::{Program, host, made, same, user};

const OPENSSL: &[Program] = &[("openssl", "openssl")];

#[test]
fn ssh_keygen_shows_the_public_key() {
    let found = user(&host(), &[("ssh-keygen", "openssh-client")], "ssh-keygen -y -f $F/id_ed25519");
    assert_eq!(String::from_utf8_lossy(&found).trim(), made().ssh_public);
}

#[test]
fn ssh_add_gives_the_key_to_an_agent() {
    let script = "eval $(ssh-agent -a $PWD/agent) > /dev/null; trap 'kill $SSH_AGENT_PID' EXIT
        ssh-add -q $F/id_ed25519; ssh-add -L | cut -d ' ' -f 1,2";
    let found = user(&host(), &[("ssh-add", "openssh-client")], script);
    assert_eq!(String::from_utf8_lossy(&found).trim(), made().ssh_public);
}

#[test]
fn ssh_keygen_signs() {
    let script = "echo hello > m; ssh-keygen -q -Y sign -n file -f $F/id_ed25519 m
        ssh-keygen -Y check-novalidate -n file -s m.sig < m | grep -o Good";
    same(&user(&host(), &[("ssh-keygen", "openssh-client")], script), b"Good\n");
}

#[test]
fn openssl_reads_the_certificate() {
    let script = "openssl x509 -in $F/tls.crt -noout -subject; openssl x509 -in $F/tls.crt";
    let found = String::from_utf8(user(&host(), OPENSSL, script)).unwrap();
    let (subject, certificate) = found.split_once('\n').unwrap();
    assert_eq!(subject.replace(' ', ""), "subject=CN=localhost");
    same(certificate.as_bytes(), &made().tls_certificate);
}

#[test]
fn openssl_checks_the_rsa_key() {
    same(&user(&host(), OPENSSL, "openssl rsa -in $F/tls.key -check -noout"), b"RSA key ok\n");
}

#[test]
fn openssl_pkey_prints_the_same_key() {
    same(&user(&host(), OPENSSL, "openssl pkey -in $F/tls.key"), &made().tls_key);
}

#[test]
fn openssl_decrypts_with_a_passphrase_file() {
    let script = "echo hello | openssl enc -aes-256-cbc -pbkdf2 -pass file:$F/passphrase -out e
        openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:$(cat $F/passphrase) -in e";
    same(&user(&host(), OPENSSL, script), b"hello\n");
}

#[test]
fn gpg_takes_a_passphrase_from_a_file() {
    let script = "export GNUPGHOME=$PWD/g; mkdir -m 0700 g; trap 'gpgconf --kill all' EXIT
        gpg='gpg --batch -q --pinentry-mode loopback'
        echo hello | $gpg --passphrase-file $F/passphrase --symmetric -o m 2> said; gpgconf --kill all
        $gpg --passphrase \"$(cat $F/passphrase)\" -d m 2> said";
    same(&user(&host(), &[("gpg", "gnupg")], script), b"hello\n");
}

#[test]
fn gpg_imports_a_private_key_and_signs_with_it() {
    let script = "export GNUPGHOME=$PWD/g; mkdir -m 0700 g; trap 'gpgconf --kill all' EXIT
        gpg --batch -q --import $F/key.asc 2>&1; echo hello | gpg --batch --sign > m 2> said; gpg --batch -q -d m 2> said";
    same(&user(&host(), &[("gpg", "gnupg")], script), b"hello\n");
}
