//! Rows become tensors and rows again.

use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, PrimitiveArray, RecordBatch,
    StringArray, cast::AsArray, types as arrow,
};
use mlops_core::{
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use proptest::{collection::vec, option::weighted, prelude::*};
use std::sync::Arc;

/// A column with its tensor type.
type Typed = (DType, ArrayRef);

fn columns() -> impl Strategy<Value = Vec<Typed>> {
    (0..20_usize).prop_flat_map(|rows| vec(column(rows), 1..6))
}

fn column(rows: usize) -> BoxedStrategy<Typed> {
    let bools = vec(weighted(0.8, any::<bool>()), rows);
    let texts = vec(weighted(0.8, "\\PC{0,6}"), rows);
    let bytes = vec(weighted(0.8, vec(any::<u8>(), 0..5)), rows);
    let halves = vec(weighted(0.8, any::<u16>().prop_map(half::f16::from_bits)), rows);
    prop_oneof![
        numbers::<arrow::Int8Type, i8>(DType::I8, rows),
        numbers::<arrow::Int16Type, i16>(DType::I16, rows),
        numbers::<arrow::Int32Type, i32>(DType::I32, rows),
        numbers::<arrow::Int64Type, i64>(DType::I64, rows),
        numbers::<arrow::UInt8Type, u8>(DType::U8, rows),
        numbers::<arrow::UInt16Type, u16>(DType::U16, rows),
        numbers::<arrow::UInt32Type, u32>(DType::U32, rows),
        numbers::<arrow::UInt64Type, u64>(DType::U64, rows),
        numbers::<arrow::Float32Type, f32>(DType::F32, rows),
        numbers::<arrow::Float64Type, f64>(DType::F64, rows),
        halves.prop_map(|v| {
            (DType::F16, Arc::new(PrimitiveArray::<arrow::Float16Type>::from_iter(v)) as ArrayRef)
        }),
        bools.prop_map(|v| (DType::Bool, Arc::new(BooleanArray::from(v)) as ArrayRef)),
        texts.prop_map(|v| (DType::Utf8, Arc::new(StringArray::from_iter(v)) as ArrayRef)),
        bytes.prop_map(|v| (DType::Bytes, Arc::new(BinaryArray::from_iter(v)) as ArrayRef)),
    ]
    .boxed()
}

fn numbers<T, N>(dtype: DType, rows: usize) -> BoxedStrategy<Typed>
where
    T: ArrowPrimitiveType<Native = N>,
    N: Arbitrary + 'static,
{
    vec(weighted(0.8, any::<N>()), rows)
        .prop_map(move |v| (dtype, Arc::new(PrimitiveArray::<T>::from_iter(v)) as ArrayRef))
        .boxed()
}

fn batch<N: Into<String>>(columns: impl IntoIterator<Item = (N, ArrayRef)>) -> RecordBatch {
    let columns = columns.into_iter().map(|(name, array)| (name.into(), array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn f32s(values: &[Option<f32>]) -> ArrayRef {
    Arc::new(PrimitiveArray::<arrow::Float32Type>::from(values.to_vec()))
}

fn i64s(values: &[Option<i64>]) -> ArrayRef {
    Arc::new(PrimitiveArray::<arrow::Int64Type>::from(values.to_vec()))
}

fn why<T: std::fmt::Debug>(result: mlops_core::Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// Nulls of floats come back as NaN; everything else comes back as it was, to the bit.
fn same(name: &str, before: &ArrayRef, after: &ArrayRef) -> Result<(), TestCaseError> {
    prop_assert_eq!(before.data_type(), after.data_type());
    macro_rules! floats {
        ($arrow:ty) => {
            for (before, after) in
                before.as_primitive::<$arrow>().iter().zip(after.as_primitive::<$arrow>().iter())
            {
                let after = after.expect("a float tensor has no nulls");
                match before {
                    Some(value) if !value.is_nan() => {
                        prop_assert_eq!(value.to_bits(), after.to_bits(), "{}", name)
                    }
                    _ => prop_assert!(after.is_nan(), "{}", name),
                }
            }
        };
    }
    match before.data_type() {
        arrow_schema::DataType::Float16 => floats!(arrow::Float16Type),
        arrow_schema::DataType::Float32 => floats!(arrow::Float32Type),
        arrow_schema::DataType::Float64 => floats!(arrow::Float64Type),
        _ => prop_assert_eq!(before, after, "{}", name),
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn columns_survive_the_way_through_tensors(columns in columns()) {
        let named = || (0..).map(|at| format!("c{at}")).zip(&columns);
        let rows = batch(named().map(|(name, (_, array))| (name, Arc::clone(array))));
        let specs: Vec<TensorSpec> =
            named().map(|(name, (dtype, _))| TensorSpec::column(name, *dtype).with_nullable(true)).collect();
        let tensors = Tensors::from_batch(&rows, &specs).unwrap();
        for spec in &specs {
            spec.check(tensors.require(&spec.name).unwrap()).unwrap();
        }
        let again = tensors.to_batch(&specs).unwrap();
        for (name, (_, array)) in named() {
            same(&name, array, again.column_by_name(&name).unwrap())?;
        }
    }

    #[test]
    fn packed_columns_come_out_under_their_names(
        rows in vec((weighted(0.8, any::<i64>()), weighted(0.8, any::<i64>())), 0..20)
    ) {
        let (a, b): (Vec<_>, Vec<_>) = rows.iter().copied().unzip();
        let given = batch([("a", i64s(&a)), ("b", i64s(&b)), ("unused", i64s(&a))]);
        let spec = TensorSpec::new("x", DType::I64, [None, Some(2)]).with_columns(["b", "a"]).with_nullable(true);
        let tensors = Tensors::from_batch(&given, std::slice::from_ref(&spec)).unwrap();
        prop_assert_eq!(tensors.require("x").unwrap().shape(), [rows.len(), 2]);
        let again = tensors.to_batch(&[spec]).unwrap();
        prop_assert_eq!(again, batch([("b", i64s(&b)), ("a", i64s(&a))]));
    }

    #[test]
    fn a_number_goes_where_its_value_survives(value: i64) {
        let rows = batch([("n", i64s(&[Some(value)]))]);
        let to = |dtype| Tensors::from_batch(&rows, &[TensorSpec::column("n", dtype)]);
        prop_assert_eq!(to(DType::I8).is_ok(), i8::try_from(value).is_ok());
        prop_assert_eq!(to(DType::U16).is_ok(), u16::try_from(value).is_ok());
        prop_assert_eq!(to(DType::U64).is_ok(), u64::try_from(value).is_ok());
        prop_assert!(to(DType::F32).is_ok(), "an integer may round into a float");
    }
}

#[test]
fn nulls_are_nan_in_floats_and_flags_elsewhere() {
    let rows = batch([("a", f32s(&[Some(1.5), None])), ("n", i64s(&[Some(7), None]))]);
    let packed = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["a", "n"]);
    let tensors =
        Tensors::from_batch(&rows, &[packed, TensorSpec::column("n", DType::I64)]).unwrap();
    let x = tensors.require("x").unwrap();
    assert!(x.nulls().is_none());
    let values = x.as_slice::<f32>().unwrap();
    assert_eq!(values[..2], [1.5, 7.0]);
    assert!(values[2].is_nan() && values[3].is_nan());
    assert_eq!(tensors.require("n").unwrap().nulls().unwrap().null_count(), 1);
}

#[test]
fn what_does_not_fit_is_named() {
    let strs: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
    let rows = batch([("n", i64s(&[Some(300)])), ("f", f32s(&[Some(0.5)])), ("s", strs)]);
    let error = |spec: TensorSpec| why(Tensors::from_batch(&rows, &[spec]));
    let column = TensorSpec::column;
    assert_eq!(error(column("m", DType::F32)), "column \"m\" is missing");
    let fits = |name, kind| format!("column {name:?}, row 0: the value does not fit type {kind}");
    assert_eq!(error(column("n", DType::U8)), fits("n", "uint8"));
    assert_eq!(error(column("f", DType::I32)), fits("f", "int32"));
    let becomes =
        |name, from, to| format!("column {name:?} has type {from}, which cannot become {to}");
    assert_eq!(error(column("s", DType::F32)), becomes("s", "Utf8", "float32"));
    assert_eq!(error(column("n", DType::Utf8)), becomes("n", "Int64", "str"));
    assert_eq!(error(column("n", DType::Bool)), becomes("n", "Int64", "bool"));
    assert_eq!(error(column("n", DType::BF16)), "columns cannot become type bfloat16");
}

#[test]
fn vectors_become_lists() {
    let vectors = Tensor::from_vec([2, 3], vec![1_i32, 2, 3, 4, 5, 6]).unwrap();
    let rows = Tensors::one("v", vectors).to_batch(&[]).unwrap();
    let lists = rows.column_by_name("v").unwrap().as_fixed_size_list();
    assert_eq!((rows.num_rows(), lists.value_length()), (2, 3));
    assert_eq!(lists.value(1).as_primitive::<arrow::Int32Type>().values(), &[4, 5, 6]);
}

#[test]
fn rows_put_together_come_apart_again() {
    let numbers = |rows: usize| {
        let values: Vec<f64> = (0_u8..).map(f64::from).take(rows * 2).collect();
        Tensor::from_vec([rows, 2], values).unwrap()
    };
    let texts = Tensor::from_strs([3], &["a", "", "ccc"]).unwrap();
    let flags = Tensor::from_bools([2], &[true, false]).unwrap();
    for parts in [
        vec![numbers(3), numbers(0), numbers(1)],
        vec![texts.clone(), texts],
        vec![flags.clone(), flags.with_nulls(Some(vec![false, true].into())).unwrap()],
    ] {
        let whole = Tensor::concat(&parts.iter().collect::<Vec<_>>()).unwrap();
        let mut from = 0;
        for part in &parts {
            let rows = from..from + part.rows();
            from = rows.end;
            assert_eq!(whole.slice_rows(rows).unwrap(), *part);
        }
        assert_eq!(from, whole.rows());
        assert!(whole.slice_rows(from..from + 1).is_err());
        assert!(whole.size_bytes() >= whole.len());
    }
    let scalar = Tensor::from_vec([], vec![1_f64]).unwrap();
    assert!(scalar.slice_rows(0..1).is_err());
    for odd in [
        scalar,
        numbers(2).reshape([4]).unwrap(),
        Tensor::from_vec([1, 2], vec![1_i32, 2]).unwrap(),
    ] {
        let error = Tensors::concat(&[&Tensors::one("x", numbers(1)), &Tensors::one("x", odd)]);
        assert!(why(error).contains("no common rows"));
    }
    assert!(Tensor::concat(&[]).is_err());
}
