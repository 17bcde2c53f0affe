//! Categories as numbers: `OneHotEncoder` and `LabelEncoder`.

use super::{Build, Inputs, Kernel, Lowered, Scope};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};
use std::collections::HashMap;

/// A value that can be looked up.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Key {
    Whole(i64),
    /// The bits of an `f64`; all NaN are one, and so are both zeros.
    Real(u64),
    Text(String),
}

impl Key {
    fn real(value: f64) -> Self {
        let one_of_equals = if value.is_nan() {
            f64::NAN
        } else if value == 0.0 {
            0.0
        } else {
            value
        };
        Self::Real(one_of_equals.to_bits())
    }
}

/// Where each key is in the operator's list.
#[derive(Debug, Default)]
pub(super) struct Places {
    wholes: HashMap<i64, usize>,
    reals: HashMap<u64, usize>,
    texts: HashMap<String, usize>,
}

impl Places {
    /// The first of equal keys has the place, or the last.
    pub(super) fn new(keys: Vec<Key>, first: bool) -> Self {
        let mut places = Self::default();
        for (place, key) in keys.into_iter().enumerate() {
            let entry = match key {
                Key::Whole(key) => places.wholes.entry(key).or_insert(place),
                Key::Real(bits) => places.reals.entry(bits).or_insert(place),
                Key::Text(text) => places.texts.entry(text).or_insert(place),
            };
            if !first {
                *entry = place;
            }
        }
        places
    }

    /// The place of each element of a tensor; `as_whole` looks real numbers up without their
    /// fraction.
    fn find(&self, tensor: &Tensor, as_whole: bool) -> Result<Vec<Option<usize>>> {
        let real = |value: f64| match Key::real(value) {
            _ if as_whole => self.wholes.get(&whole(value)).copied(),
            Key::Real(bits) => self.reals.get(&bits).copied(),
            _ => None,
        };
        Ok(match tensor.dtype() {
            DType::Utf8 => {
                let texts = tensor.strs()?;
                texts.into_iter().map(|text| self.texts.get(text).copied()).collect()
            }
            DType::I64 => {
                tensor.as_slice::<i64>()?.iter().map(|key| self.wholes.get(key).copied()).collect()
            }
            DType::I32 => {
                let wholes = tensor.as_slice::<i32>()?.iter();
                wholes.map(|&key| self.wholes.get(&key.into()).copied()).collect()
            }
            DType::F32 => tensor.as_slice::<f32>()?.iter().map(|&key| real(key.into())).collect(),
            _ => tensor.as_slice::<f64>()?.iter().map(|&key| real(key)).collect(),
        })
    }

    fn bytes(&self) -> usize {
        let texts: usize = self.texts.keys().map(|text| text.len() + size_of::<String>()).sum();
        texts + (self.wholes.len() + self.reals.len()) * size_of::<(i64, usize)>()
    }
}

/// Without its fraction; what has no whole number is the least of them, as on x86.
#[expect(clippy::cast_possible_truncation, reason = "the fraction is cut off by definition")]
fn whole(value: f64) -> i64 {
    if value.abs() < 2_f64.powi(63) { value as i64 } else { i64::MIN }
}

/// A new last axis of zeros, with 1 at the place of the category.
#[derive(Debug)]
struct OneHotEncoder {
    places: Places,
    categories: usize,
    /// An unknown category is all zeros; else it is an error.
    zeros: bool,
}

pub(super) fn one_hot_encoder(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let types = [DType::Utf8, DType::I64, DType::I32, DType::F32, DType::F64];
    let dtype = build.dtype_among(0, &types)?;
    let (wholes, texts) = (build.ints("cats_int64s")?, build.texts("cats_strings")?);
    let zeros = build.int("zeros")?.is_none_or(|zeros| zeros != 0);
    let keys: Vec<Key> = if dtype == DType::Utf8 {
        texts.into_iter().map(Key::Text).collect()
    } else {
        wholes.into_iter().map(Key::Whole).collect()
    };
    if keys.is_empty() {
        return Err(build.invalid(format!("no categories for an input of type {dtype}")));
    }
    let categories = keys.len();
    let kernel = OneHotEncoder { places: Places::new(keys, false), categories, zeros };
    Ok(Lowered::new(kernel, [DType::F32]))
}

