//! curl, which reads files in five ways.

use crate::host::{Program, free_port, host, made, same, user};
use crate::peer;

const CURL: &[Program] = &[("curl", "curl")];

#[test]
fn curl_sends_a_file_as_data() {
    let (port, server) = peer::http();
    user(&host(), CURL, &format!("curl -sSf --data-binary @$F/binary http://127.0.0.1:{port}/"));
    same(&server.join().unwrap().body, &made().binary);
}

#[test]
fn curl_sends_a_file_as_data_without_line_ends() {
    let (port, server) = peer::http();
    user(&host(), CURL, &format!("curl -sSf -d @$F/text http://127.0.0.1:{port}/"));
    let joined: Vec<u8> = made().text.iter().copied().filter(|byte| *byte != b'\n').collect();
    same(&server.join().unwrap().body, &joined);
}

#[test]
fn curl_uploads_a_file() {
    let (port, server) = peer::http();
    user(&host(), CURL, &format!("curl -sSf -T $F/text http://127.0.0.1:{port}/"));
    same(&server.join().unwrap().body, &made().text);
}

#[test]
fn curl_takes_options_from_a_file() {
    let (port, server) = peer::http();
    user(&host(), CURL, &format!("curl -sSf -K $F/curlrc http://127.0.0.1:{port}/"));
    let head = server.join().unwrap().head;
    assert!(head.contains(&format!("X-Token: {}\r\n", made().passphrase)), "{head}");
}

#[test]
fn curl_takes_a_login_from_a_netrc() {
    let (port, server) = peer::http();
    user(&host(), CURL, &format!("curl -sSf --netrc-file $F/netrc http://127.0.0.1:{port}/"));
    let head = server.join().unwrap().head;
    let login = user(&host(), CURL, "printf 'app:%s' $(cat $F/passphrase) | base64 -w 0");
    assert!(
        head.contains(&format!("Authorization: Basic {}\r\n", String::from_utf8(login).unwrap())),
        "{head}"
    );
}

#[test]
fn curl_takes_a_header_from_a_file() {
    let (port, server) = peer::http();
    let script = format!(
        "printf 'X-Pass: %s\\n' $(cat $F/passphrase) | curl -sSf -H @- -F file=@$F/config.json http://127.0.0.1:{port}/"
    );
    user(&host(), CURL, &script);
    let request = server.join().unwrap();
    assert!(request.head.contains(&made().passphrase), "{}", request.head);
    let wanted = String::from_utf8_lossy(&made().json);
    assert!(String::from_utf8_lossy(&request.body).contains(&*wanted), "the form lacks the file");
}

#[test]
fn curl_trusts_a_certificate_that_openssl_serves_with_the_key() {
    let port = free_port();
    let script = format!(
        "openssl s_server -quiet -www -accept 127.0.0.1:{port} -cert $F/tls.crt -key $F/tls.key & trap \"kill $!\" EXIT
         curl -sSf --retry 50 --retry-delay 0 --retry-connrefused --cacert $F/tls.crt -o /dev/null -w '%{{ssl_verify_result}} %{{http_code}}' \
             https://127.0.0.1:{port}/ 2> said || {{ cat said >&2; exit 1; }}
         ! curl -sS -o /dev/null https://127.0.0.1:{port}/ 2> said"
    );
    same(&user(&host(), &[("curl", "curl"), ("openssl", "openssl")], &script), b"0 200");
}
