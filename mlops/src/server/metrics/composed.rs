//! What compositions of a configuration have counted.

use super::Page;
use mlops_serve::compose::{CachedStats, LookupStats, ShadowStats, definition::Counting};
use std::sync::Arc;

/// A composition that counts, by the name of its definition.
#[derive(Clone, Debug)]
pub(crate) struct Composed {
    pub(crate) name: Arc<str>,
    pub(crate) counting: Counting,
}

/// A metric's name without its head, its kind, what it is, and where it is read.
type Fact<S> = (&'static str, &'static str, &'static str, fn(&S) -> u64);

const CACHE: [Fact<CachedStats>; 6] = [
    ("hits_total", "counter", "Requests answered from the cache", |s| s.hits),
    ("misses_total", "counter", "Requests that the model was asked for", |s| s.misses),
    ("joined_total", "counter", "Requests that waited for another's answer", |s| s.joined),
    ("evicted_total", "counter", "Answers that gave way to others", |s| s.evicted),
    ("entries", "gauge", "Answers that the cache holds", |s| s.entries as u64),
    ("bytes", "gauge", "Bytes of the answers that the cache holds", |s| s.bytes as u64),
];

const LOOKUP: [Fact<LookupStats>; 4] = [
    ("asked_total", "counter", "Requests for which the store was asked", |s| s.asked),
    ("entities_total", "counter", "Entities that the store was asked about", |s| s.entities),
    ("missing_total", "counter", "Features that were not known, or too old", |s| s.missing),
    ("away_total", "counter", "Requests that the store did not answer in time", |s| s.away),
];

const SHADOW: [Fact<ShadowStats>; 4] = [
    ("copied_total", "counter", "Requests that were copied for the shadow", |s| s.copied),
    ("dropped_total", "counter", "Copies that found no room in its queue", |s| s.dropped),
    ("answered_total", "counter", "Copies that the shadow answered", |s| s.answered),
    ("failed_total", "counter", "Copies that the shadow failed", |s| s.failed),
];

impl Page {
    /// The families of the kinds that there are; a server without them has none of their lines.
    pub(super) fn composed(&mut self, all: &[Composed]) {
        self.kind("cache", &CACHE, all, |counting| match counting {
            Counting::Cache(cache) => Some(cache.stats()),
            _ => None,
        });
        self.kind("lookup", &LOOKUP, all, |counting| match counting {
            Counting::Lookup(lookup) => Some(lookup.stats()),
            _ => None,
        });
        self.kind("shadow", &SHADOW, all, |counting| match counting {
            Counting::Shadow(shadow) => Some(shadow.stats()),
            _ => None,
        });
    }

    fn kind<S>(
        &mut self,
        kind: &str,
        facts: &[Fact<S>],
        all: &[Composed],
        read: impl Fn(&Counting) -> Option<S>,
    ) {
        let stats = all.iter().filter_map(|one| Some((&*one.name, read(&one.counting)?)));
        let stats: Vec<(&str, S)> = stats.collect();
        if stats.is_empty() {
            return;
        }
        for (fact, metric, help, value) in facts {
            let metric_name = format!("mlops_{kind}_{fact}");
            self.family(&metric_name, metric, help);
            for (name, stats) in &stats {
                self.line(&metric_name, &[("composition", name)], value(stats));
            }
        }
    }
}
