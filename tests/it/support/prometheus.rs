//! A strict parser of Prometheus' text format: a server can read everything that it accepts.

use std::collections::{BTreeMap, BTreeSet};

/// A series: its name and its labels in order.
type Series = (String, BTreeMap<String, String>);

/// The parsed metrics.
#[derive(Debug, Default)]
pub(crate) struct Scrape {
    /// Every sample, as `name{label="value",…}` with the labels in order.
    samples: BTreeMap<String, f64>,
    /// The type of each family.
    pub(crate) families: BTreeMap<String, String>,
    /// Every label with its values, except `le`.
    pub(crate) labels: BTreeMap<String, BTreeSet<String>>,
}

impl Scrape {
    /// Parses the text, and panics if the format does not allow it.
    pub(crate) fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line ends with a newline");
        let mut scrape = Self::default();
        let mut helped = BTreeSet::new();
        // The current family. None may occur twice.
        let mut open = String::new();
        let mut series = Vec::new();
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a help has a text");
                assert!(!help.is_empty() && helped.insert(name.to_owned()), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').expect("a type");
                assert!(helped.contains(name), "{name} has no help");
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
                let before = scrape.families.insert(name.to_owned(), kind.to_owned());
                assert!(before.is_none(), "{name} occurs twice");
                name.clone_into(&mut open);
            } else {
                let ((name, labels), value) = sample(line);
                let suffix = name.strip_prefix(&open).unwrap_or_else(|| panic!("{line}"));
                let allowed: &[&str] = match scrape.families[&open].as_str() {
                    "histogram" => &["_bucket", "_sum", "_count"],
                    _ => &[""],
                };
                assert!(allowed.contains(&suffix), "{line} under {open}");
                for (label, value) in labels.iter().filter(|(label, _)| *label != "le") {
                    scrape.labels.entry(label.clone()).or_default().insert(value.clone());
                }
                let before = scrape.samples.insert(shown(&name, &labels), value);
                assert!(before.is_none(), "twice: {line}");
                series.push((open.clone(), (name, labels), value));
            }
        }
        check_histograms(&scrape, &series);
        scrape
    }

    /// Returns the value of a counter, named with its labels in order.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
    pub(crate) fn count(&self, series: &str) -> u64 {
        let value = self.value(series);
        assert!(value >= 0.0 && value.fract() == 0.0, "{series} is {value}");
        value as u64
    }

    /// Returns the value of a series, named with its labels in order.
    pub(crate) fn value(&self, series: &str) -> f64 {
        *self.samples.get(series).unwrap_or_else(|| {
            let name = series.split('{').next().unwrap();
            let known: Vec<_> = self.samples.keys().filter(|it| it.starts_with(name)).collect();
            panic!("no series {series}; found {known:#?}")
        })
    }

    /// Returns the sum over all series of a family of counters.
    pub(crate) fn sum(&self, family: &str) -> u64 {
        let of_family = |series: &&String| series.split('{').next() == Some(family);
        self.samples.keys().filter(of_family).map(|series| self.count(series)).sum()
    }
}

/// Checks that the buckets of a histogram ascend, count up, and end with the total count.
fn check_histograms(scrape: &Scrape, series: &[(String, Series, f64)]) {
    let mut buckets: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (family, (name, labels), value) in series {
        if scrape.families[family] == "histogram" && name.ends_with("_bucket") {
            let mut labels = labels.clone();
            let le = labels.remove("le").expect("a bucket has a bound");
            let le = if le == "+Inf" { f64::INFINITY } else { le.parse().unwrap() };
            let count = shown(&format!("{family}_count"), &labels);
            buckets.entry(count).or_default().push((le, *value));
        }
    }
    for (count, buckets) in buckets {
        assert!(buckets.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{count}");
        let (bound, all) = *buckets.last().unwrap();
        assert!(bound.is_infinite(), "{count}");
        assert!((all - scrape.value(&count)).abs() < 0.5, "{count}");
        assert!(scrape.value(&count.replace("_count", "_sum")) >= 0.0, "{count}");
    }
    let histograms = scrape.families.values().filter(|kind| *kind == "histogram").count();
    assert!(histograms > 0, "no histogram to check");
}

fn shown(name: &str, labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return name.to_owned();
    }
    let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    format!("{name}{{{}}}", labels.join(","))
}

fn is_name(text: &str, colon: bool) -> bool {
    let first = |c: char| c.is_ascii_alphabetic() || c == '_' || (colon && c == ':');
    text.starts_with(first) && text.chars().all(|c| first(c) || c.is_ascii_digit())
}

/// `name{label="value",…} number`
fn sample(line: &str) -> (Series, f64) {
    let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no value: {line}"));
    let value: f64 = value.parse().unwrap_or_else(|_| panic!("no number: {line}"));
    assert!(value.is_finite(), "{line}");
    let (name, labels) = match series.split_once('{') {
        Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("a closing brace"))),
        None => (series, BTreeMap::new()),
    };
    assert!(is_name(name, true), "{line}");
    ((name.to_owned(), labels), value)
}

fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").unwrap_or_else(|| panic!("no label: {text}"));
        assert!(is_name(name, false), "{name}");
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            let (at, c) = chars.next().expect("a closing quotation mark");
            match c {
                '"' => break at,
                '\\' => match chars.next().expect("something is escaped").1 {
                    'n' => value.push('\n'),
                    c @ ('"' | '\\') => value.push(c),
                    other => panic!("\\{other} in {text}"),
                },
                c => value.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), value).is_none(), "{name} twice");
        text = &rest[end + 1..];
        text = match text.strip_prefix(',') {
            Some(more) => more,
            None if text.is_empty() => text,
            None => panic!("no comma: {text}"),
        };
    }
    labels
}
