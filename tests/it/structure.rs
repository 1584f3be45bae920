//! Invariants of ARCHITECTURE.md that the source text shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Modules from the bottom. Each may use only those before it, so there is no cycle.
/// ARCHITECTURE.md shows the same list.
const ORDER: [&str; 24] = [
    "domain",
    "redact",
    "analytics",
    "alerts",
    "clock",
    "retry",
    "lifecycle",
    "problem",
    "config",
    "telemetry",
    "decode",
    "search",
    "inbox",
    "store",
    "postgres",
    "drain",
    "jobs",
    "ingress",
    "live",
    "webhook",
    "api",
    "page",
    "server",
    "cli",
];

/// Modules that may name `sqlx`: `store` has the SQL, and the others hold connections.
const MAY_NAME_SQLX: [&str; 5] = ["store", "inbox", "drain", "postgres", "jobs"];
/// Modules that may name `actix_web`: ingest, read API, and their shared modules.
const MAY_NAME_ACTIX: [&str; 6] = ["ingress", "webhook", "api", "page", "server", "problem"];
/// Modules without I/O.
const PURE: [&str; 6] = ["domain", "redact", "analytics", "alerts", "decode", "search"];
/// Paths that a module without I/O must not name.
const IMPURE: [&str; 12] = [
    "tokio",
    "sqlx",
    "actix_web",
    "reqwest",
    "nix",
    "tracing",
    "std::env",
    "std::fs",
    "std::io",
    "std::net",
    "std::process",
    "std::thread",
];

/// Longest file, without its tests, in lines.
const MAX_FILE: usize = 400;
/// Deepest folder, counted from `src`.
const DEEPEST_FOLDER: usize = 3;
/// Names that do not describe a module.
const EMPTY_NAMES: [&str; 4] = ["utils", "common", "helpers", "types"];

/// Source file.
struct Source {
    /// Path in the package, such as `src/inbox/file.rs`.
    path: PathBuf,
    text: String,
}

/// Every Rust file below a folder of the package, in order.
fn sources(folder: &str) -> Vec<Source> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![package.join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(package).unwrap().into(), text });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(!found.is_empty(), "no source below {folder}");
    found
}

impl Source {
    /// Returns the top-level module of the file; `None` for `lib` and `main`.
    fn module(&self) -> Option<&str> {
        let first = self.path.iter().nth(1).unwrap().to_str().unwrap();
        let name = first.strip_suffix(".rs").unwrap_or(first);
        (!["lib", "main"].contains(&name)).then_some(name)
    }

    /// Returns true for `src/x.rs` and `src/x/mod.rs`, where `super` is the crate itself.
    fn is_root_of_module(&self) -> bool {
        self.path.iter().count() == 2 || self.path.ends_with("mod.rs")
    }

    /// Text without the tests at the end.
    fn without_tests(&self) -> &str {
        if self.path.ends_with("tests.rs") {
            return "";
        }
        self.text.split("\n#[cfg(test)]\nmod tests {").next().unwrap()
    }

    /// Text without comments.
    fn code(&self) -> String {
        strip_comments(&self.text)
    }
}

/// Removes comments. A `//` in a string removes the rest of its line, which does not matter to
/// these tests.
fn strip_comments(text: &str) -> String {
    text.lines().fold(String::new(), |mut code, line| {
        let _ = writeln!(code, "{}", line.split("//").next().unwrap());
        code
    })
}

/// Returns true if a path or a word occurs, and not only as part of a longer word.
fn names(code: &str, what: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(what).any(|(at, _)| {
        !code[..at].ends_with(part_of_word) && !code[at + what.len()..].starts_with(part_of_word)
    })
}

/// The top-level modules that some code names through `crate::`.
fn uses(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            None => used.extend(first_word(rest)),
            Some(list) => used.extend(members(list).into_iter().filter_map(first_word)),
        }
    }
    used
}

