//! What compiles is rendered within its limit, whatever the values.

use hushfs::secret::SecretBytes;
use hushfs::template::{Show, Template};

const MAX: u64 = 64 << 10;

/// Values that a template may be given: of named values, nested ones, plain text, no text.
const SECRETS: [&[u8]; 4] = [
    br#"{"a":"x","b":"'\"$\n","c":{"d":[1,2.5,null]}}"#,
    b"[\"a\",{\"b\":true}]",
    b"plain text\n",
    b"\xff\x00",
];

pub(crate) fn templates(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let template = match Template::compile("fuzzed", text) {
        Ok(template) => template,
        Err(mistakes) => {
            assert!(!mistakes.is_empty(), "what is refused says why");
            let lines = text.lines().count().max(1) + 1;
            assert!(mistakes.iter().all(|mistake| (1..=lines).contains(&mistake.line)), "{mistakes:?}");
            return;
        }
    };
    for reference in template.secrets() {
        assert_eq!(*reference, reference.whole());
    }
    for secret in SECRETS {
        let values: Vec<_> = template.secrets().iter().map(|_| SecretBytes::copy_from(secret)).collect();
        let values: Vec<_> = values.iter().collect();
        for show in [Show::Values, Show::Marks] {
            if let Ok(rendered) = template.render(&values, show, MAX) {
                assert!(rendered.len() as u64 <= MAX);
            }
        }
    }
}
