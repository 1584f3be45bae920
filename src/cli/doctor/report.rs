//! What was found: lines for a person, or JSON for a machine.

use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::json_line::escape_separators;

/// How it stands with one thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// As it should be.
    Ok,
    /// It works, and somebody should look.
    Warn,
    /// It does not work, or is about to stop working.
    Fail,
}

/// What kind of thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Area {
    Configuration,
    Service,
    Database,
    Inbox,
    Disk,
    Clock,
    Deliveries,
}

impl Area {
    fn as_str(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Service => "service",
            Self::Database => "database",
            Self::Inbox => "inbox",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::Deliveries => "deliveries",
        }
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    area: Area,
    check: &'static str,
    status: Status,
    /// One line, without any secret and without anything that somebody said.
    says: String,
    /// What to do about it; null where all is well.
    advice: Option<String>,
}

/// All that was looked at, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// All is well.
    pub(super) fn ok(&mut self, area: Area, check: &'static str, says: impl Into<String>) {
        self.add(area, check, Status::Ok, says.into(), None);
    }

    /// It works, and somebody should look.
    pub(super) fn warn(
        &mut self,
        area: Area,
        check: &'static str,
        says: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(area, check, Status::Warn, says.into(), Some(advice.into()));
    }

    /// It does not work.
    pub(super) fn fail(
        &mut self,
        area: Area,
        check: &'static str,
        says: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(area, check, Status::Fail, says.into(), Some(advice.into()));
    }

    fn add(
        &mut self,
        area: Area,
        check: &'static str,
        status: Status,
        says: String,
        advice: Option<String>,
    ) {
        // What others say may hold line ends, and what would move a terminal's cursor.
        let one_line = |text: String| text.replace(char::is_control, " ");
        let (says, advice) = (one_line(says), advice.map(one_line));
        self.findings.push(Finding { area, check, status, says, advice });
    }

    /// Something does not work.
    pub(super) fn has_failed(&self) -> bool {
        self.worst() == Status::Fail
    }

    fn worst(&self) -> Status {
        self.findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
    }

    fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// For a person: a line a finding, and under a fault what to do.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let mut area = None;
        // Writing to a string does not fail.
        for finding in &self.findings {
            if area.replace(finding.area) != Some(finding.area) {
                let gap = if out.is_empty() { "" } else { "\n" };
                let _ = writeln!(out, "{gap}{}", finding.area.as_str());
            }
            let status = match finding.status {
                Status::Ok => "ok",
                Status::Warn => "warn",
                Status::Fail => "FAIL",
            };
            let _ = writeln!(out, "  {status:<4}  {:<12}  {}", finding.check, finding.says);
            if let Some(advice) = &finding.advice {
                let _ = writeln!(out, "{:22}> {advice}", "");
            }
        }
        let (warn, fail) = (self.count(Status::Warn), self.count(Status::Fail));
        let _ = write!(out, "\n{} ok, {warn} to look at, {fail} failed", self.count(Status::Ok));
        out
    }

    /// For a machine.
    pub(super) fn json(&self) -> String {
        let report = serde_json::json!({ "status": self.worst(), "checks": self.findings });
        escape_separators(&report.to_string()).into_owned()
    }
}

/// An error with its causes, each once: some say their cause's words themselves.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !said.contains(&words) {
            said = format!("{said}: {words}");
        }
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let cause = std::io::Error::other("the cable is cut");
        let error = anyhow::Error::new(cause).context("no answer: the cable is cut");
        assert_eq!(chain(&*error), "no answer: the cable is cut");
        let error = error.context("cannot connect");
        assert_eq!(chain(&*error), "cannot connect: no answer: the cable is cut");
    }

    #[test]
    fn a_report_reads_well_and_says_what_to_do() {
        let mut report = Report::default();
        report.ok(Area::Configuration, "sources", "default: 1 secret");
        report.warn(Area::Disk, "room", "little\nis left", "make room");
        report.fail(Area::Disk, "inodes", "none is left", "remove files");
        insta::assert_snapshot!(report.text(), @r"
        configuration
          ok    sources       default: 1 secret

        disk
          warn  room          little is left
                              > make room
          FAIL  inodes        none is left
                              > remove files

        1 ok, 1 to look at, 1 failed
        ");
        assert!(report.has_failed());
    }
}
