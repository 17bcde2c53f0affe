//! Features from a file, held in memory: `[stores.NAME]`.

use crate::{
    Clock, Error, OnlineStore, Result, ResultExt, SystemClock,
    data::{CsvOptions, CsvType, Dataset},
    features::{FeatureView, MemoryOnlineConfig, MemoryOnlineStore, OnlineWrite},
    signature::TensorSpec,
    tensor::{DType, Tensors},
};
use mlops_serve::compose::definition::StoreDefinition;
use std::{path::Path, sync::Arc};

/// Every row of the file is an entity, as of now; what is no key is a feature. The view has the store's
/// name.
pub(super) async fn load(name: &str, definition: &StoreDefinition) -> Result<Arc<dyn OnlineStore>> {
    if definition.keys.is_empty() {
        return Err(Error::invalid("`keys` is missing: the columns that together name an entity"));
    }
    let path = Path::new(&definition.source);
    let rows = tokio::task::block_in_place(|| read(path, definition))
        .context(|| path.display().to_string())?;
    let columns = rows.signature()?.inputs;
    let is_key = |spec: &TensorSpec| definition.keys.contains(&spec.name);
    let key = |name: &Arc<str>| {
        let missing = || Error::invalid(format!("there is no column {name:?}"));
        let spec = columns.iter().find(|spec| spec.name == *name).ok_or_else(missing)?;
        Ok(spec.clone().with_nullable(false))
    };
    let keys = definition.keys.iter().map(key).collect::<Result<Vec<_>>>()?;
    let nullable = |spec: &TensorSpec| spec.clone().with_nullable(true);
    let features: Vec<TensorSpec> =
        columns.iter().filter(|spec| !is_key(spec)).map(nullable).collect();
    let view = FeatureView::new(name, keys.clone(), features.clone())?;
    let config = MemoryOnlineConfig::default();
    let (store, now) = (MemoryOnlineStore::new([view], config)?, SystemClock.now());
    for batch in rows.batches() {
        let entities = Tensors::from_batch(batch, &keys)?;
        let mut known = Tensors::new();
        for (name, tensor) in Tensors::from_batch(batch, &features)? {
            // A number that is not there is NaN by now, and is not known all the same.
            let nulls = batch.column_by_name(&name).and_then(|column| column.logical_nulls());
            known.push(name, tensor.with_nulls(nulls)?)?;
        }
        let times = vec![now; batch.num_rows()];
        store.write(OnlineWrite::new(name, entities, known, times)).await?;
    }
    Ok(Arc::new(store))
}

fn read(path: &Path, definition: &StoreDefinition) -> Result<Dataset> {
    if !path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("csv")) {
        if !definition.types.is_empty() {
            return Err(Error::invalid("`types` are for CSV; Parquet says its own"));
        }
        return Dataset::open(path);
    }
    let mut options = CsvOptions::new();
    for (name, dtype) in &definition.types {
        let kind = match dtype {
            DType::Bool => CsvType::Bool,
            DType::I64 => CsvType::Int64,
            DType::F32 => CsvType::Float32,
            DType::F64 => CsvType::Float64,
            DType::Utf8 => CsvType::Utf8,
            other => return Err(Error::unsupported(format!("column {name:?} of type {other}"))),
        };
        options = options.with_type(name.as_ref(), kind);
    }
    Dataset::read_csv(path, &options)
}
