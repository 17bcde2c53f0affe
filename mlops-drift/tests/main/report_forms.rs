//! The report beside its JSON schema, as Markdown, and as gauges that the dashboard asks for.

use super::{
    random::{Random, batch, floats, texts},
    report::{hostile, nasty},
};
use mlops_core::{
    DriftDetector, ErrorKind, Timestamp,
    arrow::array::RecordBatch,
    drift::{Drift, Effect, Evidence, Verdict},
    stats::wilson,
};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions,
    Report,
    profile::{Segments, frequent_values},
    report::Performance,
    why::{HeaviestRows, segments},
};
use proptest::prelude::*;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A column of each kind; a shift moves one, and empties and fills another.
fn rows(seed: u64, count: usize, shift: f64) -> RecordBatch {
    let mut random = Random::new(seed);
    let age: Vec<_> = (0..count).map(|_| Some(random.normal() + shift)).collect();
    let income: Vec<_> =
        (0..count).map(|_| (random.unit() >= shift / 3.0).then(|| random.normal())).collect();
    let place = |random: &mut Random| ["MA", "NY", "a|b <@x>"][random.choice(&[3.0, 2.0, 1.0])];
    let place: Vec<_> = (0..count).map(|_| Some(place(&mut random).to_owned())).collect();
    batch(vec![("age", floats(age)), ("income", floats(income)), ("place", texts(place))])
}

/// A report with everything that one can have.
fn whole() -> Report {
    let (before, now) = (rows(1, 4000, 0.0), rows(2, 2000, 0.8));
    let batches = std::slice::from_ref(&before);
    let reference = Profile::fit(batches, &ProfileOptions::default()).unwrap();
    let config = ProfileDetectorConfig::default();
    let mut detector = ProfileDetector::open(config.clone(), reference.clone()).unwrap();
    detector.update(&now).unwrap();
    let values = frequent_values(batches, "place", 2, 5).unwrap();
    let mut first = Segments::in_cells_of(&reference, "place", values);
    let mut second = Segments::empty_like(&first);
    first.update_own(&before, &reference).unwrap();
    second.update(&now).unwrap();
    let names = ["age", "income"];
    let mut heaviest = HeaviestRows::new(&reference, detector.window(), names, 5).unwrap();
    heaviest.look(&now).unwrap();
    let interval = wilson(744, 900, 0.95).unwrap();
    Report::of(&detector)
        .unwrap()
        .with_title("employment")
        .with_time(Timestamp::from_unix_millis(1_500_000_000_000))
        .with_segments(segments(&first, &second, &config).unwrap())
        .with_rows(heaviest.finish())
        .with_performance(
            Performance::new("employment/1", "accuracy", 0.8, 900).with_interval(interval),
        )
        .with_performance(Performance::new("employment/2", "accuracy", 0.7, 9))
}

fn schema() -> Value {
    serde_json::from_str(include_str!("../../schema/report.json")).unwrap()
}

/// The same schema, but a field that it does not name is wrong.
fn strict(mut schema: Value) -> Value {
    fn closed(schema: &mut Value) {
        let Some(fields) = schema.as_object_mut() else {
            return schema.as_array_mut().into_iter().flatten().for_each(closed);
        };
        for (name, field) in fields.iter_mut() {
            // Its fields stand among others.
            if name != "finding_fields" {
                closed(field);
            }
        }
        if fields.get("properties").is_some_and(Value::is_object) {
            fields.insert("unevaluatedProperties".to_owned(), Value::Bool(false));
        }
    }
    closed(&mut schema);
    schema
}

fn check(schema: &Value, report: &Report) -> Result<(), String> {
    let json: Value = serde_json::from_str(&report.to_json().unwrap()).unwrap();
    check_json(schema, &json)
}

fn check_json(schema: &Value, json: &Value) -> Result<(), String> {
    let (mut schemas, mut compiler) = (boon::Schemas::new(), boon::Compiler::new());
    compiler.add_resource("urn:report", schema.clone()).unwrap();
    let at = compiler.compile("urn:report", &mut schemas).unwrap();
    schemas.validate(json, at).map_err(|error| error.to_string())
}

