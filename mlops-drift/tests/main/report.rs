//! The report: what it says, that hostile names stay text, and its JSON.

use super::random::{Random, batch, floats, texts};
use mlops_core::{
    DriftDetector, Timestamp,
    arrow::array::RecordBatch,
    drift::{Contribution, Drift, Effect, Evidence, Verdict},
    stats::wilson,
};
use mlops_drift::{
    Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions, Report, report::Performance,
};
use proptest::prelude::*;
use serde_json::Value;

/// Three columns, of which one drifted and one may have.
fn rows(seed: u64, count: usize, shift: f64) -> RecordBatch {
    let mut random = Random::new(seed);
    let mut normal =
        |shift: f64| floats((0..count).map(|_| Some(random.normal() + shift)).collect::<Vec<_>>());
    let (age, income) = (normal(shift), normal(0.0));
    let word = |random: &mut Random| if random.unit() < 0.5 + shift * 0.06 { "yes" } else { "no" };
    let words: Vec<_> = (0..count).map(|_| Some(word(&mut random).to_owned())).collect();
    batch(vec![("age", age), ("income", income), ("word", texts(words))])
}

fn report() -> (Report, Profile) {
    let reference = Profile::fit(&[rows(1, 4000, 0.0)], &ProfileOptions::default()).unwrap();
    let mut detector =
        ProfileDetector::open(ProfileDetectorConfig::default(), reference.clone()).unwrap();
    detector.update(&rows(2, 1000, 1.0)).unwrap();
    let performance = |version, right| {
        let interval = wilson(right, 900, 0.95).unwrap();
        Performance::new(version, "accuracy", 0.001 + 0.001 * 800.0, 900).with_interval(interval)
    };
    let report = Report::new(detector.evaluate().unwrap())
        .with_title("employment")
        .with_time(Timestamp::from_unix_millis(1_500_000_000_000))
        .with_performance(performance("employment/1", 744))
        .with_performance(performance("employment/2", 700));
    (report, reference)
}

#[test]
fn the_page_says_what_moved_and_needs_nothing_else() {
    let (report, reference) = report();
    let html = report.to_html();
    assert_eq!(report.drift().verdict, Verdict::Drifted);
    assert!(html.starts_with("<!DOCTYPE html>") && html.trim_end().ends_with("</html>"));
    for part in
        ["employment", "1,000 rows", "2017-07-14", "prefers-color-scheme: dark", "@media print"]
    {
        assert!(html.contains(part), "{part}");
    }
    for foreign in ["<script", "http://", "https://", "url(", "@import", "<link", "<img", " src="] {
        assert!(!html.contains(foreign), "{foreign}");
    }
    let moved: Vec<Verdict> = report.drift().parts.iter().map(|column| column.verdict).collect();
    assert_eq!(moved, [Verdict::Drifted, Verdict::Stable, Verdict::Warning]);
    // One chart a moved column, one of the interval of each row of performance.
    assert_eq!((html.matches("<figure").count(), html.matches("<svg").count()), (3, 11));
    assert_eq!(tags(&html).len(), tags(&report.clone().to_html()).len());
    let none = report.with_max_charts(0).with_reference(&reference).to_html();
    assert!(none.contains("3 more columns, of which 2 moved") && !none.contains("<figure"));
}

#[test]
fn a_numeric_chart_runs_along_the_line() {
    let (report, reference) = report();
    let labels = |html: &str| -> Vec<String> {
        let figure = &html[html.find("<figure").unwrap()..html.find("</figure>").unwrap()];
        let parts = figure.split("text-anchor=\"end\">").skip(1);
        parts.map(|part| part[..part.find('<').unwrap()].to_owned()).collect()
    };
    let by_effect = labels(&report.to_html());
    let along = labels(&report.with_reference(&reference).to_html());
    let line = reference.column("age").unwrap().coarse_cells(16);
    let mut expected: Vec<String> =
        line.iter().map(|cell| cell.label.replace('<', "&lt;").replace('>', "&gt;")).collect();
    expected.retain(|label| along.contains(label));
    assert_eq!(along, expected);
    assert!(by_effect != along && by_effect.len() == along.len() && along.len() > 10);
}

