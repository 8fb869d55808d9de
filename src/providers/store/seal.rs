//! age: ciphertext <-> plaintext, and what its errors mean here.

use std::io::Write;

use age::{DecryptError, Decryptor, Encryptor, Identity, Recipient};
use zeroize::Zeroizing;

use super::Wiping;

/// The largest store, in bytes: all of it is held in memory, locked there by the provider.
pub(super) const FILE_LIMIT: usize = 64 << 20;

/// Why a ciphertext was not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sealed {
    /// None of the keys fits, or the passphrase is wrong.
    WrongKey,
    /// It is not an age file, or not a whole one.
    Damaged(&'static str),
}

/// Encrypts to `recipients`; the plaintext goes nowhere else.
pub(super) fn seal<'a>(
    recipients: impl Iterator<Item = &'a dyn Recipient>,
    plain: &[u8],
) -> std::io::Result<Vec<u8>> {
    let encryptor = Encryptor::with_recipients(recipients).map_err(std::io::Error::other)?;
    let mut sealed = Vec::with_capacity(plain.len().saturating_add(4096));
    let mut writer = encryptor.wrap_output(&mut sealed)?;
    writer.write_all(plain)?;
    writer.finish()?;
    Ok(sealed)
}

/// Decrypts with the first of `identities` that fits.
pub(super) fn unseal<'a>(
    identities: impl Iterator<Item = &'a dyn Identity>,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Sealed> {
    let reader = Decryptor::new_buffered(sealed).and_then(|age| age.decrypt(identities)).map_err(
        |error| match error {
            DecryptError::NoMatchingKeys
            | DecryptError::KeyDecryptionFailed
            | DecryptError::DecryptionFailed => Sealed::WrongKey,
            DecryptError::ExcessiveWork { .. } => {
                Sealed::Damaged("its passphrase asks for more work than is reasonable")
            }
            DecryptError::InvalidMac => Sealed::Damaged("its header was altered"),
            DecryptError::UnknownFormat => Sealed::Damaged("it is an age file of an unknown version"),
            // InvalidHeader, Io (an early end), and what a later age may add
            _ => Sealed::Damaged("it does not begin like an age file"),
        },
    )?;
    let plain = Wiping::read_from(reader, FILE_LIMIT)
        .map_err(|_| Sealed::Damaged("it is truncated or was altered"))?;
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use age::x25519;

    fn open(identity: &x25519::Identity, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Sealed> {
        unseal(std::iter::once(identity as &dyn Identity), sealed)
    }

    #[test]
    fn a_cut_or_changed_ciphertext_is_never_half_a_plaintext() {
        let key = x25519::Identity::generate();
        let sealed = seal(std::iter::once(&key.to_public() as &dyn Recipient), &[42; 70_000]).unwrap();
        assert_eq!(*open(&key, &sealed).unwrap(), [42; 70_000]);
        assert_eq!(open(&x25519::Identity::generate(), &sealed).unwrap_err(), Sealed::WrongKey);
        for length in [0, 1, 30, 150, 250, 65_800, sealed.len() - 1] {
            assert!(matches!(open(&key, &sealed[..length]), Err(Sealed::Damaged(_))), "cut to {length}");
        }
        for at in [5, sealed.len() / 2, sealed.len() - 1] {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert!(matches!(open(&key, &changed), Err(Sealed::Damaged(_))), "changed at {at}");
        }
    }
}
