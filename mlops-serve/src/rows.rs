//! Columns of a file or a table, as a model's inputs take them.

use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
};
#[cfg(feature = "data")]
use mlops_core::{
    data::{CsvOptions, CsvType},
    tensor::DType,
};

/// The model's inputs, the packed one without named columns with those that the caller names, in
/// its order. `InvalidInput` if they are too many or too few, or if there is no one such input.
pub fn with_columns(signature: &ModelSignature, columns: &[String]) -> Result<Vec<TensorSpec>> {
    let unnamed: Vec<&TensorSpec> =
        signature.inputs.iter().filter(|spec| packs_unnamed(spec)).collect();
    let [packed] = unnamed.as_slice() else {
        return Err(Error::invalid(format!(
            "columns can be named for one packed input, and the model has {}",
            unnamed.len()
        )));
    };
    let named = TensorSpec::clone(packed).with_columns(columns.iter().map(String::as_str));
    let inputs = signature.inputs.iter();
    let inputs = inputs.map(|spec| if spec == *packed { named.clone() } else { spec.clone() });
    // Says so if they are too many or too few.
    ModelSignature::new(inputs.collect(), Vec::new()).map(|signature| signature.inputs)
}

/// Whether an input holds several columns that have no names.
pub fn packs_unnamed(spec: &TensorSpec) -> bool {
    spec.columns.is_empty() && spec.shape.len() == 2 && spec.shape[1].is_none_or(|n| n > 1)
}

/// How CSV is read for these inputs: the types that the model wants, so that a code of digits stays
/// text.
#[cfg(feature = "data")]
pub fn csv_options(specs: &[TensorSpec]) -> CsvOptions {
    let mut options = CsvOptions::new();
    for spec in specs {
        let kind = match spec.dtype {
            DType::Utf8 => CsvType::Utf8,
            DType::Bool => CsvType::Bool,
            dtype if dtype.is_float() => CsvType::Float64,
            _ => continue,
        };
        for feature in spec.features() {
            options = options.with_type(feature.as_ref(), kind);
        }
    }
    options
}
