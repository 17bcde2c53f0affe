//! The rows of the story: people of Massachusetts, and whether they are employed. `data/README.md`
//! says where they come from and what each code means.

use mlops::{
    Result, Timestamp,
    data::{Dataset, ParquetOptions, Part},
    evaluation::Slices,
    signature::TensorSpec,
    tensor::{DType, Tensors},
};
use std::path::PathBuf;

/// What a model is told of a person, in the order of its input.
pub(crate) const FEATURES: [&str; 16] = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR",
    "DEYE", "DREM", "SEX", "RAC1P",
];
/// What it is asked.
pub(crate) const LABEL: &str = "employed";

/// A file beside this program's source.
pub(crate) fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

/// Every row and the columns that the story needs.
pub(crate) fn read() -> Result<Dataset> {
    let columns = ["time", "year", LABEL].into_iter().chain(FEATURES);
    Dataset::read_parquet(
        file("employment_ma.parquet"),
        &ParquetOptions::new().with_columns(columns),
    )
}

/// The rows of one survey.
pub(crate) fn of_year(people: &Dataset, year: i64) -> Result<Dataset> {
    let keep: Vec<bool> = people.i64s("year")?.iter().map(|own| *own == Some(year)).collect();
    Ok(people.filter_rows(&keep)?.with_name(format!("employment {year}")))
}

/// What each model takes: one packed tensor whose numbers have names.
pub(crate) fn input() -> TensorSpec {
    TensorSpec::new("features", DType::F32, [None, Some(FEATURES.len())]).with_columns(FEATURES)
}

/// The rows as a model takes them.
pub(crate) fn tensors<P: Part>(rows: &Dataset<P>) -> Result<Tensors> {
    Tensors::from_batch(&rows.batch()?, &[input()])
}

/// Whether each person is employed.
pub(crate) fn labels<P: Part>(rows: &Dataset<P>) -> Result<Vec<bool>> {
    Ok(rows.i64s(LABEL)?.into_iter().map(|label| label == Some(1)).collect())
}

/// When each row was asked about.
pub(crate) fn times<P: Part>(rows: &Dataset<P>) -> Result<Vec<Timestamp>> {
    let micros = rows.i64s("time")?;
    Ok(micros.into_iter().map(|time| Timestamp::from_unix_micros(time.unwrap_or(0))).collect())
}

/// The groups that a model must not fail: by sex, race and age.
pub(crate) fn slices<P: Part>(rows: &Dataset<P>) -> Result<Slices> {
    let named = |column: &str, name: fn(i64) -> &'static str| -> Result<Vec<&'static str>> {
        Ok(rows.i64s(column)?.into_iter().map(|code| code.map_or("unknown", name)).collect())
    };
    Slices::new(rows.rows())
        .with("sex", named("SEX", sex)?)?
        .with("race", named("RAC1P", race)?)?
        .with("age", named("AGEP", age_band)?)
}

fn sex(code: i64) -> &'static str {
    if code == 1 { "male" } else { "female" }
}

fn race(code: i64) -> &'static str {
    match code {
        1 => "White",
        2 => "Black",
        3 => "American Indian",
        4 => "Alaska Native",
        5 => "Native, unspecified",
        6 => "Asian",
        7 => "Pacific Islander",
        8 => "other",
        _ => "two or more",
    }
}

fn age_band(age: i64) -> &'static str {
    match age {
        ..16 => "0-15",
        16..25 => "16-24",
        25..45 => "25-44",
        45..65 => "45-64",
        _ => "65+",
    }
}
