//! The key file: age identities, plain or under a passphrase.
//!
//! A passphrase protects the key file, not the store: age allows a passphrase only as the sole recipient of a file,
//! and a store needs several (its key, recovery keys).

use std::path::Path;

use age::secrecy::{ExposeSecret, SecretString};
use age::{Identity, scrypt, x25519};
use zeroize::Zeroizing;

use super::seal::{self, Sealed};
use super::{StoreError, Wiping};

/// log2 of scrypt's N for new keys: 128 MiB and about half a second. Fixed, because a measured one would be weaker on
/// a busy machine.
const WORK: u8 = 17;
/// The most work accepted from a key made elsewhere: 1 GiB.
const MOST_WORK: u8 = 20;
/// How every binary age file begins.
const AGE_MAGIC: &[u8] = b"age-encryption.org/";
/// A key file is a few lines; a passphrase is one.
pub(super) const KEY_LIMIT: usize = 64 * 1024;

/// The identities of a key file, first the one in use. No `Debug`.
pub(crate) struct Keys {
    identities: Vec<x25519::Identity>,
    /// How the file they came from is protected, and so how it is written again.
    pub(crate) protection: Protection,
}

/// How a key file is protected.
#[derive(Clone)]
pub(crate) enum Protection {
    /// By its mode alone.
    Mode,
    /// By a passphrase as well.
    Passphrase(SecretString),
}

impl Keys {
    /// A new key.
    pub(crate) fn generate(protection: Protection) -> Self {
        Self { identities: vec![x25519::Identity::generate()], protection }
    }

    /// Reads the content of a key file; `ask` gives the passphrase if there is one.
    pub(crate) fn read(
        content: &[u8],
        path: &Path,
        ask: &dyn Fn() -> Result<SecretString, StoreError>,
    ) -> Result<Self, StoreError> {
        if !content.starts_with(AGE_MAGIC) {
            return Self::parse(content, path, Protection::Mode);
        }
        let passphrase = ask()?;
        let mut identity = scrypt::Identity::new(passphrase.clone());
        identity.set_max_work_factor(MOST_WORK);
        let text =
            seal::unseal(std::iter::once(&identity as &dyn Identity), content).map_err(|why| match why {
                Sealed::WrongKey => StoreError::WrongPassphrase(path.to_owned()),
                Sealed::Damaged(why) => StoreError::NotAKey { path: path.to_owned(), why },
            })?;
        Self::parse(&text, path, Protection::Passphrase(passphrase))
    }

    fn parse(text: &[u8], path: &Path, protection: Protection) -> Result<Self, StoreError> {
        let not = |why| StoreError::NotAKey { path: path.to_owned(), why };
        let text = std::str::from_utf8(text).map_err(|_| not("it is not text"))?;
        if text.starts_with("-----BEGIN AGE") {
            return Err(not("it is armored; `age --decrypt` it and protect it again without --armor"));
        }
        let mut identities = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            identities.push(
                line.parse().map_err(|_| not("a line of it is neither a comment nor an X25519 identity"))?,
            );
        }
        if identities.is_empty() {
            return Err(not("there is no identity in it"));
        }
        Ok(Self { identities, protection })
    }

    /// A new identity in front of these: what a key file holds while it is being rotated.
    pub(super) fn with_new_first(mut self) -> Self {
        self.identities.insert(0, x25519::Identity::generate());
        self
    }

    /// Only the identity in use.
    pub(super) fn only_first(mut self) -> Self {
        self.identities.truncate(1);
        self
    }

    /// The public keys, first the one in use.
    pub(crate) fn recipients(&self) -> Vec<String> {
        self.identities.iter().map(|identity| identity.to_public().to_string()).collect()
    }

    /// The content of a key file, encrypted if it is protected by a passphrase.
    pub(crate) fn to_file(&self, path: &Path) -> Result<Zeroizing<Vec<u8>>, StoreError> {
        use std::io::Write;
        let mut text = Wiping::default();
        let mut line = |line: &str| text.write_all(line.as_bytes()).and_then(|()| text.write_all(b"\n"));
        let io = || StoreError::io("encode the key", path);
        line("# hushfs store key. Whoever has this and the store can read every secret in it.")
            .map_err(io())?;
        for identity in &self.identities {
            line(&format!("# public key: {}", identity.to_public())).map_err(io())?;
            let private = identity.to_string();
            #[expect(clippy::disallowed_methods, reason = "this is what a key file is made of")]
            line(private.expose_secret()).map_err(io())?;
        }
        let text = text.into_inner();
        match &self.protection {
            Protection::Mode => Ok(text),
            Protection::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK);
                let sealed =
                    seal::seal(std::iter::once(&recipient as &dyn age::Recipient), &text).map_err(io())?;
                Ok(Zeroizing::new(sealed))
            }
        }
    }

    /// What decrypts.
    pub(super) fn identities(&self) -> impl Iterator<Item = &dyn Identity> {
        self.identities.iter().map(|identity| identity as &dyn Identity)
    }
}

