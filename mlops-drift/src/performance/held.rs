//! A map that knows which of its values are the oldest.

use mlops_core::{Timestamp, inference_log::OutcomeValue};
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

/// Values by key, each of a time.
#[derive(Clone, Debug)]
pub(super) struct Held<K, V> {
    values: BTreeMap<K, (Timestamp, V)>,
    by_time: BTreeSet<(Timestamp, K)>,
}

impl<K, V> Default for Held<K, V> {
    fn default() -> Self {
        Self { values: BTreeMap::new(), by_time: BTreeSet::new() }
    }
}

impl<K: Clone + Ord, V> Held<K, V> {
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    pub(super) fn get(&self, key: &K) -> Option<&(Timestamp, V)> {
        self.values.get(key)
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.values.keys()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.values.iter().map(|(key, (_, value))| (key, value))
    }

    pub(super) fn insert(&mut self, key: K, time: Timestamp, value: V) {
        self.remove(&key);
        self.by_time.insert((time, key.clone()));
        self.values.insert(key, (time, value));
    }

    pub(super) fn remove(&mut self, key: &K) {
        if let Some((time, _)) = self.values.remove(key) {
            self.by_time.remove(&(time, key.clone()));
        }
    }

    /// The keys of so many of the oldest values, in the order of keys.
    pub(super) fn oldest(&self, count: usize) -> Vec<K> {
        let mut keys: Vec<K> =
            self.by_time.iter().take(count).map(|(_, key)| key.clone()).collect();
        keys.sort_unstable();
        keys
    }
}

/// Keeps the later of two values, the greater of two of one time; whether it is the first.
pub(super) fn latest<K: Clone + Ord>(
    held: &mut Held<K, OutcomeValue>,
    key: K,
    time: Timestamp,
    value: OutcomeValue,
) -> bool {
    let (first, wins) = match held.get(&key) {
        None => (true, true),
        Some((before, other)) => {
            (false, time.cmp(before).then_with(|| order(&value, other)) == Ordering::Greater)
        }
    };
    if wins {
        held.insert(key, time, value);
    }
    first
}

/// An order of all values, so that which one wins never depends on which one came first.
fn order(a: &OutcomeValue, b: &OutcomeValue) -> Ordering {
    let parts = |value| match value {
        &OutcomeValue::Number(number) => (0, number, ""),
        OutcomeValue::Label(label) => (1, 0.0, label.as_ref()),
        // A kind that this build does not know is never held against an answer.
        _ => (2, 0.0, ""),
    };
    let ((kind, number, label), (other_kind, other_number, other_label)) = (parts(a), parts(b));
    let by_number = || number.total_cmp(&other_number);
    kind.cmp(&other_kind).then_with(by_number).then_with(|| label.cmp(other_label))
}
