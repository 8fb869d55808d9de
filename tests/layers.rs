//! The order of the modules, kept by reading the sources.
//!
//! Every file below `src/` is read as tokens, so that what stands inside a macro call counts too. A name counts where it is
//! written: in a `use` tree or in a path that starts with `crate`, `self` or `super`. Test modules obey the same rules.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// One file: its path below `src/` and its text.
type Source = (String, String);

/// One path as written: where, and its segments. `*` and `self` stay as last segment.
struct Name {
    line: usize,
    module: Vec<String>,
    segments: Vec<String>,
    imported: bool,
}

/// What a file says.
#[derive(Default)]
struct Said {
    names: Vec<Name>,
    unsafe_lines: Vec<usize>,
}

#[test]
fn the_sources_keep_the_order_of_lib_rs() {
    let sources = read_sources();
    let order = declared(&sources);
    assert!(order.len() > 10, "lib.rs declares only {order:?}");
    let faults = faults(&sources, &order);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

#[test]
fn providers_stand_below_everything_that_knows_the_caller() {
    let order = declared(&read_sources());
    let place = |name: &str| order.iter().position(|m| m == name).unwrap();
    for above in ["fuse", "fs", "access", "audit", "policy", "identity"] {
        assert!(place(above) < place("providers"), "{above} must be declared before providers");
    }
    assert!(place("secret") < place("sys"), "sys is the ground");
}

#[test]
fn every_file_of_the_first_level_is_declared_in_lib_rs() {
    let sources = read_sources();
    let order = declared(&sources);
    for (path, _) in &sources {
        let top = path.split('/').next().unwrap().trim_end_matches(".rs");
        assert!(["lib", "main"].contains(&top) || order.iter().any(|m| m == top), "{path} is in no module");
    }
}

// Proof that each check can fail.

#[test]
fn an_arrow_that_points_up_is_found_however_it_is_written() {
    for text in [
        "use crate::access;",
        "use crate::access::Thing;",
        "use crate::{secret, access::{self, Thing}};",
        "use super::access::Thing as Other;",
        "fn f() -> crate::access::Thing { todo!() }",
        "fn f() { println!(\"{}\", crate::access::thing()); }",
        "macro_rules! m { () => { $crate::access::thing() } }",
        "fn f() { let v = Vec::<crate::access::Thing>::new(); }",
        "#[cfg(test)] mod tests { use super::super::access::Thing; }",
        "mod inner { fn f() { crate::access::thing() } }",
        "use crate::*;",
        "use crate as everything;",
        "use crate::{self as everything};",
        "use hushfs::access;",
        "extern crate self as everything;",
    ] {
        let found = faults_of("policy.rs", text);
        assert_eq!(found.len(), 1, "{text}: {found:?}");
    }
    let found = faults_of("policy/rules.rs", "use super::super::access::Thing;");
    assert_eq!(found, ["src/policy/rules.rs:1: policy names access, which stands above it in lib.rs"]);
}

#[test]
fn an_arrow_that_points_down_is_allowed() {
    for text in [
        "use crate::secret::SecretBytes;",
        "use crate::policy::Rules;",
        "use super::secret;",
        "mod tests { use super::*; use crate::secret::SecretBytes; }",
        "pub(crate) fn f(access: u32) -> u32 { access }",
        "fn f(x: &X) { x.access.go(); X::access(); std::access::f(); }",
        "/// [`crate::access`] is above\nfn f() {}",
    ] {
        assert_eq!(faults_of("policy.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn fuser_outside_its_folder_is_found() {
    for text in [
        "use fuser::Errno;",
        "use fuser;",
        "fn f() -> ::fuser::Errno { x }",
        "extern crate fuser;",
        "m!(fuser::Errno);",
    ] {
        assert_eq!(
            faults_of("access.rs", text),
            ["src/access.rs:1: names the crate fuser outside src/fuse/"],
            "{text}"
        );
        assert_eq!(faults_of("fuse/reply.rs", text), [""; 0], "{text}");
    }
}

#[test]
fn unsafe_outside_its_folder_is_found() {
    for text in [
        "fn f() { unsafe { g() } }",
        "unsafe impl Send for X {}",
        "m!(unsafe { g() });",
        "#[unsafe(no_mangle)] fn f() {}",
    ] {
        assert_eq!(faults_of("secret.rs", text), ["src/secret.rs:1: unsafe outside src/sys/"], "{text}");
        assert_eq!(faults_of("sys/arena.rs", text), [""; 0], "{text}");
    }
    assert_eq!(faults_of("secret.rs", "#![forbid(unsafe_code)]"), [""; 0]);
}

#[test]
fn a_provider_that_asks_who_reads_is_found() {
    for text in [
        "use crate::identity::Identity;",
        "use crate::policy::Grant;",
        "use fuser::Request;",
        "use crate::audit::record::Record;",
    ] {
        assert_eq!(faults_of("providers/store.rs", text).len(), 1, "{text}");
    }
    assert_eq!(
        faults_of("providers/store.rs", "use age::x25519::Identity; use super::{Kind, Provider};"),
        [""; 0]
    );
}

#[test]
fn a_circle_of_sibling_files_is_found() {
    let order = ["policy".to_owned()];
    let file = |path: &str, text: &str| (path.to_owned(), text.to_owned());
    let lib = file("lib.rs", "pub mod policy;");
    let circle = [
        lib.clone(),
        file("policy/mod.rs", "mod a; mod b; mod c;"),
        file("policy/a.rs", "use super::b::B;"),
        file("policy/b.rs", "use super::c::C;"),
        file("policy/c.rs", "use crate::policy::a::A;"),
    ];
    assert_eq!(faults(&circle, &order), ["src/policy/: a -> b -> c -> a is a circle"]);
    let chain = [
        lib,
        file("policy/mod.rs", "mod a; mod b; mod c; use a::A;"),
        file("policy/a.rs", "use super::b::B; use super::Shared;"),
        file("policy/b.rs", "use super::c::C; mod tests { use super::super::c::D; }"),
        file("policy/c.rs", "use super::Shared;"),
    ];
    assert_eq!(faults(&chain, &order), [""; 0]);
}

#[test]
#[should_panic(expected = "src/x.rs cannot be read")]
fn a_file_that_cannot_be_read_as_rust_is_not_passed_over() {
    said("x.rs", "fn f( {");
}

/// Every fault in `text` as a file of a small crate ordered access, audit, policy, identity, providers, secret, sys.
fn faults_of(path: &str, text: &str) -> Vec<String> {
    let order =
        ["fuse", "access", "audit", "policy", "identity", "providers", "secret", "sys"].map(str::to_owned);
    faults(&[(path.to_owned(), text.to_owned())], &order)
}

/// Every fault of these sources, one line each.
fn faults(sources: &[Source], order: &[String]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut siblings: BTreeMap<String, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    let rank = |module: &str| order.iter().position(|m| m == module);
    for (path, text) in sources {
        let said = said(path, text);
        if !path.starts_with("sys/") {
            faults.extend(
                said.unsafe_lines.iter().map(|line| format!("src/{path}:{line}: unsafe outside src/sys/")),
            );
        }
        for name in &said.names {
            let at = format!("src/{path}:{}", name.line);
            if name.segments[0] == "fuser" && !path.starts_with("fuse/") {
                faults.push(format!("{at}: names the crate fuser outside src/fuse/"));
            }
            if ["lib.rs", "main.rs"].contains(&path.as_str()) {
                continue;
            }
            if name.segments[0] == "hushfs" {
                faults.push(format!("{at}: names the crate by its own name; write crate::"));
                continue;
            }
            let Some(target) = resolve(&name.module, &name.segments) else { continue };
            let own = &module_of(path)[0];
            match target.first().map(String::as_str) {
                None if name.imported => {
                    faults.push(format!("{at}: imports the whole crate; name the module"))
                }
                Some("*") => faults.push(format!("{at}: imports the whole crate; name the module")),
                Some(other) if rank(other).is_some() && rank(other) < rank(own) => {
                    faults.push(format!("{at}: {own} names {other}, which stands above it in lib.rs"));
                }
                _ => {}
            }
            if let Some((folder, from, to)) = sibling(&module_of(path), &target) {
                siblings.entry(folder).or_default().entry(from).or_default().insert(to);
            }
        }
    }
    for (folder, edges) in siblings {
        // An edge to something that is no file (an item of mod.rs) leads nowhere, so it closes no circle.
        if let Some(circle) = circle(&edges) {
            faults.push(format!("src/{folder}/: {} is a circle", circle.join(" -> ")));
        }
    }
    faults.dedup();
    faults
}

/// The edge between two files of one folder, if the name makes one: the folder, the file that names, what it names.
fn sibling(own: &[String], target: &[String]) -> Option<(String, String, String)> {
    let shared = own.iter().zip(target).take_while(|(a, b)| a == b).count();
    let (from, to) = (own.get(shared)?, target.get(shared)?);
    (shared > 0).then(|| (own[..shared].join("/"), from.clone(), to.clone()))
}

/// One circle among `edges`, its first name again at the end.
fn circle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn visit(
        at: &str,
        edges: &BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> bool {
        if let Some(start) = way.iter().position(|m| m == at) {
            way.drain(..start);
            way.push(at.to_owned());
            return true;
        }
        if done.contains(at) {
            return false;
        }
        way.push(at.to_owned());
        for to in edges.get(at).into_iter().flatten() {
            if visit(to, edges, way, done) {
                return true;
            }
        }
        way.pop();
        done.insert(at.to_owned());
        false
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|start| {
        let mut way = Vec::new();
        visit(start, edges, &mut way, &mut done).then_some(way)
    })
}

/// The path from the crate's root that `segments` mean in `module`; none if they name another crate or a local item.
fn resolve(module: &[String], segments: &[String]) -> Option<Vec<String>> {
    let mut at = match segments[0].as_str() {
        "crate" => Vec::new(),
        "self" => module.to_vec(),
        "super" => module[..module.len().checked_sub(1)?].to_vec(),
        _ => return None,
    };
    for segment in &segments[1..] {
        match segment.as_str() {
            "super" => {
                at.pop()?;
            }
            "self" => {}
            name => at.push(name.to_owned()),
        }
    }
    Some(at)
}

/// The module that a file is, from the crate's root.
fn module_of(path: &str) -> Vec<String> {
    let stem = path.trim_end_matches(".rs").trim_end_matches("/mod");
    if stem == "lib" || stem == "main" { Vec::new() } else { stem.split('/').map(str::to_owned).collect() }
}

/// What the file says.
fn said(path: &str, text: &str) -> Said {
    let tokens: TokenStream =
        text.parse().unwrap_or_else(|error| panic!("src/{path} cannot be read: {error}"));
    let mut said = Said::default();
    walk(tokens, &module_of(path), &mut said);
    said
}

/// Notes every path in `tokens`, which stand in `module`.
fn walk(tokens: TokenStream, module: &[String], said: &mut Said) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut importing = false;
    while let Some(token) = tokens.get(at) {
        match token {
            TokenTree::Group(group) => {
                let mut inner = module.to_vec();
                if let (Delimiter::Brace, Some(name)) = (group.delimiter(), inline_module(&tokens[..at])) {
                    inner.push(name);
                }
                walk(group.stream(), &inner, said);
                at += 1;
            }
            TokenTree::Punct(punct) => {
                importing &= punct.as_char() != ';';
                // After a lifetime's quote, a field's dot or a path that was cut by `<...>` comes no path of its own.
                let dot = punct.as_char() == '.' && !matches!(tokens.get(at + 1), Some(TokenTree::Punct(_)));
                let cut = is_separator(&tokens, at) && closes_generics(&tokens[..at]);
                at += if cut {
                    3
                } else if dot || punct.as_char() == '\'' {
                    2
                } else {
                    1
                };
            }
            TokenTree::Ident(ident) => {
                let line = ident.span().start().line;
                match ident.to_string().as_str() {
                    "unsafe" => said.unsafe_lines.push(line),
                    "use" | "extern" => importing = true,
                    // `extern crate a` names a; `extern crate self` names this crate.
                    "crate"
                        if is_ident(&tokens, at.wrapping_sub(1), "extern")
                            && !is_ident(&tokens, at + 1, "self") => {}
                    _ => {
                        at = path(&tokens, at, Vec::new(), importing, module, said);
                        continue;
                    }
                }
                at += 1;
            }
            TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Notes the path that starts at `at` below `prefix`, with all branches of a `use` tree; returns what comes after it.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    prefix: Vec<String>,
    imported: bool,
    module: &[String],
    said: &mut Said,
) -> usize {
    let mut segments = prefix;
    let mut line = 0;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(ident)) => {
                line = ident.span().start().line;
                segments.push(ident.to_string());
            }
            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                line = star.span().start().line;
                segments.push("*".to_owned());
            }
            Some(TokenTree::Group(tree)) if tree.delimiter() == Delimiter::Brace && imported => {
                let branches: Vec<TokenTree> = tree.stream().into_iter().collect();
                for branch in
                    branches.split(|token| is_punct(Some(token), ',')).filter(|branch| !branch.is_empty())
                {
                    path(branch, 0, segments.clone(), imported, module, said);
                }
                return at + 1;
            }
            _ => break,
        }
        at += 1;
        if !is_separator(tokens, at) {
            break;
        }
        at += 2;
    }
    if !segments.is_empty() {
        said.names.push(Name { line, module: module.to_vec(), segments, imported });
    }
    at
}

/// The name of the inline module whose braces come after `before`.
fn inline_module(before: &[TokenTree]) -> Option<String> {
    match before {
        [.., TokenTree::Ident(keyword), TokenTree::Ident(name)] if *keyword == "mod" => {
            Some(name.to_string())
        }
        _ => None,
    }
}

/// Whether `before` ends in the `>` of generics, not in an arrow.
fn closes_generics(before: &[TokenTree]) -> bool {
    let arrow = |token: &TokenTree| is_punct(Some(token), '-') || is_punct(Some(token), '=');
    matches!(before, [.., earlier, last] if is_punct(Some(last), '>') && !arrow(earlier))
}

fn is_ident(tokens: &[TokenTree], at: usize, name: &str) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Ident(ident)) if *ident == name)
}

fn is_punct(token: Option<&TokenTree>, char: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == char)
}

fn is_separator(tokens: &[TokenTree], at: usize) -> bool {
    is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')
}

/// The modules in the order in which lib.rs declares them.
fn declared(sources: &[Source]) -> Vec<String> {
    let (_, lib) = sources.iter().find(|(path, _)| path == "lib.rs").unwrap();
    let tokens: Vec<TokenTree> = lib.parse::<TokenStream>().unwrap().into_iter().collect();
    let declaration = |three: &[TokenTree]| match three {
        [TokenTree::Ident(keyword), TokenTree::Ident(name), end]
            if *keyword == "mod" && is_punct(Some(end), ';') =>
        {
            Some(name.to_string())
        }
        _ => None,
    };
    tokens.windows(3).filter_map(declaration).collect()
}

/// Every file below `src/`.
fn read_sources() -> Vec<Source> {
    fn read(folder: &Path, prefix: &str, into: &mut Vec<Source>) {
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                read(&entry.path(), &format!("{name}/"), into);
            } else if name.ends_with(".rs") {
                into.push((name, std::fs::read_to_string(entry.path()).unwrap()));
            }
        }
    }
    let mut sources = Vec::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), "", &mut sources);
    sources.sort();
    sources
}
