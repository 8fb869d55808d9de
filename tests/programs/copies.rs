//! Programs that copy a file or compare it.

use crate::host::{Program, host, made, same, user};

/// `script` makes the file `copy`, which must be the text.
#[track_caller]
fn copies(needs: &[Program], script: &str) {
    same(&user(&host(), needs, &format!("T=$F/text; {script}; cat copy")), &made().text);
}

#[test]
fn cp_copies() {
    copies(&[("cp", "coreutils")], "cp $T copy");
}

#[test]
fn cp_keeps_mode_and_time() {
    copies(
        &[("cp", "coreutils")],
        "cp --preserve=mode,timestamps $T copy; [ $(stat -c %a copy) = 400 ]; [ ! copy -nt $T ]",
    );
}

#[test]
fn dd_copies_in_odd_blocks() {
    copies(&[("dd", "coreutils")], "dd if=$T of=copy bs=777 status=none");
}

#[test]
fn dd_copies_a_part_from_the_middle() {
    let part = user(&host(), &[("dd", "coreutils")], "dd if=$F/text bs=1000 skip=100 count=2 status=none");
    same(&part, &made().text[100_000..102_000]);
}

#[test]
fn install_copies_with_a_mode() {
    copies(&[("install", "coreutils")], "install -m 0600 $T copy; [ $(stat -c %a copy) = 600 ]");
}

#[test]
fn rsync_copies_out() {
    copies(&[("rsync", "rsync")], "rsync --checksum $T copy");
}

#[test]
fn rsync_copies_a_directory_and_finds_nothing_to_do_the_second_time() {
    let script = "rsync -a --exclude absent $F/ out; rsync -ai --exclude absent $F/ out; cat out/binary";
    same(&user(&host(), &[("rsync", "rsync")], script), &made().binary);
}

#[test]
fn diff_sees_equal_and_different() {
    let script =
        "cp $F/text copy; diff $F/text copy; diff -r --exclude absent $F $F; chmod u+w copy; echo x >> copy
        diff $F/text copy || echo differs";
    let said = String::from_utf8(user(&host(), &[("diff", "diffutils")], script)).unwrap();
    assert!(said.ends_with("> x\ndiffers\n"), "{said}");
}

#[test]
fn cmp_sees_equal_and_the_first_difference() {
    let script = "cp $F/text copy; cmp $F/text copy; chmod u+w copy; printf '!' | dd of=copy bs=1 seek=150000 conv=notrunc status=none
        cmp $F/text copy || true";
    let said = String::from_utf8(user(&host(), &[("cmp", "diffutils")], script)).unwrap();
    assert!(said.contains("differ: byte 150001"), "{said}");
}

#[test]
fn a_rust_program_reads_and_copies() {
    let host = host();
    let file = host.file("root/text");
    same(&std::fs::read(&file).unwrap(), &made().text);
    // copy_file_range and sendfile trust the size.
    let copy = host.path("rust-copy");
    assert_eq!(std::fs::copy(&file, &copy).unwrap(), 204_800);
    same(&std::fs::read(&copy).unwrap(), &made().text);
}