impl Kernel for OneHotEncoder {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let mut shape = tensor.shape().to_vec();
        shape.push(self.categories);
        let mut encoded = vec![0_f32; scope.count(&shape, DType::F32)?];
        let places = self.places.find(tensor, true)?;
        let blocks = encoded.chunks_exact_mut(self.categories);
        for (at, (place, block)) in places.into_iter().zip(blocks).enumerate() {
            scope.at_row(at)?;
            match place {
                Some(place) => block[place] = 1.0,
                None if self.zeros => {}
                None => return Err(scope.invalid(format!("element {at} is no known category"))),
            }
        }
        Ok(vec![Tensor::from_vec(shape, encoded)?])
    }

    fn weights_bytes(&self) -> usize {
        self.places.bytes()
    }
}

/// Puts the value in place of its key.
#[derive(Debug)]
pub(super) struct LabelEncoder {
    pub(super) places: Places,
    pub(super) values: Values,
    /// NaN is looked up like any other number; else it is never found.
    pub(super) finds_nan: bool,
}

/// What keys become; the last entry is for what is not found.
#[derive(Debug)]
pub(super) enum Values {
    Wholes(Vec<i64>),
    Floats(Vec<f32>),
    Doubles(Vec<f64>),
    Texts(Vec<String>),
}

pub(super) fn label_encoder(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, &[DType::Utf8, DType::I64, DType::F32, DType::F64])?;
    let (keys, values) = if build.version < 2 {
        first_version(build, dtype)?
    } else {
        keys_and_values(build, dtype)?
    };
    let (given, wanted) = (keys.len(), values.len() - 1);
    if given != wanted {
        return Err(build.invalid(format!("{given} keys, {wanted} values")));
    }
    let output = values.dtype();
    let finds_nan = build.version >= 4;
    let kernel = LabelEncoder { places: Places::new(keys, true), values, finds_nan };
    Ok(Lowered::new(kernel, [output]))
}

/// One list of texts, read in either direction.
fn first_version(build: &mut Build<'_>, dtype: DType) -> Result<(Vec<Key>, Values)> {
    let mut texts = build.texts("classes_strings")?;
    let default_text = build.text("default_string")?.unwrap_or_else(|| "_Unused".to_owned());
    let default_whole = build.int("default_int64")?.unwrap_or(-1);
    let wholes = (0_i64..).zip(&texts).map(|(whole, _)| whole);
    match dtype {
        DType::Utf8 => {
            let wholes = wholes.chain([default_whole]).collect();
            Ok((texts.into_iter().map(Key::Text).collect(), Values::Wholes(wholes)))
        }
        DType::I64 => {
            let keys = wholes.map(Key::Whole).collect();
            texts.push(default_text);
            Ok((keys, Values::Texts(texts)))
        }
        other => Err(build.unsupported(format!("an input of type {other}"))),
    }
}

fn keys_and_values(build: &mut Build<'_>, dtype: DType) -> Result<(Vec<Key>, Values)> {
    let key_lists = [
        list(build, "keys_strings", DType::Utf8)?,
        list(build, "keys_int64s", DType::I64)?,
        list(build, "keys_floats", DType::F32)?,
        build.tensor("keys_tensor")?,
    ];
    let keys = key_lists.into_iter().flatten().next();
    let keys = keys
        .filter(|keys| keys.dtype() == dtype)
        .ok_or_else(|| build.invalid(format!("no keys for an input of type {dtype}")))?;
    let value_lists = [
        list(build, "values_strings", DType::Utf8)?,
        list(build, "values_int64s", DType::I64)?,
        list(build, "values_floats", DType::F32)?,
        build.tensor("values_tensor")?,
    ];
    let values = value_lists.into_iter().flatten().next();
    let values = values.ok_or_else(|| build.invalid("there are no values"))?;
    Ok((key_list(&keys)?, with_default(build, &values)?))
}

/// An attribute that is a list, as a tensor.
fn list(build: &mut Build<'_>, name: &str, dtype: DType) -> Result<Option<Tensor>> {
    if !build.attributes.has(name) {
        return Ok(None);
    }
    let tensor = match dtype {
        DType::Utf8 => {
            let texts = build.texts(name)?;
            Tensor::from_strs([texts.len()], &texts)
        }
        DType::I64 => {
            let wholes = build.ints(name)?;
            Tensor::from_vec([wholes.len()], wholes)
        }
        _ => {
            let floats = build.floats(name)?;
            Tensor::from_vec([floats.len()], floats)
        }
    };
    tensor.map(Some)
}