#[test]
fn the_json_has_the_promised_fields() {
    let (report, _) = report();
    let json: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    assert_eq!((&json["format"], &json["version"]), (&"mlops-drift-report".into(), &1.into()));
    assert_eq!((&json["verdict"], &json["rows"]), (&"drifted".into(), &1000.into()));
    let columns = json["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 3);
    for (column, drift) in columns.iter().zip(&report.drift().parts) {
        assert_eq!(column["name"], drift.name.as_ref());
        assert_eq!(column["verdict"], drift.verdict.as_str());
        assert_eq!(column["effect"].as_f64(), Some(drift.effect.value));
        let Evidence::P { p, adjusted, exact } = drift.evidence else { panic!("no probability") };
        assert_eq!(
            (column["p"].as_f64(), column["p_adjusted"].as_f64()),
            (Some(p), Some(adjusted))
        );
        assert_eq!(column["p_exact"], exact);
        assert_eq!(column["tests"].as_array().unwrap().len(), drift.parts.len());
        assert_eq!(column["contributions"].as_array().unwrap().len(), drift.contributions.len());
    }
    assert_eq!(json["performance"][1]["version"], "employment/2");
    assert!(json["performance"][0]["interval"]["low"].as_f64().unwrap() < 0.827);
}

#[test]
fn too_few_rows_and_findings_without_parts_are_reports_too() {
    let few = Report::new(Drift::too_few("x", 3));
    assert!(few.to_html().contains("too few rows to say anything yet"));
    let json: Value = serde_json::from_str(&few.to_json().unwrap()).unwrap();
    assert_eq!(
        (&json["verdict"], &json["columns"][0]["verdict"]),
        (&"too_few_rows".into(), &"too_few_rows".into())
    );
    assert_eq!(
        (&json["columns"][0]["p"], &json["columns"][0]["name"]),
        (&Value::Null, &"x".into())
    );
}

/// A report with this text wherever a caller's text can be.
pub(crate) fn hostile(text: &str) -> Report {
    let evidence = Evidence::P { p: 0.001, adjusted: 0.002, exact: true };
    let finding = |effect: f64| {
        Drift::new(text, 500, 1.0, Effect::new(text, effect), evidence, Verdict::Drifted)
    };
    let cells =
        vec![Contribution::new(text, 0.1, 0.9, 0.4), Contribution::new(text, 0.9, 0.1, 0.4)];
    let column = finding(0.5).with_contributions(cells).with_parts(vec![finding(0.1)]);
    let performance = Performance::new(text, text, 0.5, 10);
    Report::new(finding(0.5).with_parts(vec![column]))
        .with_title(text)
        .with_performance(performance)
}

/// The names of all tags, closing ones with a slash, each with the names of its attributes; and
/// all text between, with references resolved. Panics on what is no tag.
fn parsed(html: &str) -> (Vec<String>, String) {
    let (mut tags, mut texts) = (Vec::new(), String::new());
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        texts += &resolved(&rest[..start]);
        let (mut tag, mut quoted, mut length) = (String::new(), false, 0);
        for character in rest[start + 1..].chars() {
            length += character.len_utf8();
            match character {
                '>' if !quoted => break,
                '"' => quoted = !quoted,
                inside if quoted => assert!(!"<>".contains(inside), "{html}"),
                outside => tag.push(outside),
            }
        }
        tags.push(tag);
        rest = &rest[start + 1 + length..];
    }
    (tags, texts + &resolved(rest))
}

fn resolved(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&#39;", "'").replace("&amp;", "&")
}

fn tags(html: &str) -> Vec<String> {
    parsed(html).0
}

/// Pieces of markup, of references and of any character, put together.
pub(crate) fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "<script>alert(1)</script>",
        "</title>",
        "</style>",
        "</svg>",
        "\"",
        "'",
        ">",
        "<",
        "&",
        "&lt;",
        "&#60;",
        "-->",
        "<!--",
        "]]>",
        "\" onload=\"x",
        "' x='",
        "javascript:",
        "\0",
        "\u{202e}",
        "\r\n",
        "`",
        "{}",
        "年齢",
    ]);
    let piece = prop_oneof![pieces.prop_map(str::to_owned), any::<String>()];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn hostile_names_stay_text(text in nasty()) {
        let (tags_seen, texts) = parsed(&hostile(&text).to_html());
        prop_assert_eq!(tags_seen, tags(&hostile("plain").to_html()));
        let shown: String = text.chars().map(|c| if c.is_control() { '\0' } else { c }).collect();
        for piece in shown.split(|c: char| c == '\0' || !c.is_alphanumeric()) {
            prop_assert!(texts.contains(piece), "{piece:?} is missing");
        }
        let json: Value = serde_json::from_str(&hostile(&text).to_json().unwrap()).unwrap();
        prop_assert_eq!(json["columns"][0]["name"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn no_number_breaks_the_page(
        numbers in prop::collection::vec(any::<f64>(), 6),
        rows: u64,
    ) {
        let evidence = Evidence::E { e: numbers[0] };
        let effect = Effect::new("x", numbers[1]);
        let cell = Contribution::new("c", numbers[2], numbers[3], numbers[4]);
        let drift = Drift::new("x", rows, numbers[5], effect, evidence, Verdict::Drifted)
            .with_contributions(vec![cell]);
        let report = Report::new(drift).with_performance(Performance::new("v", "m", numbers[0], rows));
        let html = report.to_html();
        prop_assert!(report.to_json().is_ok());
        let drawn = html.split("width=\"").chain(html.split(" x=\"")).chain(html.split(" cx=\""));
        for part in drawn.skip(1) {
            prop_assert!(!part.starts_with("NaN") && !part.starts_with("inf") && !part.starts_with('-'));
        }
    }
}
