//! Imports between the files of `src`: no file imports itself through others.
//!
//! `mod` and `pub use` declare where an item is and are no imports. An import through a re-export is one
//! of the file that defines the item. Tests within a file are left out.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Path of a module or an item, from the crate's root.
type ItemPath = Vec<String>;

/// A file of the source.
struct File {
    name: String,
    module: ItemPath,
    code: String,
}

/// A `use` declaration of one item.
struct Import {
    is_public: bool,
    path: ItemPath,
    /// Name of the item in the file.
    alias: String,
}

/// Files, and the items that each module imports by name.
struct Tree {
    files: Vec<File>,
    modules: BTreeMap<ItemPath, usize>,
    imported: BTreeMap<ItemPath, BTreeMap<String, ItemPath>>,
}

fn files() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut folders, mut found) = (vec![root.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            let is_source = is_rust && !name.ends_with("tests.rs") && name != "main.rs";
            if is_source {
                let text = std::fs::read_to_string(&path).unwrap();
                found.push(File::new(name, &text));
            }
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    found
}

impl File {
    fn new(name: String, text: &str) -> Self {
        let without_tests = text.split("\n#[cfg(test)]\nmod tests").next().unwrap();
        let code = without_tests.lines().map(|line| line.split("//").next().unwrap());
        let code = without_visibilities(&code.collect::<Vec<_>>().join("\n"));
        let mut module: ItemPath =
            name.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        if module.last().is_some_and(|last| last == "mod" || last == "lib") {
            module.pop();
        }
        Self { name, module, code }
    }

    /// Its `use` declarations, and its code without them.
    fn uses(&self) -> (Vec<Import>, String) {
        let (mut imports, mut rest) = (Vec::new(), String::new());
        let mut lines = self.code.split_inclusive('\n');
        while let Some(line) = lines.next() {
            let start = line.trim_start();
            let (is_public, tree) = match start.split_once("use ") {
                Some(("", tree)) => (false, tree),
                Some((before, tree)) if before.starts_with("pub") && before.ends_with(' ') => {
                    (true, tree)
                }
                _ => {
                    rest.push_str(line);
                    continue;
                }
            };
            let mut tree = tree.to_owned();
            while !tree.contains(';') {
                let Some(more) = lines.next() else { break };
                tree.push_str(more);
            }
            let tree = tree.split(';').next().unwrap();
            for (path, alias) in leaves(tree) {
                imports.push(Import { is_public, path, alias });
            }
        }
        (imports, rest)
    }
}

/// Code without `pub(in path)`, which is no import.
fn without_visibilities(code: &str) -> String {
    let mut parts = code.split("pub(in ");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |code, part| code + "pub" + part.split_once(')').unwrap().1)
}

/// The items that a tree such as `a::{b, c::{self, d as e}}` names, and their names in the file.
fn leaves(tree: &str) -> Vec<(ItemPath, String)> {
    let (mut found, mut prefix, mut stack) = (Vec::new(), Vec::new(), Vec::new());
    let (mut words, mut alias) = (Vec::new(), None);
    let mut end = |prefix: &[String], words: &mut Vec<String>, alias: &mut Option<String>| {
        if words.is_empty() {
            return;
        }
        let mut path = [prefix, &words[..]].concat();
        if path.last().is_some_and(|last| last == "self") && path.len() > 1 {
            path.pop();
        }
        let name = alias.take().unwrap_or_else(|| path.last().unwrap().clone());
        found.push((path, name));
        words.clear();
    };
    let mut is_alias = false;
    for token in tokens(tree) {
        match token.as_str() {
            "{" => {
                stack.push(prefix.len());
                prefix.append(&mut words);
            }
            "}" => {
                end(&prefix, &mut words, &mut alias);
                prefix.truncate(stack.pop().unwrap_or_default());
            }
            "," => end(&prefix, &mut words, &mut alias),
            "::" => {}
            "as" => is_alias = true,
            word if is_alias => {
                alias = Some(word.to_owned());
                is_alias = false;
            }
            word => words.push(word.to_owned()),
        }
    }
    end(&prefix, &mut words, &mut alias);
    found
}