fn key_list(keys: &Tensor) -> Result<Vec<Key>> {
    Ok(match keys.dtype() {
        DType::Utf8 => keys.strs()?.into_iter().map(|text| Key::Text(text.to_owned())).collect(),
        DType::I64 => keys.as_slice::<i64>()?.iter().map(|&key| Key::Whole(key)).collect(),
        DType::F32 => keys.as_slice::<f32>()?.iter().map(|&key| Key::real(key.into())).collect(),
        _ => keys.as_slice::<f64>()?.iter().map(|&key| Key::real(key)).collect(),
    })
}

fn with_default(build: &mut Build<'_>, values: &Tensor) -> Result<Values> {
    let text = build.text("default_string")?.unwrap_or_else(|| "_Unused".to_owned());
    let whole = build.int("default_int64")?.unwrap_or(-1);
    let float = build.float("default_float")?.unwrap_or(-0.0);
    let tensor = build.tensor("default_tensor")?;
    let dtype = values.dtype();
    if let Some(given) = tensor.as_ref().filter(|given| given.dtype() != dtype || given.len() != 1)
    {
        return Err(build.invalid(format!("default_tensor is {given:?} for values of {dtype}")));
    }
    let tensor = tensor.as_ref();
    Ok(match dtype {
        DType::Utf8 => {
            let given = tensor.map(Tensor::strs).transpose()?;
            let default = given.map_or(text, |given| given.concat());
            let texts = values.strs()?.into_iter().map(str::to_owned);
            Values::Texts(texts.chain([default]).collect())
        }
        DType::I64 => Values::Wholes(followed::<i64>(values, tensor, whole)?),
        DType::F32 => Values::Floats(followed::<f32>(values, tensor, float)?),
        DType::F64 => Values::Doubles(followed::<f64>(values, tensor, -0.0)?),
        other => return Err(build.unsupported(format!("values of type {other}"))),
    })
}

/// The values, then the default.
fn followed<T: mlops_core::tensor::Element>(
    values: &Tensor,
    given: Option<&Tensor>,
    otherwise: T,
) -> Result<Vec<T>> {
    let mut values = values.as_slice::<T>()?.to_vec();
    let given = given.map(|given| given.as_slice::<T>()).transpose()?;
    values.push(given.and_then(<[T]>::first).copied().unwrap_or(otherwise));
    Ok(values)
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Self::Wholes(values) => values.len(),
            Self::Floats(values) => values.len(),
            Self::Doubles(values) => values.len(),
            Self::Texts(values) => values.len(),
        }
    }

    fn dtype(&self) -> DType {
        match self {
            Self::Wholes(_) => DType::I64,
            Self::Floats(_) => DType::F32,
            Self::Doubles(_) => DType::F64,
            Self::Texts(_) => DType::Utf8,
        }
    }
}

impl Kernel for LabelEncoder {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let shape = tensor.shape();
        scope.count(shape, self.values.dtype())?;
        let mut places = self.places.find(tensor, false)?;
        if !self.finds_nan && tensor.dtype().is_float() {
            let numbers = super::cast::as_f32(tensor)?;
            for (place, _) in places.iter_mut().zip(&*numbers).filter(|(_, x)| x.is_nan()) {
                *place = None;
            }
        }
        let default = self.values.len() - 1;
        let places = places.into_iter().map(|place| place.unwrap_or(default));
        let encoded = match &self.values {
            Values::Wholes(values) => {
                Tensor::from_vec(shape, places.map(|at| values[at]).collect::<Vec<_>>())
            }
            Values::Floats(values) => {
                Tensor::from_vec(shape, places.map(|at| values[at]).collect::<Vec<_>>())
            }
            Values::Doubles(values) => {
                Tensor::from_vec(shape, places.map(|at| values[at]).collect::<Vec<_>>())
            }
            Values::Texts(values) => {
                let texts: Vec<&str> = places.map(|at| values[at].as_str()).collect();
                Tensor::from_strs(shape, &texts)
            }
        };
        Ok(vec![encoded?])
    }

    fn weights_bytes(&self) -> usize {
        self.places.bytes()
    }
}
