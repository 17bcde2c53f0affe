//! From a package to a session.

use crate::doubles::{OffsetEngine, offset_inputs, offset_signature};
use mlops_core::{
    ErrorKind, Result, Transform,
    arrow::array::RecordBatch,
    model::{PackageBuilder, names},
    signature::TensorSpec,
    tensor::DType,
};
use mlops_serve::{
    Engine, InferOptions, LoadOptions, Session, Stop, load_package, local::TransformedSession,
};
use std::sync::Arc;

fn offset(flavor: &str) -> PackageBuilder {
    let builder = PackageBuilder::new().with_flavor(flavor, serde_json::json!({})).unwrap();
    builder.with_signature(&offset_signature()).with_file("offset.txt", "1").unwrap()
}

fn load(builder: PackageBuilder) -> Result<Arc<dyn Session>> {
    let folder = tempfile::tempdir().unwrap();
    let package = builder.write(folder.path().join("model")).unwrap();
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(OffsetEngine)];
    load_package(&package, &engines, &LoadOptions::default())
}

#[test]
fn the_engine_that_knows_it_loads_it() {
    assert_eq!(load(offset("offset")).unwrap().info().engine, "offset");
    let error = load(offset("prophet")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("\"prophet\"") && error.to_string().contains("\"offset\""));
}

#[test]
fn a_model_is_never_served_without_its_transform() {
    let broken = offset("offset").with_file(names::TRANSFORM, "{}").unwrap();
    let error = load(broken).unwrap_err();
    assert!(error.to_string().starts_with("transform.json: "), "{error}");
    let wanted =
        if cfg!(feature = "data") { ErrorKind::InvalidInput } else { ErrorKind::Unsupported };
    assert_eq!(error.kind(), wanted);
}

/// Gives its rows as they are, and says so.
#[derive(Debug)]
struct Same;

impl Transform for Same {
    fn apply(&self, rows: &RecordBatch) -> Result<RecordBatch> {
        Ok(rows.clone())
    }
}

#[test]
fn a_transform_of_the_hosts_own_stands_before_a_session() {
    let inner = || load(offset("offset")).unwrap();
    // Wider than the model: the transform's rows are what the model is given.
    let double = TensorSpec::column("x", DType::F32).with_nullable(true);
    let session = TransformedSession::new(vec![double], Arc::new(Same), inner()).unwrap();
    let stop = Stop::new();
    let outputs = session.run(&offset_inputs(&[1.0, 2.0]), &InferOptions::new(&stop)).unwrap();
    assert_eq!(outputs.require("y").unwrap().as_slice::<f32>().unwrap(), [2.0, 3.0]);
    stop.stop();
    let stopped = session.run(&offset_inputs(&[1.0]), &InferOptions::new(&stop)).unwrap_err();
    assert_eq!(stopped.kind(), ErrorKind::Cancelled);

    let other = TensorSpec::column("z", DType::F32);
    let error = TransformedSession::new(vec![other], Arc::new(Same), inner()).unwrap_err();
    assert!(error.to_string().ends_with("column \"x\" is missing"), "{error}");
}