/// The members of a list in braces, from after its opening brace.
fn members(list: &str) -> Vec<&str> {
    let (mut members, mut depth, mut start) = (Vec::new(), 0, 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth > 0 => depth -= 1,
            '}' | ',' if depth == 0 => {
                members.push(&list[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            _ => {}
        }
    }
    members
}

fn first_word(path: &str) -> Option<String> {
    let word: String =
        path.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    // Skip constants and macros of the crate's root.
    word.starts_with(|c: char| c.is_ascii_lowercase()).then_some(word)
}

fn assert_none(broken: &[String]) {
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

/// Asserts that only `allowed` modules name `what`.
fn assert_only(allowed: &[&str], what: &str) {
    let broken: Vec<_> = sources("src")
        .iter()
        .filter(|source| names(&source.code(), what))
        .filter(|source| source.module().is_none_or(|module| !allowed.contains(&module)))
        .map(|source| format!("{} names {what}", source.path.display()))
        .collect();
    assert_none(&broken);
}

#[test]
fn only_database_modules_name_sqlx() {
    assert_only(&MAY_NAME_SQLX, "sqlx");
}

#[test]
fn only_http_modules_name_actix() {
    assert_only(&MAY_NAME_ACTIX, "actix_web");
}

#[test]
fn pure_modules_do_no_io() {
    let mut broken = Vec::new();
    for source in sources("src") {
        if source.module().is_none_or(|module| !PURE.contains(&module)) {
            continue;
        }
        let code = source.code();
        for what in IMPURE.into_iter().filter(|what| names(&code, what)) {
            broken.push(format!("{} names {what}", source.path.display()));
        }
    }
    assert_none(&broken);
}

#[test]
fn no_module_uses_a_later_one() {
    let place = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut graph: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut broken = Vec::new();
    for source in sources("src") {
        let Some(module) = source.module() else { continue };
        graph.entry(module.to_owned()).or_default();
        if source.is_root_of_module() && strip_comments(source.without_tests()).contains("super::")
        {
            broken.push(format!("{}: write `crate::`, not `super::`", source.path.display()));
        }
        for used in uses(&source.code()) {
            if used == module {
                continue;
            }
            if place(&used).is_none_or(|used| place(module).is_some_and(|module| used > module)) {
                broken.push(format!("{} uses {used}", source.path.display()));
            }
            graph.entry(module.to_owned()).or_default().insert(used);
        }
    }
    for module in graph.keys().filter(|module| place(module).is_none()) {
        broken.push(format!("{module} has no place in the order, here and in ARCHITECTURE.md"));
    }
    for module in ORDER.iter().filter(|module| !graph.contains_key(**module)) {
        broken.push(format!("there is no module {module}"));
    }
    assert_none(&broken);
}

#[test]
fn architecture_md_shows_the_same_order() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let text = std::fs::read_to_string(path).unwrap();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let order = ORDER.join(" < ");
    assert!(words.contains(&order), "ARCHITECTURE.md does not show\n{order}");
}

#[test]
fn files_are_short() {
    let broken: Vec<_> = sources("src")
        .iter()
        .map(|source| (source, source.without_tests().lines().count()))
        .filter(|(_, lines)| *lines > MAX_FILE)
        .map(|(source, lines)| format!("{} has {lines} lines", source.path.display()))
        .collect();
    assert_none(&broken);
}

#[test]
fn folders_are_shallow_and_names_are_meaningful() {
    let mut broken = Vec::new();
    for source in sources("src") {
        let parts: Vec<_> = source.path.iter().map(|part| part.to_str().unwrap()).collect();
        // `src` and the file do not count.
        if parts.len() - 2 > DEEPEST_FOLDER {
            broken.push(format!("{} is too deep", source.path.display()));
        }
        if parts.iter().any(|part| EMPTY_NAMES.contains(&part.trim_end_matches(".rs"))) {
            broken.push(format!("{} has a meaningless name", source.path.display()));
        }
    }
    assert_none(&broken);
}

#[test]
fn every_file_begins_with_a_module_comment() {
    let broken: Vec<_> = ["src", "tests", "benches", "fuzz/src", "fuzz/fuzz_targets"]
        .into_iter()
        .flat_map(sources)
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{} does not begin with `//!`", source.path.display()))
        .collect();
    assert_none(&broken);
}

#[test]
fn migrations_have_unique_numbers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut numbers: BTreeMap<String, String> = BTreeMap::new();
    let mut broken = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some((number, _)) = name.split_once('_') else { continue };
        if let Some(other) = numbers.insert(number.to_owned(), name.clone()) {
            broken.push(format!("{name} has the number of {other}"));
        }
    }
    assert!(!numbers.is_empty());
    assert_none(&broken);
}

#[test]
fn helpers_of_these_tests_work() {
    assert!(names("use sqlx::PgPool;", "sqlx"));
    assert!(!names("SELECT FROM _sqlx_migrations", "sqlx"));
    assert_eq!(strip_comments("a // crate::b\n"), "a \n");
    let code = "use crate::inbox::{Backlog, Group};\nuse crate::{clock::Clock, store::{self, x}};\n\
                crate::telemetry::init(); crate::LIMIT";
    assert_eq!(
        uses(code).into_iter().collect::<Vec<_>>(),
        ["clock", "inbox", "store", "telemetry"]
    );
}
