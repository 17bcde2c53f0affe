//! Compositions of compositions, over models on threads of their own, asked by many at once.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use super::{Arm, arms, ask, failing, subject, y};
use crate::doubles::{OffsetSession, offset_inputs};
use mlops_core::{ErrorKind, Predictor, predictor::PredictRequest};
use mlops_serve::{
    LocalConfig, LocalPredictor,
    compose::{
        Branch, BranchRule, Cached, CachedConfig, Chain, Ensemble, EnsembleConfig, Fallback,
        FallbackConfig, Replicas, ReplicasConfig, Split,
    },
};
use std::{sync::Arc, thread};

/// A model that computes on a thread of its own.
fn threaded(by: f32) -> Arc<dyn Predictor> {
    let config = LocalConfig::default().with_warm_up_rows(0).with_threads(1);
    let session = OffsetSession::new(by, |_| Ok(()));
    Arc::new(LocalPredictor::open("offset", "1", session, &config).unwrap())
}

fn replicas() -> Arc<Replicas> {
    let parts = vec![threaded(1.0), threaded(1.0)];
    Arc::new(Replicas::new(parts, ReplicasConfig::default()).unwrap())
}

fn cached(inner: Arc<dyn Predictor>) -> Arc<Cached> {
    Arc::new(Cached::new(inner, CachedConfig::default().with_entries(4)))
}

/// x + 1, by the mean of two ways, one of which goes through everything else.
fn everything(replicas: &Arc<Replicas>, cache: &Arc<Cached>) -> Ensemble {
    let (down, _) = failing(ErrorKind::Unavailable);
    let parts = arms([("down", down), ("up", Arc::clone(replicas) as _)]);
    let fallback = Fallback::new("f", "1", parts, FallbackConfig::default()).unwrap();
    let halves = arms([("a", threaded(0.25)), ("b", threaded(0.25))]);
    let split = Arc::new(Split::new("s", "1", halves).unwrap());
    let branch = arms([("only", threaded(0.5))]);
    let branch = Branch::new("b", "1", BranchRule::key(), branch).unwrap();
    let chain = Chain::builder("c", "1")
        .then(Arc::new(branch.with_default("only").unwrap()))
        .then_mapped(Arc::clone(&split) as _, [("y", "x")])
        .then_mapped(split, [("y", "x")])
        .build()
        .unwrap();
    let ways = vec![
        Arm::new("cache", Arc::clone(cache) as _),
        Arm::new("fallback", Arc::new(fallback)),
        Arm::new("chain", Arc::new(chain)),
    ];
    let config = EnsembleConfig::default().with_outputs(["y"]);
    Ensemble::mean("e", "1", ways, &config).unwrap()
}

mlops_core::predictor_conformance!(
    nested_conforms,
    subject(everything(&replicas(), &cached(threaded(1.0))))
);

#[test]
fn many_threads_get_what_they_asked_for() {
    let (replicas, cache) = (replicas(), cached(threaded(1.0)));
    let ensemble = everything(&replicas, &cache);
    let (threads, each) = (8_u16, 200_u16);
    thread::scope(|scope| {
        for thread in 0..threads {
            let ensemble = &ensemble;
            scope.spawn(move || {
                for number in 0..each {
                    // Few questions, so that many ask the same at once, but more than are kept.
                    let x = f32::from((number * 7 + thread) % 6);
                    let answer = ask(ensemble, PredictRequest::new(offset_inputs(&[x])));
                    assert_eq!(y(&answer.unwrap()), x + 1.0);
                }
            });
        }
    });
    assert_eq!(replicas.outstanding(), [0, 0]);
    let stats = cache.stats();
    assert_eq!(stats.hits + stats.misses + stats.joined, u64::from(threads * each));
    assert!(stats.entries <= 4 && stats.misses < u64::from(threads * each), "{stats:?}");
}
