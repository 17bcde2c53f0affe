//! Schemas and what they find.

use super::{tables::table, why};
use mlops_core::data::{
    AnomalyKind as Kind, CsvOptions, DataSchema, Dataset, SchemaOptions, Severity, Train,
    Validation, ValidationOptions,
};
use proptest::prelude::*;

fn csv(text: &str) -> Dataset {
    Dataset::from_csv("data", text, &CsvOptions::new()).unwrap()
}

/// 100 rows: ages 20 to 69, two states, a code of three values, some nulls in `gap`.
fn people() -> String {
    let row = |n: usize| {
        let gap = if n.is_multiple_of(4) { String::new() } else { n.to_string() };
        format!("{},{},{},{gap},{}.5\n", 20 + n % 50, ["MA", "NH"][n % 2], n % 3, n % 7)
    };
    "age,state,code,gap,x\n".to_owned() + &(0..100).map(row).collect::<String>()
}

fn schema() -> DataSchema {
    DataSchema::infer(&csv(&people()).declare::<Train>())
}

fn found(text: &str, options: &ValidationOptions) -> Vec<(Kind, String, usize, Option<usize>)> {
    let validation = schema().validate(&csv(text), options);
    let row = |a: mlops_core::data::Anomaly| {
        (a.kind, a.column.map(|name| name.to_string()).unwrap_or_default(), a.count, a.row)
    };
    validation.anomalies.into_iter().map(row).collect()
}

#[test]
fn a_schema_says_what_columns_are_like() {
    let schema = schema();
    let column = |name: &str| schema.column(name).unwrap();
    let age = column("age");
    assert_eq!((age.kind.to_string().as_str(), age.nulls, age.whole), ("int64", 0, true));
    let range = age.range.unwrap();
    assert_eq!((range.min, range.max), (20.0, 69.0));
    assert!(age.categories.is_none(), "each age is there only twice");
    assert_eq!(column("gap").nulls, 25);
    assert!(!column("x").whole && column("x").categories.is_none());
    let values = |name: &str| {
        let categories = column(name).categories.as_ref().unwrap();
        categories.iter().map(|c| (c.value.clone(), c.count)).collect::<Vec<_>>()
    };
    assert_eq!(values("state"), [("MA".to_owned(), 50), ("NH".to_owned(), 50)]);
    assert_eq!(values("code")[0], ("0".to_owned(), 34));

    assert_eq!(DataSchema::from_json(&schema.to_json()).unwrap(), schema);
    let newer = schema.to_json().replacen("\"version\": 1", "\"version\": 2", 1);
    assert_eq!(why(DataSchema::from_json(&newer)), "data schema: version 2, only 1 is known");
    assert!(
        why(DataSchema::from_json("{\"version\": 1}")).starts_with("data schema: missing field")
    );
    let none = SchemaOptions::new().with_max_categories(0_usize);
    let bare = DataSchema::of(&csv(&people()), &none);
    assert!(!bare.to_json().contains("MA"), "no value is kept");
}

#[test]
fn each_anomaly_has_its_name() {
    let options = ValidationOptions::new();
    assert_eq!(found(&people(), &options), []);
    let text = "age,state,code,gap,new\n\
        19,MA,0,1,a\n\
        ,XX,1,,a\n\
        70,NH,7,2,a\n\
        71,,YY,3,a\n";
    let column = |name: &str| name.to_owned();
    // `code` became text, so its values are not compared; `x` is gone.
    assert_eq!(
        found(text, &options),
        [
            (Kind::NullsNotAllowed, column("age"), 1, Some(1)),
            (Kind::OutOfRange, column("age"), 3, Some(0)),
            (Kind::NullsNotAllowed, column("state"), 1, Some(3)),
            (Kind::UnseenValue, column("state"), 1, Some(1)),
            (Kind::TypeChanged, column("code"), 0, None),
            (Kind::MissingColumn, column("x"), 0, None),
            (Kind::NewColumn, column("new"), 0, None),
        ]
    );
    let header = "age,state,code,gap,x\n";
    let infinite = format!("{header}30,MA,0,1,inf\n30,MA,9,1,nan\n30,MA,0,1,0.5\n");
    assert_eq!(
        found(&infinite, &options),
        [
            (Kind::UnseenValue, column("code"), 1, Some(1)),
            (Kind::NotANumber, column("x"), 1, Some(1)),
            (Kind::Infinite, column("x"), 1, Some(0)),
        ]
    );
    let constant = header.to_owned() + &"30,MA,0,,0.5\n".repeat(40);
    let options =
        options.with_min_rows(50_usize).with_max_duplicates(Some(0.5)).without_column("x");
    assert_eq!(
        found(&constant, &options),
        [
            (Kind::TooFewRows, String::new(), 0, None),
            (Kind::DuplicateRows, String::new(), 39, Some(1)),
            (Kind::ConstantColumn, column("age"), 0, None),
            (Kind::ConstantColumn, column("state"), 0, None),
            (Kind::ConstantColumn, column("code"), 0, None),
            (Kind::EmptyColumn, column("gap"), 40, Some(0)),
        ]
    );
}

