//! Files that become datasets, and datasets that become files.

mod bounds;
mod csv;
mod parquet;

pub use self::csv::{CsvOptions, CsvType};
pub use self::parquet::ParquetOptions;

use super::Dataset;
use crate::{Error, Result};
use std::{path::Path, sync::Arc};

impl Dataset {
    /// Reads a file by the extension of its name: `.parquet` or `.csv`, with default options.
    ///
    /// # Behavior
    /// - a file that is not there is `NotFound`; another extension is `Unsupported`
    /// - bytes that are not what the extension says are `Corrupt` (Parquet) or `InvalidInput` (CSV);
    ///   every error names the file
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let extension = path.extension().and_then(|text| text.to_str()).unwrap_or_default();
        match extension.to_ascii_lowercase().as_str() {
            "parquet" => Self::read_parquet(path, &ParquetOptions::new()),
            "csv" => Self::read_csv(path, &CsvOptions::new()),
            _ => Err(Error::unsupported(format!(
                "{}: a dataset is read from .parquet or .csv",
                path.display()
            ))),
        }
    }
}

/// What a dataset read from this file is called: the file's name without its extension.
fn name_of(path: &Path) -> Arc<str> {
    path.file_stem().unwrap_or_default().to_string_lossy().into()
}
