//! The census rows that the examples use.

use mlops_core::{
    data::{DataSchema, Dataset, Nulls, Rule, SchemaOptions, TransformSpec, ValidationOptions},
    tensor::Tensors,
};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/employment_ma.parquet");

#[test]
fn the_census_is_read_split_and_transformed() {
    if !std::path::Path::new(FILE).exists() {
        println!("skipped: {FILE} is not there");
        return;
    }
    let people = Dataset::open(FILE).unwrap();
    assert_eq!(people.rows(), 277_677);
    let pieces = people.batch().unwrap();
    let cut = |at: usize| [pieces.slice(0, at), pieces.slice(at, pieces.num_rows() - at)];
    let [one, other] = [cut(1), cut(123_457)].map(|b| Dataset::from_batches("cut", b).unwrap());
    assert_eq!(one.digest(), people.digest());
    assert_eq!(other.digest(), people.digest());

    let split = people.split_random([0.6, 0.2, 0.2], 2018).unwrap();
    let schema = DataSchema::infer(&split.train);
    let validation = schema.validate(&split.test, &ValidationOptions::new());
    assert!(validation.is_ok(), "{validation}");
    let whole = DataSchema::of(&people, &SchemaOptions::new());
    let spec = whole.columns.iter().fold(TransformSpec::new(), |spec, column| {
        match (&column.categories, column.kind.is_number()) {
            (Some(_), _) => spec.with_column(column.name.as_ref(), Rule::one_hot(64).with_other()),
            (None, true) => {
                let rule = Rule::standardise().with_nulls(Nulls::Median);
                spec.with_column(column.name.as_ref(), rule)
            }
            (None, false) => spec,
        }
    });
    let transform = spec.fit(&split.train).unwrap();
    let features = transform.apply_to(&split.test).unwrap();
    let x = transform.tensor_spec("x");
    let tensors = Tensors::from_batch(&features.batch().unwrap(), &[x]).unwrap();
    let values = tensors.require("x").unwrap().as_slice::<f32>().unwrap();
    assert_eq!(values.len(), split.test.rows() * transform.output_names().len());
    assert!(values.iter().all(|value| value.is_finite()));
}
