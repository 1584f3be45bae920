//! Tests of rules.

use super::*;

fn draft(metric: &str) -> Draft {
    Draft {
        name: "a-name".into(),
        metric: metric.into(),
        above: Some(Amount::Number(1.0)),
        ..Draft::default()
    }
}

#[test]
fn operational_names_differ_from_the_catalogue() {
    for (name, subject) in OPERATIONAL {
        assert_eq!(Metric::find(name), None, "{name}");
        assert_eq!(subject.name(), name);
        assert!(Rule::new(&draft(name)).is_ok(), "{name}");
    }
}

#[test]
fn rule_has_defaults() {
    let rule = Rule::new(&draft("messages")).unwrap();
    assert_eq!(rule.window, Some(DEFAULT_WINDOW));
    assert_eq!((rule.hold, &rule.agents), (Duration::ZERO, &None));
    assert_eq!(rule.calendar.zone, Tz::UTC);
    assert_eq!(rule.subject.stat(), Some(Stat::Count));
    let relative = Draft { above: None, below_normal: Some(0.5), ..draft("messages") };
    let rule = Rule::new(&relative).unwrap();
    assert_eq!(rule.condition.relative, Some(Relative { factor: 0.5, weeks: DEFAULT_WEEKS }));
    assert_eq!(rule.condition.side, Side::Below);
    let quiet = Draft { above: Some(Amount::Duration("15m".into())), ..draft("quiet") };
    let rule = Rule::new(&quiet).unwrap();
    assert_eq!((rule.window, rule.condition.absolute), (None, Some(900.0)));
}

#[test]
fn invalid_rule_is_rejected_with_a_hint() {
    let base = || draft("messages");
    let none = |draft: Draft| Draft { above: None, ..draft };
    let text = |text: &str| Some(text.to_owned());
    let texts = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
    for (draft, expected) in [
        (Draft { name: "A name".into(), ..base() }, "`name` is 1 to 64 of a-z"),
        (Draft { name: String::new(), ..base() }, "`name` is 1 to 64"),
        (
            draft("mesages"),
            "`metric` is one of: quiet, no_delivery, undrained_age, quarantined, sess",
        ),
        (draft("reply_gap"), "`reply_gap` needs a `stat`: avg, p50, p90, p99, max"),
        (Draft { stat: text("p50"), ..base() }, "`stat` of `messages` is one of: count"),
        (Draft { stat: text("p50"), ..draft("quiet") }, "`quiet` has no `stat`"),
        (none(base()), "it needs a limit: `above`"),
        (Draft { below: Some(Amount::Number(0.0)), ..base() }, "either above a limit or below one"),
        (Draft { above: Some(Amount::Number(-1.0)), ..base() }, "`above` is 0 or more"),
        (Draft { above: Some(Amount::Number(f64::NAN)), ..base() }, "`above` is 0 or more"),
        (Draft { above: Some(Amount::Duration("1m".into())), ..base() }, "is a number"),
        (Draft { above: Some(Amount::Duration("soon".into())), ..draft("quiet") }, "\"15m\""),
        (Draft { above: Some(Amount::Number(2.0)), ..draft("silent_rate") }, "share from 0 to 1"),
        (Draft { weeks: Some(4), ..base() }, "`weeks` needs `above_normal`"),
        (Draft { above_normal: Some(2.0), weeks: Some(13), ..base() }, "`weeks` is from 1 to 12"),
        (Draft { above_normal: Some(0.0), ..base() }, "from above 0"),
        (
            none(Draft { above_normal: Some(2.0), ..draft("undrained_age") }),
            "`undrained_age` has no normal value to compare with: give `above`",
        ),
        (Draft { window: text("soon"), ..base() }, "`window` is a duration such as 15m"),
        (Draft { window: text("1s"), ..base() }, "`window` is from 1m to 1month"),
        (Draft { window: text("8d"), above_normal: Some(2.0), ..base() }, "from 1m to 7days"),
        (Draft { window: text("1h"), ..draft("quiet") }, "`quiet` has no `window`"),
        (Draft { hold: text("8d"), ..base() }, "`for` is from 0s to 7days"),
        (Draft { agents: texts(&["A*"]), ..base() }, "\"A*\" is a pattern"),
        (Draft { agents: texts(&["A", "A"]), ..base() }, "names an agent twice"),
        (Draft { agents: texts(&["A"]), ..draft("no_delivery") }, "is about all agents"),
        (Draft { tz: text("Berlin"), ..base() }, "`tz` is a time zone"),
    ] {
        let error = Rule::new(&draft).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(error.starts_with(&format!("alert {:?}: ", draft.name)), "{error}");
    }
}

#[test]
fn bound_key_sees_only_rules_about_its_agents() {
    let mine = ["A".to_owned(), "B".to_owned()];
    let of = |agents: &[&str]| {
        let agents = agents.iter().map(|agent| (*agent).to_owned()).collect();
        Rule::new(&Draft { agents, ..draft("messages") }).unwrap()
    };
    assert!(of(&["A"]).is_visible_to(Some(&mine)));
    assert!(of(&["B", "A"]).is_visible_to(Some(&mine)));
    assert!(!of(&["A", "C"]).is_visible_to(Some(&mine)));
    assert!(!of(&[]).is_visible_to(Some(&mine)));
    assert!(of(&[]).is_visible_to(None));
}