#[test]
fn every_field_of_a_report_is_in_the_schema() {
    let strict = strict(schema());
    check(&strict, &whole()).unwrap();
    check(&strict, &hostile("a\"b")).unwrap();
    let interval =
        Drift::new("x", 3, 0.0, Effect::new("e", 0.1), Evidence::E { e: 3.0 }, Verdict::Stable);
    for drift in [Drift::too_few("x", 3), interval] {
        check(&strict, &Report::new(drift)).unwrap();
    }
    // And it refuses what is none.
    let json: Value = serde_json::from_str(&whole().to_json().unwrap()).unwrap();
    for (field, wrong) in [
        ("verdict", "fine".into()),
        ("p", 1.5.into()),
        ("columns", Value::Null),
        ("rows", (-1).into()),
    ] {
        let mut wrong_json = json.clone();
        wrong_json[field] = wrong;
        assert!(check_json(&schema(), &wrong_json).is_err(), "{field}");
        wrong_json.as_object_mut().unwrap().remove(field);
        assert!(check_json(&schema(), &wrong_json).is_err(), "{field}");
    }
    let mut more = json;
    more["columns"][0]["later"] = 1.into();
    assert!(check_json(&strict, &more).is_err() && check_json(&schema(), &more).is_ok());
}

#[test]
fn the_page_says_why_and_where() {
    let html = whole().to_html();
    for part in [
        "<h2>What happened</h2>",
        "missing values rose from 0 % to 2",
        "values tend to be larger, median",
        "<h2>By place</h2>",
        "by its rows",
        "<h2>Rows that show it</h2>",
        "likelier by",
        "Margin: 5.0 % of rows",
        "Jensen–Shannon",
        "without signs",
        "many rows</span>",
    ] {
        assert!(html.contains(part), "{part} is not in {html}");
    }
    // What did not move has a shape and a chart, too.
    assert_eq!((html.matches("class=\"o\"").count(), html.matches("<figure").count()), (3, 3));
    let place = &html[html.find("id=\"c2\"").unwrap()..];
    assert!(place.contains("<b>place</b> did not move: at most"));
}

/// The value `other` and all other values, the value `missing` and what is missing.
#[test]
fn cells_of_one_label_have_each_their_own_numbers() {
    let words = |seed: u64, weights: [f64; 5]| {
        let mut random = Random::new(seed);
        let word = |random: &mut Random| match random.choice(&weights) {
            0 => None,
            1 => Some(format!("rare {}", random.bits() % 100_000)),
            at => Some(["", "", "other", "missing", "car"][at].to_owned()),
        };
        batch(vec![("word", texts((0..3000).map(|_| word(&mut random)).collect::<Vec<_>>()))])
    };
    let before = words(1, [1.0, 1.0, 4.0, 8.0, 8.0]);
    let reference = Profile::fit(&[before], &ProfileOptions::default()).unwrap();
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
    detector.update(&words(2, [3.0, 5.0, 2.0, 6.0, 7.0])).unwrap();
    let report = Report::of(&detector).unwrap();
    let html = report.to_html();
    for attribution in &report.explanations()[0].attributions {
        let places: Vec<usize> = attribution.cells.iter().map(|cell| cell.at).collect();
        assert_eq!(places, [0, 1, 2, 3, 4], "missing, car, missing, other, other");
    }
    for label in ["missing", "other"] {
        let start = format!("<tr><th scope=\"row\">{label}</th>");
        let rows: Vec<&str> = html.split(&start).skip(1).collect();
        assert_eq!(rows.len(), 2, "{label}");
        // After both shares: what the cell adds in each measure.
        let adds = |row: &str| -> Vec<String> {
            let row = row.split("</tr>").next().unwrap();
            row.split("<td class=\"n\">").skip(3).map(str::to_owned).collect()
        };
        let (first, second) = (adds(rows[0]), adds(rows[1]));
        assert_eq!(first.len(), 3);
        assert!(first.iter().zip(&second).all(|(a, b)| a != b), "{label}: {first:?} {second:?}");
    }
}

#[test]
fn two_hundred_columns_stay_below_three_megabytes() {
    let columns = |seed: u64, shift: f64| {
        let mut random = Random::new(seed);
        let names: Vec<String> = (0..200).map(|at| format!("feature_{at:03}")).collect();
        let mut column = |at: usize| {
            let shift = if at.is_multiple_of(3) { shift } else { 0.0 };
            floats((0..600).map(|_| Some(random.normal() + shift)).collect::<Vec<_>>())
        };
        let columns = names.iter().enumerate().map(|(at, name)| (name.as_str(), column(at)));
        batch(columns.collect())
    };
    let reference = Profile::fit(&[columns(1, 0.0)], &ProfileOptions::default()).unwrap();
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
    detector.update(&columns(2, 1.0)).unwrap();
    let html = Report::of(&detector).unwrap().to_html();
    assert!(html.len() < 3_000_000, "{}", html.len());
    assert!(html.matches("class=\"o\"").count() == 200 && html.matches("<figure").count() == 40);
}

