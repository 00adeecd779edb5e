//! Goal: rules of the code base that a compiler does not hold are held by a test.
//! Method: read every source file as text.

#![allow(clippy::unwrap_used, reason = "a file that cannot be read fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// No file is longer than this.
const LINES_MAX: usize = 500;

/// A folder (or file) under `src`, and what of `src` it may import.
const FLOORS: &[(&str, &[&str])] = &[
    ("vocab", &["vocab"]),
    ("sip", &["sip", "vocab"]),
    ("inbox", &["inbox", "vocab"]),
    ("schedule", &["schedule", "vocab"]),
    ("store", &["store", "vocab"]),
    ("net", &["net", "vocab", "sip"]),
    ("actors", &["actors", "store", "net", "sip", "inbox", "schedule", "vocab"]),
];

/// Words that must not appear in the code of a folder.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("vocab", &["tokio", "actix", "rsip", "scylla", "Instant::now", "Utc::now", "rand::"]),
    ("sip", &["tokio", "actix", "scylla", "Instant::now", "Utc::now", "rand::"]),
    ("inbox", &["tokio", "actix", "scylla", "rsip", "Instant::now", "Utc::now", "rand::"]),
    ("schedule", &["tokio", "actix", "scylla", "rsip", "Instant::now", "Utc::now", "rand::"]),
    ("store", &["actix", "rsip"]),
    ("net", &["actix", "redb"]),
    ("actors", &["redb", "scylla::", "Instant::now"]),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn all_sources() -> Vec<PathBuf> {
    let folders = ["src", "cluster/src", "tests", "benches", "fuzz/fuzz_targets"];
    folders.iter().flat_map(|f| rust_files(&root().join(f))).collect()
}

/// The text without comments and without the unit tests at its end.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let product = text.split("#[cfg(test)]\nmod ").next().unwrap_or("");
    product
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn complain(broken: &[String]) {
    assert!(broken.is_empty(), "\n  {}\n", broken.join("\n  "));
}

#[test]
fn no_file_is_too_long_to_proofread() {
    let mut broken = Vec::new();
    for path in all_sources() {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > LINES_MAX {
            broken.push(format!("{}: {lines} lines; at most {LINES_MAX}", path.display()));
        }
    }
    complain(&broken);
}

#[test]
fn imports_only_point_down() {
    let mut broken = Vec::new();
    for (folder, allowed) in FLOORS {
        for path in rust_files(&root().join("src").join(folder)) {
            for part in code(&path).split("crate::").skip(1) {
                let name: String =
                    part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if !allowed.contains(&name.as_str()) {
                    broken.push(format!("{}: imports crate::{name}", path.display()));
                }
            }
        }
    }
    complain(&broken);
}

#[test]
fn each_floor_leaves_alone_what_is_not_its_business() {
    let mut broken = Vec::new();
    for (folder, words) in FORBIDDEN {
        for path in rust_files(&root().join("src").join(folder)) {
            let text = code(&path);
            for word in *words {
                if text.contains(word) {
                    broken.push(format!("{}: contains `{word}`", path.display()));
                }
            }
        }
    }
    complain(&broken);
}

#[test]
fn no_test_sleeps() {
    // Split, so that this file does not find itself.
    let word = concat!("sl", "eep(");
    let broken: Vec<_> = rust_files(&root().join("tests"))
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains(word))
        .map(|path| format!("{}: waits for time to pass", path.display()))
        .collect();
    complain(&broken);
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), "unimplemented!("];
    let this = Path::new(file!()).file_name();
    let mut broken = Vec::new();
    for path in all_sources().into_iter().filter(|p| p.file_name() != this) {
        let text = fs::read_to_string(&path).unwrap();
        for mark in marks {
            if text.contains(mark) {
                broken.push(format!("{}: {mark}", path.display()));
            }
        }
    }
    complain(&broken);
}

#[test]
fn no_test_is_switched_off() {
    let mark = concat!("#[ig", "nore");
    let broken: Vec<_> = all_sources()
        .into_iter()
        .filter(|path| fs::read_to_string(path).unwrap().contains(mark))
        .map(|path| format!("{}: a test is ignored", path.display()))
        .collect();
    complain(&broken);
}

