//! Silence that divides a session into visits: the default, and that of single agents.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use super::file::FileAgent;
use crate::domain::visits::VisitGaps;

/// Shortest gap: with less, every short pause would end a visit.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest gap: more than anybody needs, and far from the ends of Postgres' calendar.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Parses the default gap and those of single agents.
pub(super) fn gaps(
    default: Option<&str>,
    agents: &BTreeMap<String, FileAgent>,
) -> anyhow::Result<VisitGaps> {
    let default = default.map_or(Ok(VisitGaps::DEFAULT), |text| gap("visit-gap", text))?;
    let set = agents.iter().filter_map(|(id, agent)| Some((id, agent.visit_gap.as_ref()?)));
    let by_agent = set
        .map(|(id, text)| Ok((id.clone(), gap(&format!("visit_gap of agent {id:?}"), text)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(VisitGaps::new(default, by_agent))
}

fn gap(name: &str, text: &str) -> anyhow::Result<Duration> {
    let gap = humantime::parse_duration(text)
        .with_context(|| format!("{name} must be a duration such as 5m, not {text:?}"))?;
    anyhow::ensure!(
        (SHORTEST..=LONGEST).contains(&gap),
        "{name} must be between a second and a year, not {text:?}"
    );
    Ok(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(file: &str, flag: Option<&str>) -> anyhow::Result<VisitGaps> {
        let file: super::super::file::File = toml::from_str(file).unwrap();
        gaps(flag.or(file.visit_gap.as_deref()), &file.agents)
    }

    #[test]
    fn gap_of_an_agent_overrides_the_default() {
        let seconds = |gaps: &VisitGaps, agent| gaps.of(agent).as_secs();
        let gaps = parse("[agents.\"A12\"]\nvisit_gap = \"90s\"\n[agents.B]\n", None).unwrap();
        assert_eq!(["A12", "B", "C"].map(|agent| seconds(&gaps, agent)), [90, 300, 300]);
        let file = "visit_gap = \"2m\"\n[agents.A]\nvisit_gap = \"10m\"";
        let gaps = parse(file, None).unwrap();
        assert_eq!(["A", "B"].map(|agent| seconds(&gaps, agent)), [600, 120]);
        let gaps = parse(file, Some("1h")).unwrap();
        assert_eq!(["A", "B"].map(|agent| seconds(&gaps, agent)), [600, 3600]);
    }

    #[test]
    fn invalid_gap_is_rejected_by_name() {
        for wrong in ["", "5", "0s", "999ms", "366days", "-1m"] {
            assert!(parse("", Some(wrong)).is_err(), "{wrong}");
            let error = parse(&format!("[agents.\"A 1\"]\nvisit_gap = \"{wrong}\""), None);
            assert!(error.unwrap_err().to_string().contains("visit_gap of agent \"A 1\""));
        }
    }
}