#[test]
fn markdown_has_the_verdict_a_table_and_sentences() {
    let page = whole().to_markdown();
    let lines: Vec<&str> = page.lines().collect();
    assert_eq!(lines[0], "### 🔴 `employment`");
    assert!(
        lines[2].starts_with(
            "**drifted**: of 3 columns 2 drifted, 0 may have, 1 did not (2,000 rows, 2017-07-14"
        ),
        "{page}"
    );
    let table: Vec<&&str> = lines.iter().filter(|line| line.starts_with("| ")).collect();
    // Two headers, two columns, two versions.
    assert_eq!(table.len(), 6, "{page}");
    assert!(
        page.contains("- `income`: missing values rose") && page.contains("By `place`: "),
        "{page}"
    );
    let few = Report::new(Drift::too_few("x", 3)).to_markdown();
    assert!(few.contains("⚪") && few.contains("**too few rows**") && !few.contains("| column"));
}

/// Series of a page with their values; panics on what is no text format.
fn series(page: &str) -> BTreeMap<(String, Vec<(String, String)>), f64> {
    let (mut all, mut family, mut declared) = (BTreeMap::new(), String::new(), BTreeSet::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let (kind, rest) = rest.split_once(' ').unwrap();
            let (name, text) = rest.split_once(' ').unwrap();
            assert!(
                name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !text.is_empty()
            );
            match kind {
                "HELP" => assert!(declared.insert(name.to_owned()), "{name} is declared twice"),
                "TYPE" => assert!(text == "gauge" && declared.contains(name), "{line}"),
                other => panic!("{other}"),
            }
            name.clone_into(&mut family);
            continue;
        }
        let start = line.find(['{', ' ']).unwrap();
        assert_eq!(&line[..start], family);
        let (labels, value) = labels(&line[start..]);
        let value = match value.trim() {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            number => number.parse().unwrap(),
        };
        assert!(all.insert((family.clone(), labels), value).is_none(), "{line} is there twice");
    }
    all
}

