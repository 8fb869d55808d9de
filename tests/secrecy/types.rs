//! What holds a value cannot be printed, written out or copied by accident: it does not compile.

/// Fails to compile where the type has the trait: then two implementations fit, and the compiler will not choose.
macro_rules! lacks {
    ($trait:path: $($type:ty),+) => {
        const _: () = {
            trait Lacks<Which> {
                const IT: () = ();
            }
            impl<T: ?Sized> Lacks<()> for T {}
            #[allow(dead_code, reason = "it is there to be ambiguous")]
            struct Has;
            impl<T: ?Sized + $trait> Lacks<Has> for T {}
            $(let () = <$type as Lacks<_>>::IT;)+
        };
    };
}

use hushfs::providers::Fetched;
use hushfs::render::Content;
use hushfs::resolve::Secret;
use hushfs::secret::SecretBytes;

lacks!(std::fmt::Debug: SecretBytes, Secret, Content, Fetched);
lacks!(std::fmt::Display: SecretBytes, Secret, Content, Fetched);
lacks!(Clone: SecretBytes, Secret, Content, Fetched);
lacks!(serde::Serialize: SecretBytes, Secret, Content, Fetched);
