//! Programs that read a text and print it, or a part of it.

use crate::host::{Program, host, made, same, user};

/// What `script` prints must be `wanted`. `$T` is the file of 200 KiB of lines.
#[track_caller]
fn prints(needs: &[Program], script: &str, wanted: &[u8]) {
    let found = user(&host(), needs, &format!("T=$F/text; {script}"));
    same(&found, wanted);
}

const COREUTILS: &[Program] = &[("cat", "coreutils")];

fn text() -> &'static [u8] {
    &made().text
}

fn lines() -> impl Iterator<Item = &'static [u8]> {
    text().split_inclusive(|byte| *byte == b'\n')
}

#[test]
fn cat_prints_all() {
    prints(COREUTILS, "cat $T", text());
}

#[test]
fn cat_prints_every_kind_of_byte() {
    prints(COREUTILS, "cat $F/binary", &made().binary);
}

#[test]
fn head_prints_the_first_bytes() {
    prints(COREUTILS, "head -c 70000 $T", &text()[..70_000]);
}

#[test]
fn tail_seeks_to_the_end() {
    prints(COREUTILS, "tail -c 10 $T", &text()[text().len() - 10..]);
}

#[test]
fn tail_finds_the_last_lines() {
    let last: Vec<u8> =
        lines().collect::<Vec<_>>().into_iter().rev().take(3).rev().flatten().copied().collect();
    prints(COREUTILS, "tail -n 3 $T", &last);
}

#[test]
fn wc_knows_the_size_without_reading() {
    prints(COREUTILS, "wc -c < $T; wc -c $T | cut -d ' ' -f 1", b"204800\n204800\n");
}

#[test]
fn stat_and_ls_show_the_true_size() {
    prints(COREUTILS, "stat -c %s $T; ls -l $T | cut -d ' ' -f 5", b"204800\n204800\n");
}

#[test]
fn grep_finds_the_one_line() {
    let third = lines().nth(2).unwrap();
    let pattern = String::from_utf8_lossy(third.trim_ascii_end());
    let script = format!("grep -nFx -e '{pattern}' $T");
    prints(&[("grep", "grep")], &script, &[b"3:", third].concat());
}

#[test]
fn grep_says_which_file_it_cannot_read_and_searches_the_others() {
    let script = "grep -rl TOKEN= $F 2> said || [ $? = 2 ]; cat said";
    let found = String::from_utf8(user(&host(), &[("grep", "grep")], script)).unwrap();
    let lines: Vec<&str> = found.lines().collect();
    assert!(
        lines.len() == 2 && lines[0].ends_with("/app/.env") && lines[1].contains("/app/absent: "),
        "{found}"
    );
}

#[test]
fn sha256sum_agrees_with_that_of_a_pipe() {
    let host = host();
    let of_file = user(&host, COREUTILS, "sha256sum < $F/text");
    let of_copy = user(&host, COREUTILS, "cat $F/text > copy; sha256sum < copy");
    same(&of_file, &of_copy);
    same(&user(&host, COREUTILS, "cat copy 2> /dev/null || cat $F/text"), text());
}

#[test]
fn base64_goes_there_and_back() {
    prints(COREUTILS, "base64 $F/binary | base64 -d", &made().binary);
}

#[test]
fn jq_reads_a_key() {
    prints(&[("jq", "jq")], "jq -j .servers.slack.token $F/config.json", made().passphrase.as_bytes());
}

#[test]
fn awk_sees_every_line() {
    prints(&[("awk", "mawk")], "awk '{ print }' $T", text());
}

#[test]
fn sed_sees_every_line() {
    let script = "sed -n p $T | sed 's/^/x/' | sed 's/^x//'";
    prints(&[("sed", "sed")], script, text());
}

#[test]
fn sort_and_uniq_lose_no_line() {
    let mut sorted: Vec<&[u8]> = lines().collect();
    sorted.sort_unstable();
    prints(COREUTILS, "LC_ALL=C sort $T | uniq", &sorted.concat());
}

#[test]
fn less_prints_all_into_a_pipe() {
    prints(&[("less", "less")], "less $T | cat", text());
}

#[test]
fn more_prints_all_into_a_pipe() {
    prints(&[("more", "util-linux")], "more < $T | cat", text());
}

#[test]
fn od_and_xxd_show_every_byte() {
    let hex: String = made().binary.iter().map(|byte| format!("{byte:02x}")).collect();
    prints(COREUTILS, "od -An -v -tx1 $F/binary | tr -d ' \\n'", hex.as_bytes());
    prints(&[("xxd", "xxd")], "xxd -p $F/binary | tr -d '\\n'", hex.as_bytes());
}

#[test]
fn perl_slurps_and_asks_for_the_size() {
    let script = "perl -e 'local $/; open(my $f, q(<), $ARGV[0]) or die $!; binmode $f; my $all = <$f>;
        die q(size) unless -s $ARGV[0] == length $all; print $all' $F/text";
    prints(&[("perl", "perl")], script, text());
}