/// A public key in its written form, checked.
pub(super) fn recipient(text: &str) -> Result<x25519::Recipient, StoreError> {
    text.parse().map_err(|_| StoreError::Unfit {
        message: format!("`{}` is not a public key", text.chars().take(8).collect::<String>()),
        hint: "a public key begins with `age1`; the key file and `hushfs store recipients list` show them"
            .to_owned(),
    })
}

/// The passphrase in a file: its content without one line end at its end.
pub(crate) fn passphrase_from(path: &Path) -> Result<SecretString, StoreError> {
    let file = super::file::open(path, "passphrase file")?;
    let bytes = Wiping::read_from(file, KEY_LIMIT).map_err(StoreError::io("read", path))?;
    let unfit =
        |message: String| StoreError::Unfit { message, hint: "it holds one line, the passphrase".to_owned() };
    let text = std::str::from_utf8(&bytes).map_err(|_| unfit(format!("{} is not text", path.display())))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(unfit(format!("the passphrase in {} is empty", path.display())));
    }
    Ok(SecretString::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Result<SecretString, StoreError> {
        panic!("a plain key needs no passphrase")
    }

    #[test]
    fn a_key_file_is_read_back_as_it_was_written() {
        let keys = Keys::generate(Protection::Mode).with_new_first();
        let file = keys.to_file(Path::new("k")).unwrap();
        let again = Keys::read(&file, Path::new("k"), &never).unwrap();
        assert_eq!(again.recipients(), keys.recipients());
        assert_eq!(again.only_first().recipients(), keys.recipients()[..1]);
    }

    #[test]
    fn a_key_under_a_passphrase_opens_with_it_alone() {
        let keys = Keys::generate(Protection::Passphrase(SecretString::from("canary horse")));
        let file = keys.to_file(Path::new("k")).unwrap();
        assert!(file.starts_with(AGE_MAGIC));
        let ask = |text: &'static str| move || Ok(SecretString::from(text));
        let again = Keys::read(&file, Path::new("k"), &ask("canary horse")).unwrap();
        assert_eq!(again.recipients(), keys.recipients());
        assert!(matches!(again.protection, Protection::Passphrase(_)));
        let wrong = Keys::read(&file, Path::new("k"), &ask("other")).err().unwrap();
        assert!(matches!(wrong, StoreError::WrongPassphrase(_)));
        let cut = Keys::read(&file[..file.len() - 1], Path::new("k"), &ask("canary horse")).err().unwrap();
        assert!(matches!(cut, StoreError::NotAKey { .. }));
    }

    #[test]
    fn no_line_of_a_bad_key_file_reaches_the_error() {
        for content in
            ["", "# only a comment\n", "AGE-SECRET-KEY-1CANARY\n", "-----BEGIN AGE ENCRYPTED FILE-----\n"]
        {
            let error = Keys::read(content.as_bytes(), Path::new("k"), &never).err().unwrap();
            assert!(matches!(error, StoreError::NotAKey { .. }));
            assert!(!format!("{error} {error:?}").contains("CANARY"));
        }
    }
}
