//! The report: text for people, or JSON.

use std::fmt::Write as _;

use serde::Serialize;

use crate::domain::json_line::escape_separators;

/// Result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    /// No fault.
    Ok,
    /// It works, but needs attention.
    Warn,
    /// It does not work, or is about to stop working.
    Fail,
}

/// Part of the system that a check belongs to.
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

/// Check with its result.
#[derive(Debug, Serialize)]
struct Finding {
    area: Area,
    check: &'static str,
    status: Status,
    /// One line, without secrets and texts of messages.
    #[serde(rename = "says")]
    message: String,
    /// Remedy; null if there is no fault.
    advice: Option<String>,
}

/// All checks, in order.
#[derive(Debug, Default)]
pub(super) struct Report {
    findings: Vec<Finding>,
}

impl Report {
    /// Adds a check that found no fault.
    pub(super) fn ok(&mut self, area: Area, check: &'static str, message: impl Into<String>) {
        self.add(area, check, Status::Ok, message.into(), None);
    }

    /// Adds a check of something that works, but needs attention.
    pub(super) fn warn(
        &mut self,
        area: Area,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(area, check, Status::Warn, message.into(), Some(advice.into()));
    }

    /// Adds a check of something that does not work.
    pub(super) fn fail(
        &mut self,
        area: Area,
        check: &'static str,
        message: impl Into<String>,
        advice: impl Into<String>,
    ) {
        self.add(area, check, Status::Fail, message.into(), Some(advice.into()));
    }

    fn add(
        &mut self,
        area: Area,
        check: &'static str,
        status: Status,
        message: String,
        advice: Option<String>,
    ) {
        // Texts of other programs may contain line breaks and escape sequences of terminals.
        let one_line = |text: String| text.replace(char::is_control, " ");
        let (message, advice) = (one_line(message), advice.map(one_line));
        self.findings.push(Finding { area, check, status, message, advice });
    }

    /// Returns true if a check failed.
    pub(super) fn has_failed(&self) -> bool {
        self.worst() == Status::Fail
    }

    fn worst(&self) -> Status {
        self.findings.iter().map(|finding| finding.status).max().unwrap_or(Status::Ok)
    }

    fn count(&self, status: Status) -> usize {
        self.findings.iter().filter(|finding| finding.status == status).count()
    }

    /// Formats the report as text: one line per check, and the remedy below a fault.
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
            let _ = writeln!(out, "  {status:<4}  {:<12}  {}", finding.check, finding.message);
            if let Some(advice) = &finding.advice {
                let _ = writeln!(out, "{:22}> {advice}", "");
            }
        }
        let (warn, fail) = (self.count(Status::Warn), self.count(Status::Fail));
        let _ = write!(out, "\n{} ok, {warn} warnings, {fail} failed", self.count(Status::Ok));
        out
    }

    /// Formats the report as JSON.
    pub(super) fn json(&self) -> String {
        let report = serde_json::json!({ "status": self.worst(), "checks": self.findings });
        escape_separators(&report.to_string()).into_owned()
    }
}

/// Formats an error with its causes, each once: some errors repeat the text of their cause.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cause_is_printed_once() {
        let cause = std::io::Error::other("the cable is cut");
        let error = anyhow::Error::new(cause).context("no answer: the cable is cut");
        assert_eq!(chain(&*error), "no answer: the cable is cut");
        let error = error.context("cannot connect");
        assert_eq!(chain(&*error), "cannot connect: no answer: the cable is cut");
    }

    #[test]
    fn report_has_a_remedy_below_each_fault() {
        let mut report = Report::default();
        report.ok(Area::Configuration, "sources", "default: 1 secret");
        report.warn(Area::Disk, "room", "little\nspace left", "free some space");
        report.fail(Area::Disk, "inodes", "none left", "remove files");
        insta::assert_snapshot!(report.text(), @r"
        configuration
          ok    sources       default: 1 secret

        disk
          warn  room          little space left
                              > free some space
          FAIL  inodes        none left
                              > remove files

        1 ok, 1 warnings, 1 failed
        ");
        assert!(report.has_failed());
    }
}
