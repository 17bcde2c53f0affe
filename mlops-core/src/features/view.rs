//! Which entities have which features.

use crate::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Features of one kind of entity, under one name.
///
/// ```
/// use mlops_core::{features::FeatureView, signature::TensorSpec, tensor::DType};
///
/// let key = TensorSpec::column("customer", DType::Utf8);
/// let income = TensorSpec::column("income", DType::F64);
/// let history = TensorSpec::new("history", DType::F32, [None, Some(16)]);
/// let view = FeatureView::new("customers", vec![key], vec![income, history])?;
/// assert_eq!(view.feature("income").unwrap().dtype, DType::F64);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FeatureView {
    /// Its name.
    pub name: Arc<str>,
    /// What together names an entity: a value a row each, whole numbers, booleans, text or bytes.
    pub keys: Vec<TensorSpec>,
    /// Its features: a value a row each, or a vector of known length. Each may be null.
    pub features: Vec<TensorSpec>,
}

impl FeatureView {
    /// A view. `InvalidInput` if it has no key or no feature, if two have one name, if a key is a
    /// floating-point number or a vector, or if a feature has an open axis beside the first.
    pub fn new(
        name: impl Into<Arc<str>>,
        keys: Vec<TensorSpec>,
        features: Vec<TensorSpec>,
    ) -> Result<Self> {
        let name = name.into();
        let wrong = |what: String| Err(Error::invalid(format!("view {name:?}: {what}")));
        if keys.is_empty() || features.is_empty() {
            return wrong("it needs a key and a feature".to_owned());
        }
        let all: Vec<&TensorSpec> = keys.iter().chain(&features).collect();
        for (at, spec) in all.iter().enumerate() {
            if all[..at].iter().any(|earlier| earlier.name == spec.name) {
                return wrong(format!("{:?} is declared twice", spec.name));
            }
        }
        if let Some(key) = keys.iter().find(|key| key.dtype.is_float() || key.shape != [None]) {
            return wrong(format!("key {key} is no column of numbers, booleans, text or bytes"));
        }
        let is_row = |spec: &TensorSpec| {
            spec.shape.first() == Some(&None) && spec.shape[1..].iter().all(Option::is_some)
        };
        if let Some(feature) = features.iter().find(|feature| !is_row(feature)) {
            return wrong(format!("feature {feature} is no row of known length"));
        }
        Ok(Self { name, keys, features })
    }

    /// The feature of this name.
    pub fn feature(&self, name: &str) -> Option<&TensorSpec> {
        self.features.iter().find(|spec| spec.name.as_ref() == name)
    }

    /// The feature of this name; `InvalidInput` names one that is not there.
    pub fn require(&self, name: &str) -> Result<&TensorSpec> {
        let unknown = || Error::invalid(format!("view {:?} has no feature {name:?}", self.name));
        self.feature(name).ok_or_else(unknown)
    }

    /// The bytes that stand for the entity of each row, equal where the entities are: the keys in their
    /// order, numbers as they are in memory, text and bytes after their length.
    ///
    /// `InvalidInput` names a key that is missing, unknown, of another type, or null.
    pub fn entities(&self, keys: &Tensors) -> Result<Vec<Vec<u8>>> {
        if let Some((name, _)) = keys.iter().find(|(name, _)| self.key(name).is_none()) {
            return Err(Error::invalid(format!("view {:?} has no key {name:?}", self.name)));
        }
        let mut entities = vec![Vec::new(); keys.rows()?];
        for spec in &self.keys {
            let tensor = keys.require(&spec.name)?;
            spec.check(tensor)?;
            append(&mut entities, tensor)?;
        }
        Ok(entities)
    }

    fn key(&self, name: &str) -> Option<&TensorSpec> {
        self.keys.iter().find(|spec| spec.name.as_ref() == name)
    }

    /// What a feature is of so many entities of which nothing is known: nulls.
    pub fn unknown(spec: &TensorSpec, rows: usize) -> Result<Tensor> {
        let inner = spec.shape.iter().skip(1).map(|axis| axis.unwrap_or(1));
        let shape: Vec<usize> = std::iter::once(rows).chain(inner).collect();
        let count: usize = shape.iter().product();
        let tensor = match (spec.dtype, spec.dtype.size()) {
            (DType::Utf8, _) => Tensor::from_strs(shape, &vec![""; count])?,
            (_, None) => Tensor::from_byte_strings(shape, &vec![""; count])?,
            (dtype, Some(size)) => {
                Tensor::from_buffer(dtype, shape, vec![0_u8; count * size].into())?
            }
        };
        tensor.with_nulls(Some(arrow_buffer::NullBuffer::new_null(count)))
    }
}

/// Adds each row's value to what stands for its entity.
fn append(entities: &mut [Vec<u8>], tensor: &Tensor) -> Result<()> {
    match (tensor.as_bytes(), tensor.dtype().size()) {
        (Some(bytes), Some(size)) => {
            for (entity, value) in entities.iter_mut().zip(bytes.chunks_exact(size)) {
                entity.extend_from_slice(value);
            }
        }
        _ => {
            for (entity, value) in entities.iter_mut().zip(tensor.byte_strings()?) {
                entity.extend_from_slice(&(value.len() as u64).to_le_bytes());
                entity.extend_from_slice(value);
            }
        }
    }
    Ok(())
}
