//! Programs that refuse a file for its owner, group or mode, in a scope that has files for several users.

use crate::host::{Program, USER, free_port, made, same, user};
use crate::support::Host;

/// A group that the user is in only where the service was given it.
const GROUP: u32 = 4321;

/// A scope of root's with these files, from the secrets that are of the same name.
fn host(files: &[(&str, &[u8], &str)]) -> Host {
    let mut scope = format!("[scope.app]\nallow = [{{ uid = {USER} }}, {{ uid = 0 }}]\n");
    for (name, _, own) in files {
        scope += &format!("file.\"{name}\" = {{ from = \"local:{name}\", {own} }}\n");
    }
    let secrets: Vec<_> = files.iter().map(|(name, value, _)| (*name, *value)).collect();
    Host::mounted(&secrets, &scope)
}

#[test]
fn ssh_takes_a_key_that_is_its_users_alone_and_no_other() {
    let key = made().ssh_key.as_slice();
    let own = |mode: &str| format!("owner = {USER}, mode = \"{mode}\"");
    let (private, read, open) = (own("0600"), own("0400"), own("0444"));
    let host = host(&[("private", key, &private), ("read", key, &read), ("open", key, &open)]);
    let needs: &[Program] = &[("ssh-keygen", "openssh-client"), ("ssh-add", "openssh-client")];
    for name in ["private", "read"] {
        let found = user(&host, needs, &format!("stat -c %U $F/{name}; ssh-keygen -y -f $F/{name}"));
        assert_eq!(
            String::from_utf8(found).unwrap().trim(),
            format!("www-data\n{}", made().ssh_public),
            "{name}"
        );
    }
    let script = "eval $(ssh-agent -a $PWD/agent) > /dev/null; trap 'kill $SSH_AGENT_PID' EXIT
        ! ssh-add -q $F/open 2>&1; ssh-add -q $F/private; ssh-add -L | cut -d ' ' -f 1,2";
    let said = String::from_utf8(user(&host, needs, script)).unwrap();
    assert!(said.contains("Permissions 0444 for") && said.contains("are too open"), "{said}");
    assert!(said.trim().ends_with(&made().ssh_public), "{said}");
}

#[test]
fn psql_takes_a_password_file_of_mode_0600_and_ignores_one_that_others_may_read() {
    let pgpass = format!("127.0.0.1:*:*:*:{}\n", made().passphrase);
    let own = |mode: &str| format!("owner = {USER}, mode = \"{mode}\"");
    let (private, open) = (own("0600"), own("0644"));
    let host = host(&[("private", pgpass.as_bytes(), &private), ("open", pgpass.as_bytes(), &open)]);
    let ask = |name: &str, port: u16| {
        let script = format!(
            "export PGSSLMODE=disable PGGSSENCMODE=disable PGPASSFILE=$F/{name}
             ! psql -w -h 127.0.0.1 -p {port} -U app -d app -c 'select 1' 2>&1"
        );
        String::from_utf8(user(&host, &[("psql", "postgresql-client")], &script)).unwrap()
    };
    let (port, server) = crate::peer::postgres();
    let said = ask("private", port);
    same(&server.join().unwrap(), format!("{}\0", made().passphrase).as_bytes());
    assert!(!said.to_lowercase().contains("warning"), "{said}");
    let said = ask("open", free_port());
    assert!(said.contains("has group or world access"), "{said}");
}

#[test]
fn redis_serves_tls_with_a_key_of_its_users_own_beside_one_of_roots() {
    let files: &[(&str, &[u8], &str)] = &[
        ("tls.key", &made().tls_key, &format!("owner = {USER}, mode = \"0600\"")),
        ("root.key", &made().tls_key, "owner = 0, mode = \"0400\""),
        ("tls.crt", &made().tls_certificate, "mode = \"0444\""),
    ];
    let host = host(files);
    let port = free_port();
    let start = |key: &str, port: u16| {
        format!(
            "redis-server --port 0 --tls-port {port} --bind 127.0.0.1 --save '' --dir $PWD --tls-auth-clients no \
            --tls-cert-file $F/tls.crt --tls-key-file $F/{key} --tls-ca-cert-file $F/tls.crt"
        )
    };
    let script = format!(
        "! timeout 10 {} > refused 2>&1; grep -o 'Permission denied' refused | head -n 1
         {} > log 2>&1 & trap \"kill $!; wait $!\" EXIT
         for n in $(seq 100); do redis-cli --tls --cacert $F/tls.crt -h 127.0.0.1 -p {port} ping > answer 2>&1 && break; sleep 0.1; done
         cat answer",
        start("root.key", free_port()),
        start("tls.key", port)
    );
    let needs: &[Program] = &[("redis-server", "redis-server"), ("redis-cli", "redis-tools")];
    same(&user(&host, needs, &script), b"Permission denied\nPONG\n");
}

#[test]
fn postgresql_serves_tls_with_a_key_of_its_own_or_one_of_root_that_its_group_reads() {
    let files: &[(&str, &[u8], &str)] = &[
        ("own.key", &made().tls_key, &format!("owner = {USER}, mode = \"0600\"")),
        ("group.key", &made().tls_key, &format!("owner = 0, group = {GROUP}, mode = \"0640\"")),
        ("open.key", &made().tls_key, &format!("owner = {USER}, mode = \"0444\"")),
        ("tls.crt", &made().tls_certificate, "mode = \"0444\""),
    ];
    let host = host(files);
    let needs: &[Program] =
        &[("pg_lsclusters", "postgresql"), ("psql", "postgresql-client"), ("setpriv", "util-linux")];
    let script = format!(
        "PATH=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1):$PATH
         chown {USER}:{USER} .; they() {{ setpriv --reuid={USER} --regid={USER} --groups={GROUP} \"$@\"; }}
         they initdb -D data -A trust --no-sync -E UTF8 > log 2>&1
         serve() {{ they postgres -D data -k $PWD -p $2 -h 127.0.0.1 -c ssl=on -c fsync=off -c ssl_cert_file=$F/tls.crt -c ssl_key_file=$F/$1; }}
         ! serve open.key 1 > refused 2>&1; grep -o 'has group or world access' refused
         trap '[ ! -e data/postmaster.pid ] || kill -INT $(head -n 1 data/postmaster.pid)' EXIT
         for key in own group; do
             if [ $key = own ]; then port={}; else port={}; fi
             serve $key.key $port > log.$key 2>&1 & pid=$!
             for n in $(seq 150); do
                 psql \"host=localhost hostaddr=127.0.0.1 port=$port sslmode=verify-full sslrootcert=$F/tls.crt user=$(id -un {USER}) dbname=postgres\" \
                     -Atc 'select ssl from pg_stat_ssl where pid = pg_backend_pid()' > answer 2> said && break; sleep 0.1
             done
             cat answer; kill -INT $(head -n 1 data/postmaster.pid); wait $pid || {{ cat log.$key; exit 1; }}
         done",
        free_port(),
        free_port()
    );
    let said = crate::host::root_in(&host, needs, &script);
    same(&said, b"has group or world access\nt\nt\n");
}
