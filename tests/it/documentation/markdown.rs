//! Pages of Markdown: their links, anchors and code.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// Folders without pages of the project.
const FOREIGN: [&str; 4] = ["target", "node_modules", "dist", "data"];

/// A page of Markdown.
#[derive(Default)]
pub(super) struct Page {
    /// Targets of links and images.
    pub(super) links: Vec<String>,
    /// Anchors of headings, as GitHub makes them.
    pub(super) anchors: BTreeSet<String>,
    /// Texts in code spans.
    pub(super) code: Vec<String>,
    /// Code blocks in order.
    pub(super) blocks: Vec<Block>,
}

/// A code block.
pub(super) struct Block {
    info: String,
    pub(super) text: String,
}

impl Block {
    pub(super) fn language(&self) -> &str {
        self.info.split([' ', ',']).next().unwrap()
    }
}

impl Page {
    pub(super) fn parse(text: &str) -> Self {
        let mut page = Self::default();
        let (mut heading, mut in_block) = (None::<String>, false);
        for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    page.links.push(dest_url.into_string());
                }
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::End(TagEnd::Heading(_)) => page.add_anchor(&heading.take().unwrap()),
                Event::Start(Tag::CodeBlock(kind)) => {
                    let info = match kind {
                        CodeBlockKind::Fenced(info) => info.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    page.blocks.push(Block { info, text: String::new() });
                    in_block = true;
                }
                Event::End(TagEnd::CodeBlock) => in_block = false,
                Event::Text(text) if in_block => page.blocks.last_mut().unwrap().text += &text,
                Event::Text(text) => {
                    if let Some(heading) = &mut heading {
                        *heading += &text;
                    }
                }
                Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        *heading += &text;
                    }
                    page.code.push(text.into_string());
                }
                _ => {}
            }
        }
        page
    }

    fn add_anchor(&mut self, heading: &str) {
        let kept = |c: &char| c.is_alphanumeric() || ['-', '_', ' '].contains(c);
        let name: String = heading.to_lowercase().chars().filter(kept).collect();
        let name = name.replace(' ', "-");
        let mut anchor = name.clone();
        let mut duplicates = 0;
        while !self.anchors.insert(anchor) {
            duplicates += 1;
            anchor = format!("{name}-{duplicates}");
        }
    }
}

/// Every page of the repository, by its path in it.
pub(super) fn pages(package: &Path) -> BTreeMap<PathBuf, Page> {
    files("")
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .map(|path| {
            let page = Page::parse(&std::fs::read_to_string(package.join(&path)).unwrap());
            (path, page)
        })
        .collect()
}

/// Files below a folder of the package, as paths in the package.
pub(super) fn files(folder: &str) -> Vec<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut found) = (vec![PathBuf::from(folder)], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(package.join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = folder.join(&name);
            if !entry.file_type().unwrap().is_dir() {
                found.push(path);
            } else if !name.starts_with('.') && !FOREIGN.contains(&name.as_str()) {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}
