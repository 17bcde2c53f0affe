//! What came in, how it was cut, and what a pipeline made of it, as tables.

use crate::{
    census,
    table::{Table, count, say},
    training::{self, Trained},
};
use mlops::{
    Result,
    data::{DataSchema, Dataset, Part},
};

/// The steps of an execution and what they made.
pub(crate) fn show_steps(trained: &Trained) {
    let mut table = Table::new(["step", "made", "bytes", "digest", ""]);
    for step in &trained.manifest.steps {
        for (at, value) in step.outputs.iter().enumerate() {
            let name = if at == 0 { step.spec.name.to_string() } else { String::new() };
            let digest: String = value.digest.to_hex().chars().take(12).collect();
            let cached = if step.cached { "was there already" } else { "" };
            table.row([name, value.kind.to_string(), count(value.size), digest, cached.to_owned()]);
        }
    }
    table.print();
    let source = trained.manifest.source.git.as_ref();
    let commit = source.map_or("no repository", |git| &*git.commit);
    say(format_args!("run {} with its manifest: source {commit}", trained.run));
}

/// Each survey beside the schema of the training rows.
pub(crate) fn show_validation(trained: &Trained) -> Result<()> {
    let schema = DataSchema::infer(&trained.train);
    let mut table = Table::new(["survey", "rows", "employed", "mean age", "beside the schema"]);
    for year in 2015..=2018 {
        let rows = census::of_year(&trained.people, year)?;
        let validation = schema.validate(&rows, &training::options());
        let found = match validation.anomalies.first() {
            None => "as the training rows".to_owned(),
            Some(first) => {
                let (errors, all) = (validation.errors().count(), validation.anomalies.len());
                format!("{all} found, {errors} of them errors: {}", first.message)
            }
        };
        let employed = mean(&rows, census::LABEL)? * 100.0;
        let age = mean(&rows, "AGEP")?;
        let rows = count(rows.rows());
        table.row([year.to_string(), rows, format!("{employed:.2} %"), format!("{age:.1}"), found]);
    }
    table.print();
    Ok(())
}

/// The parts of the data, and what the transform makes of its columns.
pub(crate) fn show_parts(trained: &Trained) -> Result<()> {
    let mut table = Table::new(["part", "rows", "employed", "digest"]);
    part(&mut table, &trained.train)?;
    part(&mut table, &trained.valid)?;
    part(&mut table, &trained.test)?;
    table.print();
    let (columns, numbers) = (census::FEATURES.len(), trained.transform.output_names().len());
    say(format_args!(
        "the transform, fitted on training rows: {columns} codes become {numbers} numbers"
    ));
    Ok(())
}

fn part<P: Part>(table: &mut Table, rows: &Dataset<P>) -> Result<()> {
    let employed = mean(rows, census::LABEL)? * 100.0;
    let digest: String = rows.digest().to_hex().chars().take(12).collect();
    table.row([P::NAME.to_owned(), count(rows.rows()), format!("{employed:.2} %"), digest]);
    Ok(())
}

fn mean<P: Part>(rows: &Dataset<P>, column: &str) -> Result<f64> {
    let values = rows.f64s(column)?;
    #[expect(clippy::cast_precision_loss, reason = "rows are few beside 2^53")]
    let rows = values.len().max(1) as f64;
    Ok(values.iter().sum::<f64>() / rows)
}
