//! A model as a folder: the `MLmodel` package that Python reads too, with names reserved for what
//! only we put there.

mod mlmodel;
mod package;

pub use mlmodel::MlModel;
pub use package::{ModelPackage, PackageBuilder};

/// Names inside a package that mean something to the family. A model's own files may not use them.
pub mod names {
    /// The descriptor, in YAML.
    pub const MLMODEL: &str = "MLmodel";
    /// The fitted transform, in JSON.
    pub const TRANSFORM: &str = "transform.json";
    /// The reference profile of the training data.
    pub const PROFILE: &str = "profile.bin";
    /// The schema of the training data, in JSON.
    pub const SCHEMA: &str = "schema.json";
    /// A few rows to warm the model with, in JSON; also MLflow's name for it.
    pub const INPUT_EXAMPLE: &str = "input_example.json";
    /// The evaluation that the model was promoted by, in JSON.
    pub const EVALUATION: &str = "evaluation.json";
    /// A detached signature over the manifest.
    pub const SIGNATURE: &str = "model.sig";

    /// All of them.
    pub const ALL: &[&str] =
        &[MLMODEL, TRANSFORM, PROFILE, SCHEMA, INPUT_EXAMPLE, EVALUATION, SIGNATURE];
}
