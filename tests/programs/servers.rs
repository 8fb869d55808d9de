//! Servers that read a secret at their start and then prove that they have it.

use crate::host::{Program, free_port, host, made, root, same, user};

#[test]
fn nginx_serves_tls_with_key_and_certificate() {
    let needs: &[Program] = &[("nginx", "nginx-light"), ("curl", "curl")];
    let port = free_port();
    let script = format!(
        "cat > n.conf <<EOF
daemon off; pid $PWD/pid; error_log stderr; user nobody nogroup;
events {{ worker_connections 16; }}
http {{
  access_log off; client_body_temp_path $PWD/b; proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f;
  uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate $F/tls.crt; ssl_certificate_key $F/tls.key; return 200 served; }}
}}
EOF
         nginx -t -q -p $PWD -c $PWD/n.conf
         nginx -p $PWD -c $PWD/n.conf & trap \"kill $!; wait $!\" EXIT
         curl -sSf --retry 50 --retry-delay 0 --retry-connrefused --cacert $F/tls.crt https://127.0.0.1:{port}/ 2> said || {{ cat said >&2; exit 1; }}"
    );
    same(&root(&host(), needs, &script), b"served");
}

#[test]
fn nginx_sends_the_file_itself() {
    let port = free_port();
    let script = format!(
        "cat > n.conf <<EOF
daemon off; pid $PWD/pid; error_log stderr; user root;
events {{ worker_connections 16; }}
http {{
  access_log off; sendfile off; client_body_temp_path $PWD/b; proxy_temp_path $PWD/p; fastcgi_temp_path $PWD/f;
  uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
  server {{ listen 127.0.0.1:{port}; root $F; }}
}}
EOF
         nginx -p $PWD -c $PWD/n.conf & trap \"kill $!; wait $!\" EXIT
         curl -sSf --retry 50 --retry-delay 0 --retry-connrefused http://127.0.0.1:{port}/text 2> said || {{ cat said >&2; exit 1; }}"
    );
    same(&root(&host(), &[("nginx", "nginx-light"), ("curl", "curl")], &script), &made().text);
}

#[test]
fn nginx_refuses_to_start_where_the_key_is_denied() {
    let script = "printf 'events {} http { server { listen 127.0.0.1:1 ssl; ssl_certificate %s; ssl_certificate_key %s; } }' \
            $F/tls.crt $D/tls.key > n.conf
        ! nginx -t -q -p $PWD -c $PWD/n.conf 2>&1";
    let said = String::from_utf8(root(&host(), &[("nginx", "nginx-light")], script)).unwrap();
    assert!(said.contains("Permission denied"), "{said}");
}

#[test]
fn redis_asks_for_the_password_of_its_configuration() {
    let port = free_port();
    let script = format!(
        "redis-server $F/redis.conf --port {port} --dir $PWD --logfile $PWD/log --daemonize no & trap \"kill $!; wait $!\" EXIT
         for n in $(seq 100); do redis-cli -p {port} ping > answer 2>&1 && break; sleep 0.05; done
         cat answer; REDISCLI_AUTH=$(cat $F/passphrase) redis-cli -p {port} ping"
    );
    let needs: &[Program] = &[("redis-server", "redis-server"), ("redis-cli", "redis-tools")];
    let said = String::from_utf8(user(&host(), needs, &script)).unwrap();
    assert_eq!(said.lines().collect::<Vec<_>>(), ["NOAUTH Authentication required.", "", "PONG"]);
    assert!(!said.contains(&made().passphrase));
}

#[test]
fn redis_does_not_start_where_its_configuration_is_denied() {
    let port = free_port();
    let script = format!("! timeout 5 redis-server $D/redis.conf --port {port} --dir $PWD 2>&1");
    let said = String::from_utf8(user(&host(), &[("redis-server", "redis-server")], &script)).unwrap();
    assert!(said.contains("Permission denied"), "{said}");
}
