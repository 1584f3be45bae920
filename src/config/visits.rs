//! Silence that divides a session into visits: the default, and that of single agents.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::anyhow;

use super::file_only::FileAgent;
use super::text::{duration, setting};
use crate::domain::visits::VisitGaps;

/// Shortest gap: with less, every short pause would end a visit.
const SHORTEST: Duration = Duration::from_secs(1);
/// Longest gap: more than anybody needs, and far from the ends of Postgres' calendar.
const LONGEST: Duration = Duration::from_hours(24 * 365);

setting! {
    /// Silence after which a new visit begins.
    #[derive(Clone, Copy, Debug)]
    VisitGap(Duration) = parse, default VisitGaps::DEFAULT
}

fn parse(text: &str) -> anyhow::Result<Duration> {
    let gap = duration(text, "5m")?;
    anyhow::ensure!(
        (SHORTEST..=LONGEST).contains(&gap),
        "must be between a second and a year, not {text:?}"
    );
    Ok(gap)
}

/// Returns the default gap and those of single agents.
pub(super) fn gaps(
    default: VisitGap,
    agents: &BTreeMap<String, FileAgent>,
) -> anyhow::Result<VisitGaps> {
    let set = agents.iter().filter_map(|(id, agent)| Some((id, agent.visit_gap.as_ref()?)));
    let by_agent = set.map(|(id, text)| {
        let gap = parse(text).map_err(|error| anyhow!("visit_gap of agent {id:?} {error}"))?;
        Ok((id.clone(), gap))
    });
    Ok(VisitGaps::new(default.0, by_agent.collect::<anyhow::Result<_>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::file::File;

    fn gaps_of(file: &str, flag: Option<&str>) -> anyhow::Result<VisitGaps> {
        let file = File::parse(file).unwrap();
        let flag = flag.map(str::parse).transpose()?;
        gaps(flag.or(file.args.visit_gap).unwrap_or_default(), &file.only.agents)
    }

    #[test]
    fn gap_of_an_agent_overrides_the_default() {
        let seconds = |gaps: &VisitGaps, agent| gaps.of(agent).as_secs();
        let gaps = gaps_of("[agents.\"A12\"]\nvisit_gap = \"90s\"\n[agents.B]\n", None).unwrap();
        assert_eq!(["A12", "B", "C"].map(|agent| seconds(&gaps, agent)), [90, 300, 300]);
        let file = "visit_gap = \"2m\"\n[agents.A]\nvisit_gap = \"10m\"";
        let gaps = gaps_of(file, None).unwrap();
        assert_eq!(["A", "B"].map(|agent| seconds(&gaps, agent)), [600, 120]);
        let gaps = gaps_of(file, Some("1h")).unwrap();
        assert_eq!(["A", "B"].map(|agent| seconds(&gaps, agent)), [600, 3600]);
    }

    #[test]
    fn invalid_gap_is_rejected_by_name() {
        for wrong in ["", "5", "0s", "999ms", "366days", "-1m"] {
            assert!(gaps_of("", Some(wrong)).is_err(), "{wrong}");
            let agent = FileAgent { visit_gap: Some(wrong.into()) };
            let error = gaps(VisitGap::default(), &BTreeMap::from([("A 1".into(), agent)]));
            assert!(error.unwrap_err().to_string().contains("visit_gap of agent \"A 1\""));
        }
    }
}
