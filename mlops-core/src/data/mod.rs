//! Data on its way to a model: tables with a digest, what their columns are like, parts that are
//! kept apart by their type, and transforms that training and serving share.
//!
//! ```
//! use mlops_core::data::{
//!     CsvOptions, DataSchema, Dataset, Rule, TransformSpec, ValidationOptions,
//! };
//! use mlops_core::Transform;
//!
//! let mut text = "age,state,employed\n".to_owned();
//! for row in 0..500 {
//!     text += &format!("{},{},{}\n", 20 + row % 50, ["MA", "NH"][row % 2], row % 3 / 2);
//! }
//! let people = Dataset::from_csv("people", text.as_bytes(), &CsvOptions::new())?;
//!
//! let split = people.split_random([0.6, 0.2, 0.2], 7)?;
//! let schema = DataSchema::infer(&split.train);
//! assert!(schema.validate(&split.test, &ValidationOptions::new()).is_ok());
//!
//! let transform = TransformSpec::new()
//!     .with_column("age", Rule::standardise())
//!     .with_column("state", Rule::one_hot(16).with_other())
//!     .fit(&split.train)?; // `&split.test` would not compile
//! let features = transform.apply(&split.test.batch()?)?;
//! assert_eq!(transform.output_names(), ["age", "state=MA", "state=NH", "state=other"]);
//! assert_eq!(features.num_rows(), 100);
//! # Ok::<(), mlops_core::Error>(())
//! ```

mod category;
mod column;
mod content;
mod dataset;
pub mod io;
mod random;
mod rows;
mod schema;
mod split;
mod stored;
mod transform;
mod validate;
mod version;

pub use category::Category;
pub use column::ColumnType;
pub use dataset::{Any, Dataset, Part, Test, Train, Valid};
pub use io::{CsvOptions, CsvType, ParquetOptions};
pub use schema::{ColumnSchema, DataSchema, Range, SchemaOptions};
pub use split::{Dropped, Embargo, Overlap, Split, TimeCut};
pub use transform::{Encoding, FittedTransform, Nulls, Rule, TransformSpec};
pub use validate::{Anomaly, AnomalyKind, Severity, Validation, ValidationOptions};