/// The names of all functions in the code base.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in all_sources() {
        let text = fs::read_to_string(&path).unwrap();
        for part in text.split("fn ").skip(1) {
            names.insert(
                part.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>(),
            );
        }
    }
    names
}

/// The documents, as paths from the root.
fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["", "docs", "docs/adr", "docs/reference", "fuzz"] {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "md") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// The text of a document without its indented and fenced blocks.
fn prose(document: &Path) -> String {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let without_fences: String = text.split("```").step_by(2).collect();
    let lines = without_fences.lines().filter(|line| !line.starts_with("    "));
    lines.collect::<Vec<_>>().join("\n")
}

/// What stands in backticks in a document.
fn named_in(document: &Path) -> Vec<String> {
    prose(document).split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// True when a file of Rust declares `name`.
fn declares(text: &str, name: &str) -> bool {
    let kinds = ["fn", "struct", "enum", "trait", "const", "static", "type", "mod"];
    kinds.iter().any(|kind| {
        let declaration = format!("{kind} {name}");
        text.match_indices(&declaration).any(|(at, _)| {
            let next = text[at + declaration.len()..].chars().next();
            next.is_none_or(|c| !c.is_alphanumeric() && c != '_')
        })
    })
}

#[test]
fn every_place_that_a_document_names_exists() {
    let folders =
        ["src/", "tests/", "cluster/", "benches/", "fuzz/", "docs/", "config/", "scripts/", ".ci/"];
    let mut broken = Vec::new();
    for document in documents() {
        for name in named_in(&document) {
            if !folders.iter().any(|folder| name.starts_with(folder)) || name.contains(' ') {
                continue;
            }
            let mut parts = name.split("::");
            let file = root().join(parts.next().unwrap_or(""));
            if !file.exists() {
                broken.push(format!("{}: there is no {name}", document.display()));
                continue;
            }
            for part in parts {
                if !declares(&fs::read_to_string(&file).unwrap(), part) {
                    broken.push(format!("{}: {name} is not there", document.display()));
                }
            }
        }
    }
    complain(&broken);
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut broken = Vec::new();
    for document in documents() {
        let folder = root().join(document.parent().unwrap_or(Path::new("")));
        for link in prose(&document).split("](").skip(1) {
            let link = link.split(')').next().unwrap_or("");
            let file = link.split('#').next().unwrap_or("");
            if !link.contains("://") && !file.is_empty() && !folder.join(file).exists() {
                broken.push(format!("{}: {link} leads nowhere", document.display()));
            }
        }
    }
    complain(&broken);
}

#[test]
fn every_decision_is_in_the_list() {
    let list = fs::read_to_string(root().join("docs/adr/README.md")).unwrap();
    let mut broken = Vec::new();
    for entry in fs::read_dir(root().join("docs/adr")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if name != "README.md" && !list.contains(&format!("({name})")) {
            broken.push(format!("docs/adr/README.md: {name} is not in it"));
        }
    }
    complain(&broken);
}

#[test]
fn the_document_has_the_floors_that_are_held() {
    let text = fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let mut broken = Vec::new();
    for (folder, allowed) in FLOORS {
        let allowed: Vec<_> = allowed.iter().map(|name| format!("`{name}`")).collect();
        let row = format!("| `{folder}` | {} |", allowed.join(", "));
        if !text.lines().any(|line| line == row) {
            broken.push(format!("docs/ARCHITECTURE.md: this row is missing: {row}"));
        }
    }
    complain(&broken);
}

#[test]
fn every_test_that_a_document_names_exists() {
    let known = functions();
    let mut broken = Vec::new();
    for page in ["docs/reference/sip-conformance.md"] {
        let Ok(text) = fs::read_to_string(root().join(page)) else { continue };
        for row in text.lines().filter(|line| line.starts_with("| ")) {
            let last = row.trim_end_matches('|').rsplit('|').next().unwrap_or("");
            for name in last.split('`').skip(1).step_by(2) {
                if !known.contains(name) {
                    broken.push(format!("{page}: there is no test `{name}`"));
                }
            }
        }
    }
    complain(&broken);
}
