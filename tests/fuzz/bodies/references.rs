//! What is a reference is printed as it was written.

use hushfs::reference::{Reference, ReferenceError};

pub(crate) fn references(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let parsed: Result<Reference, ReferenceError> = text.parse();
    let Ok(reference) = parsed else { return };
    assert_eq!(reference.to_string(), text);
    for derived in [reference.whole(), reference.unpinned(), reference.at_version("3")] {
        assert_eq!(derived.to_string().parse(), Ok(derived));
    }
    assert_eq!(reference.whole().key(), None);
    assert_eq!(reference.made_for("scope/workload").to_string(), text);
}