fn tokens(text: &str) -> Vec<String> {
    let (mut tokens, mut word) = (Vec::new(), String::new());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if is_of_word(c) {
            word.push(c);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if c == ':' && chars.next_if_eq(&':').is_some() {
            tokens.push("::".into());
        } else if !c.is_whitespace() {
            tokens.push(c.into());
        }
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The paths in code, such as `crate::a::b` and `child::c`.
fn paths(code: &str) -> Vec<ItemPath> {
    let (mut found, mut path, mut joined) = (Vec::new(), Vec::new(), false);
    for token in tokens(code).into_iter().chain([String::new()]) {
        let is_word = token.starts_with(is_of_word);
        match (token.as_str(), is_word) {
            ("::", _) => joined = !path.is_empty(),
            (_, true) if joined || path.is_empty() => {
                path.push(token);
                joined = false;
            }
            _ => {
                if path.len() > 1 {
                    found.push(std::mem::take(&mut path));
                }
                path.clear();
                joined = false;
                if is_word {
                    path.push(token);
                }
            }
        }
    }
    found
}

impl Tree {
    fn new(files: Vec<File>) -> Self {
        let modules: BTreeMap<_, _> =
            files.iter().enumerate().map(|(place, file)| (file.module.clone(), place)).collect();
        let mut tree = Self { files, modules, imported: BTreeMap::new() };
        for file in &tree.files {
            let imports = file.uses().0;
            let named = imports.into_iter().filter_map(|import| {
                Some((import.alias, tree.resolve(&file.module, &import.path)?))
            });
            let named: BTreeMap<_, _> = named.collect();
            tree.imported.insert(file.module.clone(), named);
        }
        tree
    }

    /// A path from the crate's root; `None` for one of another crate.
    fn resolve(&self, module: &[String], path: &[String]) -> Option<ItemPath> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let ups = path.iter().take_while(|word| *word == "super").count();
                let above = module.len().checked_sub(ups)?;
                Some([&module[..above], &path[ups..]].concat())
            }
            _ => {
                let child = [module, std::slice::from_ref(first)].concat();
                self.modules.contains_key(&child).then(|| [module, path].concat())
            }
        }
    }

    /// The file that defines an item.
    fn file_of(&self, path: &[String], steps: usize) -> Option<usize> {
        const MAX_STEPS: usize = 12;
        let length = (0..=path.len()).rev().find(|n| self.modules.contains_key(&path[..*n]))?;
        let (module, rest) = path.split_at(length);
        let target = rest.first().and_then(|name| self.imported.get(module)?.get(name));
        match target {
            Some(target) if steps < MAX_STEPS && target.as_slice() != path => {
                self.file_of(&[target, &rest[1..]].concat(), steps + 1)
            }
            _ => self.modules.get(module).copied(),
        }
    }

    /// For each file those that it imports.
    fn imports(&self) -> Vec<BTreeSet<usize>> {
        let imports_of = |(place, file): (usize, &File)| {
            let (uses, rest) = file.uses();
            let words: BTreeSet<_> = tokens(&rest).into_iter().collect();
            let imported =
                uses.into_iter().filter(|one| !one.is_public || words.contains(&one.alias));
            let all = imported.map(|one| one.path).chain(paths(&rest));
            let resolved = all.filter_map(|path| self.resolve(&file.module, &path));
            let found = resolved.filter_map(|path| self.file_of(&path, 0));
            found.filter(|found| *found != place).collect()
        };
        self.files.iter().enumerate().map(imports_of).collect()
    }
}

/// Groups of files of which each imports each other one, directly or through others.
fn circles(imports: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reachable = |from: usize| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(place) = next.pop() {
            next.extend(imports[place].iter().filter(|to| seen.insert(**to)));
        }
        seen
    };
    let reachable: Vec<_> = (0..imports.len()).map(reachable).collect();
    let mut found = BTreeSet::new();
    for from in 0..imports.len() {
        let circle: Vec<_> =
            reachable[from].iter().copied().filter(|to| reachable[*to].contains(&from)).collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

#[test]
fn no_file_imports_itself_through_others() {
    let tree = Tree::new(files());
    let name = |place: &usize| tree.files[*place].name.as_str();
    let circles = circles(&tree.imports());
    let shown: Vec<_> =
        circles.iter().map(|all| all.iter().map(name).collect::<Vec<_>>().join(" ")).collect();
    assert!(shown.is_empty(), "move what they share to a file that imports neither:\n{shown:#?}");
}

#[test]
fn circle_of_two_files_is_found() {
    let file = |name: &str, text: &str| File::new(name.into(), text);
    let tree = Tree::new(vec![
        file("a/mod.rs", "mod b;\nmod c;\npub use b::B;\nstruct A;\n"),
        file("a/b.rs", "use super::c::C;\npub struct B;\n"),
        file("a/c.rs", "use crate::{\n    a::{B as Other, c},\n    d,\n};\n"),
        file("d.rs", "fn d() {\n    crate::a::b::e();\n}\n"),
    ]);
    let imports = tree.imports();
    assert_eq!(imports[0], BTreeSet::new(), "a re-export is no import");
    assert_eq!(imports[1], BTreeSet::from([2]));
    assert_eq!(imports[2], BTreeSet::from([1, 3]), "through the re-export, and a module");
    assert_eq!(imports[3], BTreeSet::from([1]), "a path in code");
    assert_eq!(circles(&imports), [vec![1, 2, 3]]);
    assert_eq!(
        circles(&[BTreeSet::from([1]), BTreeSet::from([2]), BTreeSet::new()]),
        [] as [Vec<usize>; 0]
    );
}
