//! Arbitrary tables: every type of column, nulls, NaN, empty text, no rows.

use arrow_array::{ArrayRef, ArrowPrimitiveType, PrimitiveArray, types as arrow};
use arrow_schema::DataType;
use mlops_core::data::Dataset;
use proptest::{collection::vec, option::weighted, prelude::*};
use std::sync::Arc;

/// Up to 40 rows of up to 5 columns.
pub(super) fn table() -> impl Strategy<Value = Dataset> {
    (0..40_usize).prop_flat_map(|rows| vec(column(rows), 1..6)).prop_map(|arrays| {
        let names = (0..).map(|at| format!("c{at}"));
        Dataset::from_columns("table", names.zip(arrays)).unwrap()
    })
}

/// The same rows in pieces that end at these positions.
pub(super) fn recut(dataset: &Dataset, cuts: &[prop::sample::Index]) -> Dataset {
    let all = dataset.batch().unwrap();
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut.index(all.num_rows() + 1)).collect();
    ends.extend([0, all.num_rows()]);
    ends.sort_unstable();
    let pieces = ends.windows(2).map(|pair| all.slice(pair[0], pair[1] - pair[0]));
    Dataset::from_batches(Arc::clone(dataset.name()), pieces).unwrap()
}

fn column(rows: usize) -> BoxedStrategy<ArrayRef> {
    prop_oneof![
        primitive::<arrow::Int8Type, i8>(rows, None),
        primitive::<arrow::Int32Type, i32>(rows, None),
        primitive::<arrow::Int64Type, i64>(rows, None),
        primitive::<arrow::UInt16Type, u16>(rows, None),
        primitive::<arrow::UInt64Type, u64>(rows, None),
        floats(rows),
        primitive::<arrow::Float64Type, f64>(rows, None),
        codes(rows),
        primitive::<arrow::Date32Type, i32>(rows, None),
        primitive::<arrow::TimestampSecondType, i64>(rows, None),
        primitive::<arrow::TimestampMicrosecondType, i64>(rows, Some("UTC")),
        vec(weighted(0.8, any::<bool>()), rows)
            .prop_map(|items| Arc::new(arrow_array::BooleanArray::from(items)) as ArrayRef),
        vec(weighted(0.8, "\\PC{0,6}"), rows)
            .prop_map(|items| Arc::new(arrow_array::StringArray::from_iter(items)) as ArrayRef),
        vec(weighted(0.8, vec(any::<u8>(), 0..4)), rows)
            .prop_map(|items| Arc::new(arrow_array::BinaryArray::from_iter(items)) as ArrayRef),
    ]
    .boxed()
}

fn primitive<T, N>(rows: usize, zone: Option<&'static str>) -> BoxedStrategy<ArrayRef>
where
    T: ArrowPrimitiveType<Native = N>,
    N: Arbitrary + 'static,
{
    let array = move |items: Vec<Option<N>>| {
        let array = PrimitiveArray::<T>::from_iter(items);
        let kind = match (T::DATA_TYPE, zone) {
            (DataType::Timestamp(unit, _), Some(zone)) => {
                DataType::Timestamp(unit, Some(zone.into()))
            }
            (kind, _) => kind,
        };
        Arc::new(array.with_data_type(kind)) as ArrayRef
    };
    vec(weighted(0.8, any::<N>()), rows).prop_map(array).boxed()
}

fn floats(rows: usize) -> BoxedStrategy<ArrayRef> {
    vec(weighted(0.8, prop::num::f32::ANY), rows)
        .prop_map(|items| Arc::new(arrow_array::Float32Array::from(items)) as ArrayRef)
        .boxed()
}

/// Few distinct values, so that rows repeat.
fn codes(rows: usize) -> BoxedStrategy<ArrayRef> {
    vec(weighted(0.8, 0..3_i64), rows)
        .prop_map(|items| Arc::new(arrow_array::Int64Array::from(items)) as ArrayRef)
        .boxed()
}
