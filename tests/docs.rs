//! The page of selectors says what their sources say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may panic")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use hushfs::identity::{SELECTORS, SelectorKind};

const BEGIN: &str = "<!-- begin of what tests/docs.rs compares with the sources -->\n";
const END: &str = "<!-- end of it -->\n";

/// With `HUSHFS_WRITE_DOCS=1` the page is written anew instead.
#[test]
fn each_selector_has_its_section_and_it_is_what_the_source_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/identity.md");
    let text = std::fs::read_to_string(&page).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (sections, after) = rest.split_once(END).unwrap();
    let wanted: String = SELECTORS.iter().map(section).collect();
    if std::env::var_os("HUSHFS_WRITE_DOCS").is_some_and(|set| set == "1") {
        std::fs::write(page, format!("{before}{BEGIN}{wanted}{END}{after}")).unwrap();
        return;
    }
    let differing = wanted.lines().zip(sections.lines()).find(|(wanted, is)| wanted != is);
    assert!(
        wanted == sections,
        "docs/identity.md is not what the sources say, first at {differing:?}; HUSHFS_WRITE_DOCS=1 cargo test --test docs writes it"
    );
}

#[test]
fn each_source_says_what_it_proves_against_whom_and_how_it_is_evaded() {
    for kind in SELECTORS {
        let said = said(kind);
        let refers = said.lines().next().unwrap().contains(": as `");
        for word in ["**Proves**", "**Against**", "**Evaded**"] {
            assert!(refers || said.contains(word), "{}: no {word}", kind.key);
        }
    }
}

fn section(kind: &SelectorKind) -> String {
    let mut text = String::new();
    let _ = write!(text, "### `{}`\n\nStrength {}: {}.\n\n", kind.key, kind.strength, kind.about);
    let _ = writeln!(text, "{}", said(kind));
    text
}

/// The documentation at the top of a selector's source.
fn said(kind: &SelectorKind) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/identity/selectors");
    let files: [PathBuf; 2] =
        [format!("{}.rs", kind.key), format!("{}/mod.rs", kind.key)].map(|name| folder.join(name));
    let source = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    let source = source.unwrap_or_else(|| panic!("`{}` has no file of its own", kind.key));
    let lines = source.lines().map_while(|line| line.strip_prefix("//!"));
    lines.map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}

#[test]
fn every_template_in_the_docs_compiles() {
    let text = std::fs::read_to_string("docs/templates.md").unwrap();
    let blocks: Vec<_> =
        text.split("```jinja\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 3, "{blocks:?}");
    for block in blocks {
        let template =
            hushfs::template::Template::compile("docs", block).map_err(|mistakes| format!("{mistakes:?}"));
        assert!(!template.unwrap().secrets().is_empty(), "{block}");
    }
}
