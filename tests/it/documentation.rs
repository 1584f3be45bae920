//! Links, commands and references in the documentation match the repository and the program.

mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;
use serde_json::Value;
use tempfile::TempDir;

use self::markdown::{Block, Page, pages};
use crate::support::database::TestDatabase;
use crate::support::process::{Service, until, verbatim};

/// Longest README, in lines.
const MAX_README: usize = 150;
/// Longest ARCHITECTURE.md, in lines.
const MAX_ARCHITECTURE: usize = 200;

fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(package().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn links_and_anchors_resolve() {
    let pages = pages(package());
    assert!(pages.len() > 50, "{} pages", pages.len());
    let mut faults = Vec::new();
    for (path, page) in &pages {
        for link in &page.links {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match target {
                "" => path.clone(),
                target => normalized(&path.parent().unwrap().join(target)),
            };
            if !package().join(&target).exists() {
                faults.push(format!("{}: no file {link}", path.display()));
            } else if !anchor.is_empty()
                && pages.get(&target).is_none_or(|page| !page.anchors.contains(anchor))
            {
                faults.push(format!("{}: no heading {link}", path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn every_page_below_docs_is_linked() {
    let pages = pages(package());
    let linked: BTreeSet<PathBuf> = pages
        .iter()
        .flat_map(|(path, page)| page.links.iter().map(move |link| (path, link)))
        .filter(|(_, link)| !link.contains("://") && !link.starts_with('#'))
        .map(|(path, link)| {
            normalized(&path.parent().unwrap().join(link.split('#').next().unwrap()))
        })
        .collect();
    let faults: Vec<String> = pages
        .keys()
        .filter(|path| path.starts_with("docs") && !linked.contains(*path))
        .map(|path| format!("no page links {}", path.display()))
        .collect();
    assert_none(&faults);
}

/// Resolves `.` and `..` without the file system.
fn normalized(path: &Path) -> PathBuf {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => assert!(parts.pop(), "{}", path.display()),
            part => parts.push(part),
        }
    }
    parts
}

#[test]
fn source_files_that_pages_name_exist() {
    let name = Regex::new(r"^[\w-]+(/[\w-]+)+\.rs$").unwrap();
    let mut faults = Vec::new();
    for (path, page) in pages(package()) {
        for name in page.code.iter().filter(|code| name.is_match(code)) {
            let found = package().join(name).exists() || package().join("src").join(name).exists();
            if !found {
                faults.push(format!("{}: no file {name}", path.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn pages_that_other_files_name_exist() {
    let name = Regex::new(r"\bdocs/[a-z0-9/-]+\.md\b").unwrap();
    let tracked = ["src", "tests", "deploy", "scripts", "web/src", "web/scripts", "benches"];
    let mut files: Vec<PathBuf> =
        tracked.iter().flat_map(|folder| markdown::files(folder)).collect();
    files.extend(
        ["Makefile", "docker-compose.yml", ".env.example", "Cargo.toml"].map(PathBuf::from),
    );
    let mut faults = Vec::new();
    for file in files {
        // Skip images.
        let Ok(text) = std::fs::read_to_string(package().join(&file)) else { continue };
        for found in name.find_iter(&text).map(|found| found.as_str()) {
            if !package().join(found).exists() {
                faults.push(format!("{}: no page {found}", file.display()));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn readme_and_architecture_are_short() {
    assert!(read("README.md").lines().count() <= MAX_README);
    assert!(read("ARCHITECTURE.md").lines().count() <= MAX_ARCHITECTURE);
}

/// Lines of shell commands in all pages, each with its page. A line that ends with a backslash
/// includes the next one.
fn command_lines() -> Vec<(PathBuf, String)> {
    let mut lines = Vec::new();
    for (path, page) in pages(package()) {
        for block in
            page.blocks.iter().filter(|block| ["sh", "console"].contains(&block.language()))
        {
            let text = block.text.replace("\\\n", " ");
            lines.extend(text.lines().map(|line| (path.clone(), line.to_owned())));
        }
    }
    lines
}

#[test]
fn make_targets_in_pages_exist() {
    let makefile = read("Makefile");
    let target = Regex::new(r"(?m)^\s*make ([a-z][a-z-]*)").unwrap();
    let mut used = 0;
    let mut faults = Vec::new();
    for (path, line) in command_lines() {
        for found in target.captures_iter(&line) {
            used += 1;
            if !makefile.lines().any(|line| line.starts_with(&format!("{}:", &found[1]))) {
                faults.push(format!("{}: no target {}", path.display(), &found[1]));
            }
        }
    }
    assert_none(&faults);
    assert!(used > 15, "{used} targets");
}

/// Help of every command of the program, by the words of the command.
fn helps() -> BTreeMap<Vec<String>, String> {
    fn add(path: &[String], helps: &mut BTreeMap<Vec<String>, String>) {
        let output = verbatim().args(path).arg("--help").output().unwrap();
        assert!(output.status.success(), "{path:?}");
        let help = String::from_utf8(output.stdout).unwrap();
        let commands = help.split_once("Commands:\n").map_or("", |(_, rest)| rest);
        let commands: Vec<String> = commands
            .lines()
            .take_while(|line| line.starts_with("  "))
            .filter(|line| !line.starts_with("   "))
            .filter_map(|line| line.split_whitespace().next())
            .filter(|name| *name != "help")
            .map(str::to_owned)
            .collect();
        helps.insert(path.to_vec(), help);
        for name in commands {
            add(&[path, &[name]].concat(), helps);
        }
    }
    let mut helps = BTreeMap::new();
    add(&[], &mut helps);
    helps
}

/// Returns the command of the program in a line of shell, and its options.
fn call<'a>(
    line: &str,
    helps: &'a BTreeMap<Vec<String>, String>,
) -> Option<(&'a [String], Vec<String>)> {
    let tokens: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let programs = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| *token == "verbatim" || token.ends_with("/verbatim"));
    for (place, _) in programs {
        let rest = &tokens[place + 1..];
        // The words after the command are its arguments.
        let longest = rest.len().min(2);
        let Some((command, _)) =
            (1..=longest).rev().find_map(|end| helps.get_key_value(&rest[..end]))
        else {
            continue;
        };
        let options = rest.iter().filter(|token| token.starts_with("--") && token.len() > 2);
        return Some((command, options.cloned().collect()));
    }
    None
}

#[test]
fn commands_and_options_in_pages_exist() {
    let helps = helps();
    let mut used = 0;
    let mut faults = Vec::new();
    for (path, line) in command_lines() {
        let line = line.trim_start_matches("$ ").split(" #").next().unwrap().trim_end();
        let Some((command, options)) = call(line, &helps) else {
            if line.starts_with("verbatim ") {
                faults.push(format!("{}: no command {line}", path.display()));
            }
            continue;
        };
        used += 1;
        for option in options {
            let name = option.split('=').next().unwrap();
            if !helps[command].split([' ', '\n']).any(|word| word == name) {
                faults.push(format!("{}: {} has no {name}", path.display(), command.join(" ")));
            }
        }
    }
    assert_none(&faults);
    assert!(used > 30, "{used} commands");
}

#[test]
fn paths_of_requests_in_pages_are_in_the_document() {
    let document: Value = serde_json::from_str(&read("openapi.json")).unwrap();
    let routes: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    let request = Regex::new(r#"(?:127\.0\.0\.1:8080|\$VERBATIM_URL)(/[^\s'"?]*)"#).unwrap();
    let method = Regex::new(r"-X ([A-Z]+)").unwrap();
    let mut used = 0;
    let mut faults = Vec::new();
    for (path, line) in command_lines().into_iter().filter(|(_, line)| line.contains("curl ")) {
        for found in request.captures_iter(&line) {
            used += 1;
            let method = match method.captures(&line) {
                Some(method) => method[1].to_lowercase(),
                None if line.contains(" -d ") => "post".to_owned(),
                None => "get".to_owned(),
            };
            let known = routes.iter().any(|route| {
                matches_route(route, &found[1])
                    && document["paths"][route.as_str()].get(&method).is_some()
            });
            if !known {
                faults.push(format!("{}: no {method} {}", path.display(), &found[1]));
            }
        }
    }
    assert_none(&faults);
    assert!(used > 20, "{used} requests");
}

/// Returns true if the path of a request matches a route with parameters in braces.
fn matches_route(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    let same = |(route, path): (&&str, &&str)| route.starts_with('{') || route == path;
    route.len() == path.len() && route.iter().zip(&path).all(same)
}

#[test]
fn reference_has_every_setting_command_and_route() {
    let configuration = read("docs/reference/configuration.md");
    let helps = helps();
    let serve = &helps[["serve".to_owned()].as_slice()];
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    for (pattern, text) in [
        (r"(?m)^ +(--[a-z][a-z-]*)(?: <|$)", serve.as_str()),
        (r"\[env: ([A-Z_]+)", serve.as_str()),
        (r"(?m)^#([a-z_]+) = ", &general_settings(&read("deploy/debian/verbatim.toml"))),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        wanted.extend(pattern.captures_iter(text).map(|found| found[1].to_owned()));
    }
    assert!(wanted.len() > 70, "{wanted:?}");
    let mut faults: Vec<String> = wanted
        .iter()
        .filter(|name| {
            let ends = [format!("`{name}`"), format!("`{name} ")];
            !ends.iter().any(|end| configuration.contains(end))
        })
        .map(|name| format!("docs/reference/configuration.md lacks {name}"))
        .collect();

    let commands = read("docs/reference/cli.md");
    for command in helps.keys().filter(|command| !command.is_empty()) {
        let row =
            commands.lines().find(|row| row.starts_with(&format!("| `verbatim {}", command[0])));
        let last = command.last().unwrap();
        if row.is_none_or(|row| !row.contains(&format!("{last}`"))) && !is_group(&helps, command) {
            faults.push(format!("docs/reference/cli.md lacks {}", command.join(" ")));
        }
    }

    let routes: String = markdown::files("docs/reference/http-api")
        .iter()
        .map(|file| read(file.to_str().unwrap()))
        .collect();
    let document: Value = serde_json::from_str(&read("openapi.json")).unwrap();
    for route in document["paths"].as_object().unwrap().keys() {
        if !routes.contains(&format!("{route}`")) {
            faults.push(format!("docs/reference/http-api lacks {route}"));
        }
    }
    assert_none(&faults);
}

/// The part of the settings file before its first table.
fn general_settings(file: &str) -> String {
    file.lines()
        .take_while(|line| !line.starts_with("#["))
        .fold(String::new(), |text, line| text + line + "\n")
}

/// Returns true if a command has subcommands.
fn is_group(helps: &BTreeMap<Vec<String>, String>, command: &[String]) -> bool {
    helps.keys().any(|other| other.len() > command.len() && other.starts_with(command))
}

/// Runs the commands of README.md, and compares their output.
#[tokio::test]
async fn commands_of_the_readme_print_the_output_shown() {
    let page = Page::parse(&read("README.md"));
    let shown: Vec<(&Block, &Block)> = page
        .blocks
        .windows(2)
        .filter(|pair| pair[0].language() == "sh" && ["json", "text"].contains(&pair[1].language()))
        .map(|pair| (&pair[0], &pair[1]))
        .collect();
    assert_eq!(shown.len(), 4, "a delivery and three requests");

    let (folder, database) = (TempDir::new().unwrap(), TestDatabase::create().await);
    let mut command = verbatim();
    command.env_remove("VERBATIM_WEBHOOK_SECRET").env_remove("VERBATIM_API_KEY");
    command.env("DATABASE_URL", database.url()).current_dir(folder.path());
    command.args(["serve", "--listen", "127.0.0.1:0"]);
    let service = Service::run(command);
    for (command, output) in shown {
        let script = format!("key=$(cat data/api-key)\n{}", command.text);
        let script = script.replace("127.0.0.1:8080", &service.address);
        let mut printed = String::new();
        // A message can be read some milliseconds after its delivery was answered.
        until(&format!("\n{}\nprinted by\n{}", output.text, command.text), || {
            let ran =
                Command::new("bash").args(["-c", &script]).current_dir(folder.path()).output();
            let ran = ran.unwrap();
            printed = String::from_utf8(ran.stdout).unwrap();
            without_variables(printed.trim()) == without_variables(output.text.trim())
        });
    }
}

/// Replaces identifiers and times, which differ from run to run.
fn without_variables(text: &str) -> String {
    let mut text = text.to_owned();
    for (pattern, name) in [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", "TIME"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"\[\d\d:\d\d:\d\d", "[TIME"),
        (r"[A-Z][a-z]+day, \d{1,2} [A-Z][a-z]+ \d{4}", "DAY"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, name).into_owned();
    }
    text
}
