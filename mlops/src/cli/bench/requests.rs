//! What callers ask: rows of a file, or rows made up after the model's signature.

use super::super::rows;
use crate::{
    Error, Result, ResultExt,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use std::{num::NonZeroUsize, path::Path, sync::Arc};

/// How many different requests there are at most: callers ask them round and round.
const REQUESTS: usize = 512;
/// The most elements that are made up in one request; an axis may be of any length.
const MOST_ELEMENTS: usize = 1 << 24;

/// The rows of a file, so many each; the last may have fewer.
pub(super) fn read(
    path: &Path,
    signature: &ModelSignature,
    columns: &[String],
    request_rows: NonZeroUsize,
) -> Result<Vec<Tensors>> {
    let specs = rows::specs(signature, columns)?;
    let mut requests = Vec::new();
    for batch in rows::read(path, &specs)? {
        let mut at = 0;
        while at < batch.num_rows() && requests.len() < REQUESTS {
            let rows = request_rows.get().min(batch.num_rows() - at);
            let piece = batch.slice(at, rows);
            requests.push(Tensors::from_batch(&piece, &specs).context(|| format!("row {at}"))?);
            at += rows;
        }
    }
    if requests.is_empty() {
        return Err(Error::invalid(format!("{}: there are no rows", path.display())));
    }
    Ok(requests)
}

/// Rows that look different and are the same each time.
pub(super) fn made_up(
    signature: &ModelSignature,
    request_rows: NonZeroUsize,
) -> Result<Vec<Tensors>> {
    let one = |request: usize| {
        let mut tensors = Tensors::new();
        for (at, spec) in signature.inputs.iter().enumerate() {
            let mut random = Random::new(request * 64 + at);
            let tensor = tensor(spec, request_rows.get(), &mut random);
            let tensor = tensor.context(|| format!("input {:?}; --input gives rows", spec.name))?;
            tensors.push(Arc::clone(&spec.name), tensor)?;
        }
        Ok(tensors)
    };
    (0..64).map(one).collect()
}

fn tensor(spec: &TensorSpec, rows: usize, random: &mut Random) -> Result<Tensor> {
    let inner = |axis: &Option<usize>| axis.unwrap_or(spec.columns.len().max(1));
    let first = spec.shape.first().map(|axis| axis.unwrap_or(rows));
    let shape: Vec<usize> = first.into_iter().chain(spec.shape.iter().skip(1).map(inner)).collect();
    let count = shape.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis));
    let too_large = || Error::too_large("a request of so many elements is not made up");
    let count = count.filter(|count| *count <= MOST_ELEMENTS).ok_or_else(too_large)?;
    let numbers = (0..count).map(|_| random.number());
    macro_rules! whole {
        ($type:ty) => {
            Tensor::from_vec(shape, (0..count).map(|_| <$type>::from(random.small())).collect())
        };
    }
    match spec.dtype {
        DType::F32 => Tensor::from_vec(shape, numbers.collect::<Vec<f32>>()),
        DType::F64 => Tensor::from_vec(shape, numbers.map(f64::from).collect()),
        DType::Bool => {
            Tensor::from_bools(shape, &numbers.map(|number| number > 0.0).collect::<Vec<_>>())
        }
        DType::Utf8 => {
            Tensor::from_strs(shape, &(0..count).map(|_| random.text()).collect::<Vec<_>>())
        }
        DType::Bytes => {
            Tensor::from_byte_strings(shape, &(0..count).map(|_| random.text()).collect::<Vec<_>>())
        }
        DType::I64 => whole!(i64),
        DType::I32 => whole!(i32),
        DType::I16 => whole!(i16),
        DType::U64 => whole!(u64),
        DType::U32 => whole!(u32),
        DType::U16 => whole!(u16),
        DType::U8 => whole!(u8),
        dtype => Err(Error::unsupported(format!("values of type {dtype} are not made up"))),
    }
}

/// A counter whose steps are mixed well: Steele, Lea, Flood: `SplitMix`, 2014.
struct Random(u64);

impl Random {
    fn new(seed: usize) -> Self {
        Self(seed as u64)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// About as standardised features are: mean 0, variance 1, from -1.7 to 1.7.
    fn number(&mut self) -> f32 {
        let sixteen = f32::from(u16::try_from(self.next() >> 48).unwrap_or(0));
        (sixteen / 32_768.0 - 1.0) * 1.732
    }

    /// 0 or 1: a code that most models know.
    fn small(&mut self) -> u8 {
        u8::from(self.next() >> 63 == 1)
    }

    /// From one to thirty short words.
    fn text(&mut self) -> String {
        const WORDS: [&str; 8] = ["the", "price", "of", "a", "house", "rose", "last", "week"];
        let count = 1 + self.next() % 30;
        let words = (0..count).map(|_| WORDS[usize::try_from(self.next() >> 61).unwrap_or(0)]);
        words.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_rows_are_what_the_signature_asks_for() {
        let inputs = vec![
            TensorSpec::new("x", DType::F32, [None, Some(3)]),
            TensorSpec::column("text", DType::Utf8),
            TensorSpec::column("code", DType::I64),
            TensorSpec::column("flag", DType::Bool),
        ];
        let signature = ModelSignature::new(inputs, Vec::new()).unwrap();
        let rows = NonZeroUsize::new(2).unwrap();
        let requests = made_up(&signature, rows).unwrap();
        for request in &requests {
            signature.check_inputs(request).unwrap();
            assert_eq!(request.rows().unwrap(), 2);
        }
        let first = |at: usize| requests[at].require("x").unwrap().as_slice::<f32>().unwrap();
        assert_ne!(first(0), first(1));
        let huge = TensorSpec::new("x", DType::F32, [None, Some(1 << 40)]);
        let signature = ModelSignature::new(vec![huge], Vec::new()).unwrap();
        let error = made_up(&signature, rows).unwrap_err();
        assert!(error.to_string().contains("--input"), "{error}");
    }
}
