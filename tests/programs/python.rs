//! Python, in the ways its libraries read a file.

use crate::host::{Program, host, made, same, user};

/// What `program` prints must be `wanted`. In it, `f` is the directory of secret files.
#[track_caller]
fn prints(program: &str, wanted: &[u8]) {
    let needs: &[Program] = &[("python3", "python3")];
    let script =
        format!("python3 - $F <<'EOF'\nimport sys; f = sys.argv[1]; out = sys.stdout.buffer\n{program}\nEOF");
    same(&user(&host(), needs, &script), wanted);
}

#[test]
fn python_reads() {
    prints("out.write(open(f + '/binary', 'rb').read())", &made().binary);
}

#[test]
fn python_reads_without_a_buffer_in_small_pieces() {
    let program =
        "import os\nd = os.open(f + '/binary', os.O_RDONLY)\nwhile b := os.read(d, 999): out.write(b)";
    prints(program, &made().binary);
}

#[test]
fn python_seeks() {
    let program =
        "h = open(f + '/text', 'rb')\nassert h.seek(0, 2) == 204800\nh.seek(-20, 2)\nout.write(h.read())";
    prints(program, &made().text[204_780..]);
}

#[test]
fn pathlib_reads_text() {
    prints("import pathlib; out.write(pathlib.Path(f, 'text').read_text().encode())", &made().text);
}

#[test]
fn python_loads_json() {
    let program =
        "import json; out.write(json.load(open(f + '/config.json'))['servers']['slack']['token'].encode())";
    prints(program, made().passphrase.as_bytes());
}

#[test]
fn configparser_reads_a_token() {
    let program = "import configparser; c = configparser.ConfigParser(); assert c.read(f + '/settings.ini')\n\
                   out.write(c['api']['token'].encode())";
    prints(program, made().passphrase.as_bytes());
}

#[test]
fn ssl_loads_key_and_certificate() {
    let program = "import ssl; c = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)\n\
                   c.load_cert_chain(f + '/tls.crt', f + '/tls.key'); c.load_verify_locations(f + '/tls.crt')\n\
                   out.write(str(c.cert_store_stats()['x509']).encode())";
    prints(program, b"1");
}

#[test]
fn a_private_mapping_shows_the_bytes() {
    let program = "import mmap; h = open(f + '/binary', 'rb'); m = mmap.mmap(h.fileno(), 0, access=mmap.ACCESS_COPY)\n\
                   assert len(m) == 70001; m[0] = 7; out.write(m[1:])";
    prints(program, &made().binary[1..]);
}

/// Python's usual way. Linux has it for such files from 6.6 on.
#[test]
fn a_shared_mapping_shows_the_bytes() {
    let program = "import mmap; h = open(f + '/binary', 'rb'); out.write(mmap.mmap(h.fileno(), 0, access=mmap.ACCESS_READ)[:])";
    prints(program, &made().binary);
}

#[test]
fn sendfile_sends_all() {
    let program = "import os, socket, threading; a, b = socket.socketpair(); h = open(f + '/text', 'rb')\n\
                   def send():\n  a.sendfile(h); a.close()\nt = threading.Thread(target=send); t.start()\n\
                   while piece := b.recv(65536): out.write(piece)\nt.join()";
    prints(program, &made().text);
}

#[test]
fn shutil_copies() {
    prints(
        "import shutil; shutil.copyfile(f + '/text', 'copy'); out.write(open('copy', 'rb').read())",
        &made().text,
    );
}

#[test]
fn python_raises_where_it_is_denied_and_where_there_is_nothing() {
    let program = "import errno, os\nfor p in ['/../denied/text', '/absent']:\n\
                   \x20 assert os.path.exists(f + p) and os.path.getsize(f + p) > 0\n\
                   \x20 try: open(f + p); out.write(b'read')\n\
                   \x20 except OSError as e: out.write(errno.errorcode[e.errno].encode() + b' ')";
    prints(program, b"EACCES ENOKEY ");
}
