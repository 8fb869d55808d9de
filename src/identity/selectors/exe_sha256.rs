//! `exe_sha256 = "9f86…"`, or a list of them, of which the caller has one.
//!
//! **Proves** that the executable of the caller's process has these bytes, wherever it lies. **Against** changed programs,
//! and other versions of a program, under the same path. **Evaded** as `exe` is: by code injected into such a process, and
//! by whoever may make a user namespace, where an executable can be forged. The bytes are those of the executable alone: not of its libraries, nor
//! of the script that an interpreter runs, so the digest of an interpreter is that of everything it runs. Anybody who has the
//! bytes can make a file of them, so it says nothing of whose process it is: name `uid` or `user` beside it. Medium.
//!
//! An upgrade takes a list of two for a while: the running processes have the old bytes, new ones the new.
//!
//! The file is read once (64 MiB at most, with time limits, away from other requests) and again when it was changed. One on a FUSE is not
//! read: it may show one thing to us and another to the caller. So is none on a mount that is in neither the caller's list of
//! mounts nor that of hushfs, which is where a user's own overlay would be; a process in a chroot sees only a part of its list, so keep
//! its executable on a mount that the host sees too.

use super::{Elsewhere, Says, Selector, SelectorError, SelectorKind, Step, Strength, Verdict};
use crate::identity::Subject;
use crate::identity::evidence::{Digest, Fact};

pub(super) const KIND: SelectorKind = SelectorKind {
    key: "exe_sha256",
    about: "the caller's executable has this SHA-256",
    strength: Strength::Medium,
    says: Says::Who,
    parse: |value| Ok(Box::new(ExeSha256(digests(value)?))),
};

struct ExeSha256(Vec<Digest>);

fn digests(value: &toml::Value) -> Result<Vec<Digest>, SelectorError> {
    let one = std::slice::from_ref(value);
    let written = value.as_array().map_or(one, Vec::as_slice);
    let wrong = || {
        SelectorError::new(
            "`exe_sha256` takes a SHA-256 of 64 hexadecimal digits, or a list of them",
            "`sha256sum` prints it for a file, such as `sha256sum /usr/bin/app`",
        )
    };
    if written.is_empty() {
        return Err(wrong());
    }
    let read = |(number, one): (usize, &toml::Value)| {
        one.as_str().and_then(parse).ok_or_else(|| match value.is_array() {
            true => wrong().within([Step::Item(number)]),
            false => wrong(),
        })
    };
    written.iter().enumerate().map(read).collect()
}

fn parse(text: &str) -> Option<Digest> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(Digest(bytes))
}

impl Selector for ExeSha256 {
    fn check(&self, of: &Subject<'_>) -> Verdict {
        match &of.evidence.digest {
            None => Verdict::Ask(Fact::Digest),
            Some(Err(_)) => Verdict::Unproven,
            Some(Ok(digest)) => Verdict::of(self.0.contains(digest)),
        }
    }

    fn describe(&self) -> String {
        let all: Vec<_> = self.0.iter().map(Digest::to_string).collect();
        format!("exe_sha256:{}", all.join(","))
    }

    fn elsewhere(&self) -> Elsewhere {
        Elsewhere::Forgeable
    }

    fn seen(&self, of: &Subject<'_>) -> String {
        match &of.evidence.digest {
            None => format!("{} is not known", Fact::Digest),
            Some(Err(why)) => why.to_string(),
            Some(Ok(digest)) => format!("the caller's executable has the SHA-256 {digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Evidence;
    use crate::identity::process::tests::somebody;

    #[test]
    fn one_digest_or_several_are_taken_and_nothing_else() {
        let (a, b) = ("0123456789abcdef".repeat(4), "0123456789ABCDEF".repeat(4));
        let read = |text: String| digests(&text.parse::<toml::Table>().unwrap()["v"]);
        assert_eq!(read(format!("v = \"{a}\"")).unwrap()[0].to_string(), a);
        assert_eq!(read(format!("v = [\"{a}\", \"{b}\"]")).unwrap().len(), 2);
        let (short, long, other) = (&a[1..], format!("{a}0"), format!("+{}", &a[1..]));
        for wrong in [short, &long, &other, "", "é"] {
            assert!(read(format!("v = \"{wrong}\"")).is_err(), "{wrong}");
        }
        assert!(["v = []", "v = 5", "v = [5]"].iter().all(|wrong| read((*wrong).to_owned()).is_err()));
    }

    #[test]
    fn any_of_the_digests_will_do_and_one_that_cannot_be_taken_will_not() {
        let who = somebody();
        let selector = ExeSha256(vec![Digest([1; 32]), Digest([2; 32])]);
        let check = |digest| {
            selector.check(&Subject { who: &who, evidence: &Evidence { digest, ..Evidence::default() } })
        };
        assert_eq!(check(None), Verdict::Ask(Fact::Digest));
        assert_eq!(check(Some(Ok(Digest([2; 32])))), Verdict::Yes);
        assert_eq!(check(Some(Ok(Digest([3; 32])))), Verdict::No);
        assert_eq!(check(Some(Err("why".into()))), Verdict::Unproven);
    }
}
