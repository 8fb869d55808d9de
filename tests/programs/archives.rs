//! Programs that pack a file: they write its size before its bytes.

use crate::host::{host, made, same, user};

#[test]
fn tar_archives_and_extracts_equal_bytes() {
    let script = "tar -C $F -cf a.tar text binary; mkdir out; tar -C out -xf a.tar; cmp out/text $F/text; cat out/binary";
    same(&user(&host(), &[("tar", "tar")], script), &made().binary);
}

#[test]
fn tar_finds_the_archive_and_the_files_alike() {
    user(&host(), &[("tar", "tar")], "tar -C $F -cf a.tar text binary; tar -C $F -df a.tar");
}

#[test]
fn gzip_compresses_and_knows_the_size() {
    let script = "gzip -c $F/text > a.gz; gzip -l a.gz | grep -q 204800; gzip -dc a.gz";
    same(&user(&host(), &[("gzip", "gzip")], script), &made().text);
}