#[test]
fn a_few_more_nulls_are_no_anomaly_many_are() {
    let rows = |nulls: usize| {
        let gap = |n: usize| if n < nulls { String::new() } else { "50".to_owned() };
        let row = |n: usize| format!("{},MA,0,{},{}.5\n", 20 + n % 9, gap(n), n % 7);
        "age,state,code,gap,x\n".to_owned() + &(0..20).map(row).collect::<String>()
    };
    // 8 of 20 are 40%, yet the interval of that share still holds 25% and the margin.
    assert_eq!(found(&rows(8), &ValidationOptions::new()), []);
    let many = found(&rows(16), &ValidationOptions::new());
    assert_eq!(many, [(Kind::TooManyNulls, "gap".to_owned(), 16, Some(0))]);
}

#[test]
fn severities_and_sentences_are_for_the_caller() {
    let text = "age,state,code,gap,x\n30,secret,0,77777,0.5\n";
    let mut rows = text.to_owned();
    let long = "y".repeat(100);
    for n in 0..9 {
        rows += &format!("30,unseen {n} {long},0,77777,0.5\n");
    }
    let validation = schema().validate(&csv(&rows), &ValidationOptions::new());
    assert!(validation.is_ok());
    let shown = validation.to_string();
    assert!(!shown.contains("77777"), "a number is shown: {shown}");
    assert!(shown.contains("10 of 10 rows hold values that were not there before: \"secret\""));
    assert!(shown.contains("and 5 more (first in row 0)"), "{shown}");
    assert!(!shown.contains(&long), "a long value is cut");
    let json = serde_json::to_string(&validation).unwrap();
    assert_eq!(serde_json::from_str::<Validation>(&json).unwrap(), validation);

    let strict = ValidationOptions::new()
        .with_severity(Kind::UnseenValue, Severity::Error)
        .with_severity(Kind::OutOfRange, None);
    let error = why(schema().validate(&csv(text), &strict).into_result());
    let wanted = "the data is not valid: column \"state\": 1 of 1 rows hold values that were not there \
        before: \"secret\"";
    assert_eq!(error, wanted);
    let share = schema().validate(&csv(text), &strict).anomalies[0].share.unwrap();
    assert!(share.low > 0.2 && share.high > 0.999 && share.level == 0.95);
}

#[test]
fn another_type_of_number_is_a_warning_and_still_checked() {
    let text = people().replace("\n20,", "\n2000.5,");
    let validation = schema().validate(&csv(&text), &ValidationOptions::new());
    let found: Vec<_> = validation.anomalies.iter().map(|a| (a.kind, a.severity)).collect();
    let wanted = [(Kind::TypeChanged, Severity::Warning), (Kind::OutOfRange, Severity::Warning)];
    assert_eq!(found, wanted);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever the data is, it is like itself; and its schema survives storage.
    #[test]
    fn data_is_valid_against_its_own_schema(dataset in table()) {
        let schema = DataSchema::of(&dataset, &SchemaOptions::new());
        prop_assert_eq!(&DataSchema::from_json(&schema.to_json()).unwrap(), &schema);
        let validation = schema.validate(&dataset, &ValidationOptions::new().with_min_rows(0_usize));
        prop_assert!(validation.anomalies.is_empty(), "{}", validation);
    }
}
