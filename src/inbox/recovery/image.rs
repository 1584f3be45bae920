//! Pages of a damaged file in their last committed form: from its log, otherwise from the file.

use std::fs::File;
use std::io::{ErrorKind, Result};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::log::Log;
use super::set_aside;
use crate::inbox::page_size::PAGE_BYTES;

/// Bytes of a page; fewer than a page if the file ends in it.
pub(super) type Page = Vec<u8>;

/// A damaged file and its log.
#[derive(Debug)]
pub(super) struct Image {
    main: Option<File>,
    log: Option<Log>,
    /// Number of the last page; the first has the number 1.
    pub(super) pages: u32,
    /// Pages that could not be read from the disk.
    pub(super) unreadable: u64,
}

impl Image {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let main = match File::open(path) {
            // A directory has no pages.
            Ok(file) if file.metadata()?.is_file() => Some(file),
            Ok(_) => None,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let log = match File::open(set_aside::log_of(path)) {
            Ok(file) => Log::read(file)?,
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let length =
            main.as_ref().map_or(Ok(0), |file| file.metadata().map(|found| found.len()))?;
        let in_main = u32::try_from(length.div_ceil(u64::from(PAGE_BYTES))).unwrap_or(u32::MAX);
        let in_log = log.as_ref().and_then(|log| log.newest.keys().max().copied()).unwrap_or(0);
        Ok(Self { main, log, pages: in_main.max(in_log), unreadable: 0 })
    }

    /// Returns a page; `None` if it does not exist or cannot be read.
    pub(super) fn page(&mut self, number: u32) -> Option<Page> {
        let newest = self.log.as_ref().and_then(|log| Some((&log.file, *log.newest.get(&number)?)));
        let at = u64::from(number.checked_sub(1)?) * u64::from(PAGE_BYTES);
        let (file, at) = newest.or_else(|| Some((self.main.as_ref()?, at)))?;
        let page = read_page(file, at);
        self.accept(page)
    }

    pub(super) fn has_log(&self) -> bool {
        self.log.is_some()
    }

    /// Counts the pages from 1 to `pages` that are missing or incomplete.
    pub(super) fn missing(&mut self, pages: u32) -> u64 {
        let is_whole = |page: Page| page.len() == PAGE_BYTES as usize;
        // No page follows the last one; a damaged header may claim billions.
        let behind = u64::from(pages.saturating_sub(self.pages));
        let up_to = pages.min(self.pages);
        let gone = (1..=up_to).filter(|page| !self.page(*page).is_some_and(is_whole)).count();
        behind + gone as u64
    }

    /// Returns the offsets of pages in the log that are damaged or not the newest.
    pub(super) fn other_contents(&self) -> Vec<u64> {
        self.log.as_ref().map_or_else(Vec::new, |log| log.others.clone())
    }

    /// Returns the page of the log at an offset of [`Self::other_contents`].
    pub(super) fn other_content(&mut self, at: u64) -> Option<Page> {
        let page = read_page(&self.log.as_ref()?.file, at);
        self.accept(page)
    }

    /// Counts a failed read, and returns a page that is not empty.
    fn accept(&mut self, page: Result<Page>) -> Option<Page> {
        match page {
            Ok(page) => (!page.is_empty()).then_some(page),
            Err(_) => {
                self.unreadable += 1;
                None
            }
        }
    }
}

/// Reads a page, or the rest of the file if it ends earlier.
fn read_page(file: &File, at: u64) -> Result<Page> {
    let mut page = vec![0; PAGE_BYTES as usize];
    let mut length = 0;
    while length < page.len() {
        match file.read_at(&mut page[length..], at + length as u64) {
            Ok(0) => break,
            Ok(more) => length += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    page.truncate(length);
    Ok(page)
}
