//! `mlops drift profile`: a reference, or a window beside it, as a file without a raw row.

use super::side::{Columns, Rows, Side};
use crate::{
    Error, Result, ResultExt,
    cli::{Answer, Console, console::visible, table},
};
use clap::Args;
use mlops_drift::{Profile, profile::ColumnType};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

/// Count the rows of a file in cells; of Parquet one column is in memory at a time
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  mlops drift profile train.parquet --out train.profile\n  \
                        mlops drift profile monday.parquet --like train.profile --out monday.profile")]
pub(in crate::cli) struct Making {
    /// The rows: .parquet, .csv, or the folder of an inference log
    rows: PathBuf,
    /// Where to write the profile
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Counts a window in the cells of this profile, so that both can be compared and such windows
    /// add up; without it, the rows make cells of their own
    #[arg(long, value_name = "PROFILE")]
    like: Option<PathBuf>,
    /// Columns to describe; every column that can be if absent
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', conflicts_with = "like")]
    columns: Vec<String>,
    /// Says what was made as JSON
    #[arg(long)]
    json: bool,
}

/// What was made.
#[derive(Serialize)]
struct Made<'a> {
    profile: String,
    rows: u64,
    bytes: usize,
    columns: Vec<MadeColumn<'a>>,
}

#[derive(Serialize)]
struct MadeColumn<'a> {
    name: &'a str,
    kind: &'static str,
    cells: usize,
}

impl Making {
    pub(super) fn json(&self) -> bool {
        self.json
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let Side::Rows(rows) = Side::open(&self.rows)? else {
            let shown = self.rows.display();
            return Err(Error::unsupported(format!("{shown}: that is a profile already")));
        };
        let profile = self.profile(&rows, console).context(|| self.rows.display().to_string())?;
        let bytes = profile.to_bytes()?;
        table::write(&self.out, &bytes)?;
        self.say(&profile, bytes.len(), console)?;
        Ok(Answer::Yes)
    }

    fn profile(&self, rows: &Rows, console: &Console) -> Result<Profile> {
        let Some(like) = &self.like else {
            let columns = wanted(rows, &self.columns, console)?;
            let profile = rows.fit(&columns)?;
            let Some(digest) = rows.digest()? else { return Ok(profile) };
            return profile.with_source(self.rows.display().to_string(), digest);
        };
        match Side::open(like)? {
            Side::Profile(like) => rows.count(&like),
            Side::Rows(_) => {
                Err(Error::unsupported(format!("{}: that is no profile", like.display())))
            }
        }
    }

    fn say(&self, profile: &Profile, bytes: usize, console: &Console) -> Result<()> {
        let columns = profile.columns().map(|column| MadeColumn {
            name: column.name(),
            kind: match column.column_type() {
                ColumnType::Numeric => "numeric",
                _ => "categories",
            },
            cells: column.cells().len(),
        });
        let made = Made {
            profile: self.out.display().to_string(),
            rows: profile.rows(),
            bytes,
            columns: columns.collect(),
        };
        if self.json {
            return console.say_json(&made);
        }
        let (rows, count) = (made.rows, made.columns.len());
        console
            .say(format_args!("{}: {rows} rows, {count} columns, {bytes} bytes", made.profile))?;
        let width = made.columns.iter().map(|column| column.name.chars().count()).max();
        let width = width.unwrap_or(0);
        for MadeColumn { name, kind, cells } in made.columns {
            console.say(format_args!("  {:<width$}  {kind:<10}  {cells} cells", visible(name)))?;
        }
        Ok(())
    }
}

/// The columns that were asked for, else all that a profile describes; the others are named.
pub(super) fn wanted(rows: &Rows, asked: &[String], console: &Console) -> Result<Vec<Arc<str>>> {
    if !asked.is_empty() {
        return Ok(asked.iter().map(|name| name.as_str().into()).collect());
    }
    let Columns { described: columns, other } = rows.columns()?;
    for name in other {
        console.note(format_args!(
            "left out: column {name:?}, of a type that a profile does not describe"
        ));
    }
    Ok(columns)
}
