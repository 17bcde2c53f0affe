//! Whether callers of one model can call another.

use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
};

/// Whether every request that `old` takes is taken by `new`, and every answer of `new` is one that
/// callers of `old` understand. `InvalidInput` names the first thing that breaks.
///
/// # Behavior
/// - an input may not go, come or change its type; it may take more shapes and begin to take nulls
/// - names of packed columns stay, in their order: the same numbers must mean the same things
/// - an output may come; it may not go, change its type, or take shapes or nulls that it did not
pub fn check_compatible(old: &ModelSignature, new: &ModelSignature) -> Result<()> {
    for spec in &old.inputs {
        let name = &spec.name;
        match new.input(name) {
            Some(other) => accepts(other, spec, "input")?,
            None => return Err(breaks(format!("input {name:?} is not taken any more"))),
        }
    }
    if let Some(spec) = new.inputs.iter().find(|spec| old.input(&spec.name).is_none()) {
        return Err(breaks(format!("input {:?} is new, and callers do not send it", spec.name)));
    }
    for spec in &old.outputs {
        let name = &spec.name;
        match new.output(name) {
            Some(other) => accepts(spec, other, "output")?,
            None => return Err(breaks(format!("output {name:?} is not given any more"))),
        }
    }
    Ok(())
}

/// Whether whatever fits `given` fits `wide`, too.
fn accepts(wide: &TensorSpec, given: &TensorSpec, side: &str) -> Result<()> {
    let name = &wide.name;
    if wide.dtype != given.dtype {
        return Err(breaks(format!("the type of {side} {name:?} changes")));
    }
    let fits = |(wide, given): (&Option<usize>, &Option<usize>)| wide.is_none() || wide == given;
    let same_rank = wide.shape.len() == given.shape.len();
    if !same_rank || !wide.shape.iter().zip(&given.shape).all(fits) {
        return Err(breaks(format!("the shape of {side} {name:?} changes")));
    }
    if wide.columns != given.columns && !wide.columns.is_empty() && !given.columns.is_empty() {
        return Err(breaks(format!("the columns of {side} {name:?} change")));
    }
    if given.nullable && !wide.nullable {
        return Err(breaks(format!("nulls of {side} {name:?} change")));
    }
    Ok(())
}

fn breaks(what: String) -> Error {
    Error::invalid(what).context("the signature would break callers")
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::tensor::DType;

    fn signature(inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>) -> ModelSignature {
        ModelSignature::new(inputs, outputs).unwrap()
    }

    fn x() -> TensorSpec {
        TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"])
    }

    fn p() -> TensorSpec {
        TensorSpec::column("p", DType::F32)
    }

    #[test]
    fn what_only_widens_is_compatible() {
        let old = signature(vec![x()], vec![p()]);
        check_compatible(&old, &old).unwrap();
        let wider = TensorSpec::new("x", DType::F32, [None, None]).with_nullable(true);
        let more = vec![TensorSpec::column("label", DType::I64), p()];
        check_compatible(&old, &signature(vec![wider], more)).unwrap();
    }

    #[test]
    fn each_break_is_named() {
        let old = signature(vec![x()], vec![p()]);
        let why = |inputs, outputs| {
            check_compatible(&old, &signature(inputs, outputs)).unwrap_err().message().to_owned()
        };
        let double = TensorSpec::new("x", DType::F64, [None, Some(2)]);
        let three = TensorSpec::new("x", DType::F32, [None, Some(3)]);
        let swapped = TensorSpec::new("x", DType::F32, [None, Some(2)]);
        let swapped = swapped.with_columns(["income", "age"]);
        let z = TensorSpec::column("z", DType::F32);
        assert_eq!(why(vec![], vec![p()]), "input \"x\" is not taken any more");
        assert_eq!(why(vec![x(), z], vec![p()]), "input \"z\" is new, and callers do not send it");
        assert_eq!(why(vec![double], vec![p()]), "the type of input \"x\" changes");
        assert_eq!(why(vec![three], vec![p()]), "the shape of input \"x\" changes");
        assert_eq!(why(vec![swapped], vec![p()]), "the columns of input \"x\" change");
        assert_eq!(why(vec![x()], vec![]), "output \"p\" is not given any more");
        let nulls = vec![p().with_nullable(true)];
        assert_eq!(why(vec![x()], nulls), "nulls of output \"p\" change");
    }
}