/// The labels at the start of a text, unescaped, and what follows.
fn labels(text: &str) -> (Vec<(String, String)>, &str) {
    let Some(mut rest) = text.strip_prefix('{') else { return (Vec::new(), text) };
    let mut labels = Vec::new();
    loop {
        let (name, after) = rest.split_once("=\"").unwrap();
        let (mut value, mut characters) = (String::new(), after.char_indices());
        let end = loop {
            match characters.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => value.push(match characters.next().unwrap().1 {
                    'n' => '\n',
                    same @ ('\\' | '"') => same,
                    other => panic!("an escape of {other:?}"),
                }),
                (_, plain) => value.push(plain),
            }
        };
        labels.push((name.to_owned(), value));
        match after[end + 1..].split_at(1) {
            (",", next) => rest = next,
            ("}", next) => return (labels, next),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn gauges_say_what_the_report_says() {
    let report = whole();
    let page = report.to_prometheus(&[("model", "risk")]).unwrap();
    let series = series(&page);
    let value = |name: &str, own: &[(&str, &str)]| {
        let mut labels = vec![("model".to_owned(), "risk".to_owned())];
        labels.extend(own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        series.get(&(name.to_owned(), labels)).copied()
    };
    assert_eq!(value("mlops_drift_verdict", &[]), Some(2.0));
    assert_eq!(value("mlops_drift_columns", &[("verdict", "drifted")]), Some(2.0));
    assert_eq!(value("mlops_drift_time_seconds", &[]), Some(1_500_000_000.0));
    let by = ("effect", "total_variation");
    assert_eq!(value("mlops_drift_margin_ratio", &[by]), Some(0.05));
    for column in &report.drift().parts {
        let name = ("column", &*column.name);
        let effect = [name, ("effect", "total_variation")];
        assert_eq!(value("mlops_drift_column_effect_ratio", &effect), Some(column.effect.value));
        let low = column.effect.interval.unwrap().low;
        assert_eq!(value("mlops_drift_column_effect_low_ratio", &effect), Some(low));
        let Evidence::P { adjusted, .. } = column.evidence else { panic!("no probability") };
        assert_eq!(value("mlops_drift_column_p_adjusted", &[name]), Some(adjusted));
    }
    let version = [("version", "employment/1"), ("metric", "accuracy")];
    assert_eq!(value("mlops_drift_performance_rows", &version), Some(900.0));
    for wrong in ["column", "9x", "", "__x", "a-b"] {
        let error = report.to_prometheus(&[(wrong, "x")]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{wrong}");
    }
    assert!(report.to_prometheus(&[("a", "x"), ("a", "y")]).is_err());
}

/// What a monitor says of a shift, of what is missing, and of nothing.
fn watched() -> Report {
    let reference = Profile::fit(&[rows(1, 4000, 0.0)], &ProfileOptions::default()).unwrap();
    let config = MonitorConfig::default().with_margin(0.04).with_unusual_margin(0.03);
    let monitor = Monitor::new(reference, config).unwrap();
    (2..6).for_each(|seed| monitor.update(&rows(seed, 1000, 0.5)).unwrap());
    Report::of_monitor(&monitor).unwrap()
}

#[test]
fn a_gauge_has_one_unit_and_its_margin_beside_it() {
    let report = watched();
    let page = report.to_prometheus(&[("model", "risk")]).unwrap();
    let series = series(&page);
    let mut units = BTreeMap::new();
    for column in &report.drift().parts {
        let unit = if *column.effect.name == *"shift_sd" { "deviations" } else { "ratio" };
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let own = [label("column", &column.name), label("effect", &column.effect.name)];
        let labels = [vec![label("model", "risk")], own.to_vec()].concat();
        for (end, value) in
            [("", column.effect.value), ("_low", column.effect.interval.unwrap().low)]
        {
            let name = format!("mlops_drift_column_effect{end}_{unit}");
            assert_eq!(series.get(&(name, labels.clone())), Some(&value), "{page}");
        }
        // All labels but the column's: what an alert compares.
        let margin = (format!("mlops_drift_margin_{unit}"), [&labels[..1], &labels[2..]].concat());
        units.insert(column.effect.name.to_string(), series[&margin]);
    }
    let names: Vec<&str> = units.keys().map(String::as_str).collect();
    assert_eq!(names, ["missing_share", "shift_sd", "total_variation"], "{page}");
    assert!((units["missing_share"], units["total_variation"]) == (0.03, 0.04));
    // Two normal laws a tenth of a deviation apart differ in about 4% of rows.
    assert!((units["shift_sd"] - 0.1).abs() < 0.001, "{units:?}");
    assert!(!page.contains("mlops_drift_column_effect{"), "{page}");
}

/// Names of metrics in a text.
fn asked(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("mlops_drift_")).collect()
}

#[test]
fn the_dashboard_and_the_alerts_ask_for_gauges_that_are_there() {
    let page = whole().to_prometheus(&[]).unwrap() + &watched().to_prometheus(&[]).unwrap();
    let declared: BTreeSet<&str> =
        page.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    let dashboard = include_str!("../../grafana/drift.json");
    let alerts = include_str!("../../grafana/alerts.yaml");
    assert!(
        serde_json::from_str::<Value>(dashboard).unwrap()["panels"].as_array().unwrap().len() > 8
    );
    for (text, least) in [(dashboard, 12), (alerts, 3)] {
        let asked = asked(text);
        assert!(asked.len() >= least, "{asked:?}");
        let missing: Vec<_> = asked.difference(&declared).collect();
        assert!(missing.is_empty(), "{missing:?} of {declared:?}");
    }
    // A column's effect changes its unit when a shift is sure: it must not vanish then.
    let effects = declared.iter().filter(|name| name.starts_with("mlops_drift_column_effect_"));
    let unseen: Vec<_> = effects.filter(|name| !asked(dashboard).contains(**name)).collect();
    assert!(unseen.is_empty(), "{unseen:?} are on no panel");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn hostile_names_break_neither_gauges_nor_tables(text in nasty()) {
        let report = hostile(&text);
        let page = report.to_prometheus(&[("own", &text)]).unwrap();
        let names = series(&page);
        let named = ("column".to_owned(), text.clone());
        let found = names.keys().any(|(_, own)| own.contains(&named) && own[0].1 == text);
        prop_assert!(found, "{}", page);
        let markdown = report.to_markdown();
        let rows = markdown.lines().filter(|line| line.starts_with("| "));
        for row in rows {
            // Cells end at pipes that no backslash escapes.
            let pipes = row.match_indices('|').filter(|(at, _)| !row[..*at].ends_with('\\')).count();
            prop_assert!(pipes == 6 || pipes == 5, "{row}");
        }
        prop_assert_eq!(markdown.lines().count(), hostile("plain").to_markdown().lines().count());
    }
}
