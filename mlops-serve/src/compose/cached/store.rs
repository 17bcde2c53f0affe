//! Answers within bounds; the least recently used give way.

use super::CachedConfig;
use mlops_core::{
    Result,
    arrow::buffer::{Buffer, NullBuffer},
    digest::Digest,
    predictor::{Parameter, PredictResponse, PredictorInfo},
    tensor::{DType, Tensor, Tensors},
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

/// What an entry needs beside its values, about.
const OVERHEAD: usize = 256;

#[derive(Debug, Default)]
pub(super) struct Store {
    entries: HashMap<Digest, Entry>,
    /// Which was used when.
    order: BTreeMap<u64, Digest>,
    uses: u64,
    /// The model and the version that all are of.
    of: Option<(Arc<str>, Arc<str>)>,
    pub(super) bytes: usize,
    pub(super) evicted: u64,
}

#[derive(Debug)]
pub(super) struct Entry {
    answer: Arc<PredictResponse>,
    bytes: usize,
    until: Option<Instant>,
    used: u64,
}

impl Entry {
    /// With values of its own; `None` if they cannot be copied.
    pub(super) fn new(
        answer: &PredictResponse,
        now: Instant,
        ttl: Option<Duration>,
    ) -> Option<Self> {
        let mut answer = answer.clone();
        answer.outputs = compact(&answer.outputs).ok()?;
        let bytes = size(&answer);
        let until = ttl.and_then(|ttl| now.checked_add(ttl));
        Some(Self { answer: Arc::new(answer), bytes, until, used: 0 })
    }
}

impl Store {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
        self.bytes = 0;
    }

    /// The answer, if it is still good. What was of another version is forgotten.
    pub(super) fn get(
        &mut self,
        key: &Digest,
        info: &PredictorInfo,
        now: Instant,
    ) -> Option<Arc<PredictResponse>> {
        let of = self.of.as_ref().map(|(name, version)| (name, version));
        if of != Some((&info.name, &info.version)) {
            self.clear();
            self.of = Some((Arc::clone(&info.name), Arc::clone(&info.version)));
        }
        let entry = self.entries.get_mut(key)?;
        if entry.until.is_some_and(|until| until <= now) {
            self.remove(key);
            return None;
        }
        self.order.remove(&entry.used);
        self.uses += 1;
        entry.used = self.uses;
        self.order.insert(entry.used, *key);
        Some(Arc::clone(&entry.answer))
    }

    /// Keeps an answer of the version that was last asked for, if it has room.
    pub(super) fn keep(&mut self, key: Digest, mut entry: Entry, config: &CachedConfig) {
        let answer = &entry.answer;
        let is_current = self
            .of
            .as_ref()
            .is_some_and(|(name, version)| (name, version) == (&answer.model, &answer.version));
        if !is_current || config.entries == 0 || entry.bytes > config.bytes {
            return;
        }
        self.remove(&key);
        while self.entries.len() >= config.entries || self.bytes + entry.bytes > config.bytes {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.remove(&oldest);
            self.evicted += 1;
        }
        self.uses += 1;
        entry.used = self.uses;
        self.bytes += entry.bytes;
        self.order.insert(entry.used, key);
        self.entries.insert(key, entry);
    }

    fn remove(&mut self, key: &Digest) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&entry.used);
            self.bytes -= entry.bytes;
        }
    }
}

/// Copies: an answer may be a slice of a batch, and would keep all of that alive.
fn compact(outputs: &Tensors) -> Result<Tensors> {
    let mut own = Tensors::new();
    for (name, tensor) in outputs.iter() {
        let shape = tensor.shape();
        let copy = match tensor.as_bytes() {
            Some(bytes) => Tensor::from_buffer(tensor.dtype(), shape, Buffer::from(bytes))?,
            None if tensor.dtype() == DType::Utf8 => Tensor::from_strs(shape, &tensor.strs()?)?,
            None => {
                let items: Vec<&[u8]> = tensor.byte_strings()?.collect();
                Tensor::from_byte_strings(shape, &items)?
            }
        };
        let nulls = tensor.nulls().map(|nulls| NullBuffer::from(nulls.iter().collect::<Vec<_>>()));
        own.push(Arc::clone(name), copy.with_nulls(nulls)?)?;
    }
    Ok(own)
}

fn size(answer: &PredictResponse) -> usize {
    let tensors = answer.outputs.iter().map(|(name, tensor)| {
        let items = tensor.byte_strings().into_iter().flatten();
        let values = tensor
            .as_bytes()
            .map_or_else(|| items.map(|item| item.len() + 4).sum::<usize>(), <[u8]>::len);
        let flags = tensor.nulls().map_or(0, |nulls| nulls.len().div_ceil(8));
        name.len() + values + flags + size_of_val(tensor.shape())
    });
    let parameters = answer.parameters.iter().flat_map(|all| all.iter());
    let parameters = parameters.map(|(name, value)| {
        let text = if let Parameter::Text(text) = value { text.len() } else { 0 };
        name.len() + text + size_of::<Parameter>()
    });
    OVERHEAD + tensors.sum::<usize>() + parameters.sum::<usize>()
}
