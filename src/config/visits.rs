//! Which silence divides a session into visits.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use super::raw::FileAgent;
use crate::domain::visits::VisitGaps;

/// Below this every pause for breath would be the end of a visit.
const SHORTEST: Duration = Duration::from_secs(1);
/// Beyond any use, and far from the ends of Postgres' calendar.
const LONGEST: Duration = Duration::from_hours(24 * 365);

/// Reads the silences: one for all agents, and those of some.
pub(super) fn gaps(
    usual: Option<&str>,
    agents: &BTreeMap<String, FileAgent>,
) -> anyhow::Result<VisitGaps> {
    let usual = usual.map_or(Ok(VisitGaps::DEFAULT), |text| gap("visit-gap", text))?;
    let own = agents.iter().filter_map(|(id, agent)| Some((id, agent.visit_gap.as_ref()?)));
    let by_agent = own
        .map(|(id, text)| Ok((id.clone(), gap(&format!("visit_gap of agent {id:?}"), text)?)))
        .collect::<anyhow::Result<_>>()?;
    Ok(VisitGaps::new(usual, by_agent))
}

fn gap(name: &str, text: &str) -> anyhow::Result<Duration> {
    let gap = humantime::parse_duration(text)
        .with_context(|| format!("{name} is a duration such as 5m, and {text:?} is not"))?;
    anyhow::ensure!(
        (SHORTEST..=LONGEST).contains(&gap),
        "{name} is a second at least and a year at the most, and {text:?} is not"
    );
    Ok(gap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(file: &str, flag: Option<&str>) -> anyhow::Result<VisitGaps> {
        let file: super::super::raw::File = toml::from_str(file).unwrap();
        gaps(flag.or(file.visit_gap.as_deref()), &file.agents)
    }

    #[test]
    fn an_agents_own_silence_beats_the_usual_one() {
        let seconds = |gaps: &VisitGaps, agent| gaps.of(agent).as_secs();
        let gaps = of("[agents.\"A12\"]\nvisit_gap = \"90s\"\n[agents.B]\n", None).unwrap();
        assert_eq!(["A12", "B", "C"].map(|agent| seconds(&gaps, agent)), [90, 300, 300]);
        let gaps = of("visit_gap = \"2m\"\n[agents.A]\nvisit_gap = \"10m\"", None).unwrap();
        assert_eq!(["A", "B"].map(|agent| seconds(&gaps, agent)), [600, 120]);
        let gaps = of("visit_gap = \"2m\"\n[agents.A]\nvisit_gap = \"10m\"", Some("1h")).unwrap();
        assert_eq!(["A", "B"].map(|agent| seconds(&gaps, agent)), [600, 3600]);
    }

    #[test]
    fn what_is_no_such_silence_is_refused_by_name() {
        for wrong in ["", "5", "0s", "999ms", "366days", "-1m"] {
            assert!(of("", Some(wrong)).is_err(), "{wrong}");
            let error = of(&format!("[agents.\"A 1\"]\nvisit_gap = \"{wrong}\""), None);
            assert!(error.unwrap_err().to_string().contains("visit_gap of agent \"A 1\""));
        }
    }
}
