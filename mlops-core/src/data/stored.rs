//! Data and transforms between the steps of a pipeline, and in the record of what a run read.

use super::{Dataset, FittedTransform, Part};
use crate::{
    Error, Result,
    stored::{DATASET_FILE, Stored},
    tracker::{DatasetInput, InputData},
};
use std::{fs, path::Path, sync::Arc};

const ROWS_FILE: &str = "rows.parquet";

/// A folder with the rows as Parquet, and JSON that says what they are. A part of the data stays
/// that part. Rows that are not those that were saved are `Corrupt`.
impl<P: Part> Stored for Dataset<P> {
    const TYPE: &'static str = match P::NAME.as_bytes() {
        b"train" => "dataset.train",
        b"valid" => "dataset.valid",
        b"test" => "dataset.test",
        _ => "dataset",
    };

    fn save(&self, into: &Path) -> Result<()> {
        fs::create_dir(into).map_err(|source| Error::io(into.display(), source))?;
        let about = serde_json::to_string(&self.input(P::NAME))
            .map_err(|cause| Error::internal("a dataset's description").with_source(cause))?;
        about.save(&into.join(DATASET_FILE))?;
        self.to_parquet()?.save(&into.join(ROWS_FILE))
    }

    fn load(from: &Path) -> Result<Self> {
        let about: DatasetInput = serde_json::from_str(&String::load(&from.join(DATASET_FILE))?)
            .map_err(|cause| Error::corrupt("a dataset's description").with_source(cause))?;
        let rows: Vec<u8> = Stored::load(&from.join(ROWS_FILE))?;
        let dataset = Dataset::from_parquet(Arc::clone(&about.name), rows)?;
        if dataset.digest().to_string() != *about.digest {
            let name = dataset.name();
            return Err(Error::corrupt(format!("dataset {name:?} is not what was saved")));
        }
        Ok(dataset.declare())
    }
}

/// A file of JSON.
impl Stored for FittedTransform {
    const TYPE: &'static str = "transform";

    fn save(&self, into: &Path) -> Result<()> {
        self.to_json().save(into)
    }

    fn load(from: &Path) -> Result<Self> {
        Self::from_json(&String::load(from)?)
    }
}

impl<P: Part> InputData for Dataset<P> {
    fn input(&self, context: &str) -> DatasetInput {
        let input = DatasetInput::new(self.name().as_ref(), self.digest(), context);
        input.with_rows(self.rows() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Transform;
    use crate::data::{CsvOptions, Rule, Train, TransformSpec};

    #[test]
    fn a_part_and_a_transform_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let text = "age,state\n41,MA\n23,\n30,NH\n";
        let people = Dataset::from_csv("people", text.as_bytes(), &CsvOptions::new()).unwrap();
        let train: Dataset<Train> = people.declare();
        train.save(&folder.path().join("train")).unwrap();
        let again = Dataset::<Train>::load(&folder.path().join("train")).unwrap();
        assert_eq!((again.name(), again.digest()), (train.name(), train.digest()));
        assert_eq!(<Dataset<Train> as Stored>::TYPE, "dataset.train");
        let input = again.input("training");
        assert_eq!((input.rows, input.digest), (Some(3), train.digest().into()));

        let spec = TransformSpec::new().with_column("age", Rule::standardise());
        let fitted = spec.fit(&train).unwrap();
        fitted.save(&folder.path().join("transform")).unwrap();
        let loaded = FittedTransform::load(&folder.path().join("transform")).unwrap();
        let apply = |transform: &FittedTransform| transform.apply(&train.batch().unwrap()).unwrap();
        assert_eq!(apply(&loaded), apply(&fitted));
    }
}
