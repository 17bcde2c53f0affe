//! What a registry promises about the conditions of a promotion.

use super::{Subject, alias, check, name, refused, to_champion, uri_of};
use crate::{
    ErrorKind, ExperimentId, Registry, Result, Timestamp, VersionId,
    registry::{
        AliasMove, CreateModel, Expected, Gate, ModelVersion, MoveAlias, RegistryExt, Unmet,
    },
    tracker::{Batch, CreateRun, Metric},
};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

/// The longest that the registry may take to answer a gate.
const SOON: Duration = Duration::from_secs(10);

/// Misses in two ways, or not at all, and checks which versions it is asked about.
#[derive(Debug)]
struct Says {
    words: &'static str,
    candidate: u64,
    champion: Option<u64>,
    met: bool,
}

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

impl Gate for Says {
    fn unmet(
        &self,
        candidate: &ModelVersion,
        champion: Option<&ModelVersion>,
    ) -> Result<Vec<Unmet>> {
        let asked = (candidate.id.version, champion.map(|champion| champion.id.version));
        if asked != (self.candidate, self.champion) {
            return Ok(vec![Unmet::new(self.words, format!("asked about {asked:?}"))]);
        }
        let found = ["found this", "found that"].map(|found| Unmet::new(self.words, found));
        Ok(if self.met { Vec::new() } else { found.into() })
    }
}

pub(super) fn gated(to: u64, champion: Option<u64>, met: [bool; 2]) -> MoveAlias {
    let says = |words, met| Says { words, candidate: to, champion, met };
    to_champion(to).with_gate(says("the first", met[0])).with_gate(says("the second", met[1]))
}

check! {
    "unmet gates are `Refused` with every unmet condition, and the alias stays";
    async fn unmet_gates_refuse(subject: Subject) {
        for _ in 0..2 {
            subject.create("risk").await;
        }
        for (champion, place) in [(None, None), (Some(1), Some(1))] {
            if let Some(place) = place {
                subject.move_to(place).await;
            }
            for (met, words) in [
                ([false, true], vec!["the first"]),
                ([true, false], vec!["the second"]),
                ([false, false], vec!["the first", "the second"]),
            ] {
                let answer = subject.registry.move_alias(gated(2, champion, met)).await;
                let answer = answer.expect("being refused is an answer");
                let AliasMove::Refused { unmet } = answer else { panic!("{answer:?}") };
                let both = |words| ["found this", "found that"].map(|found| Unmet::new(words, found));
                let wanted: Vec<_> = words.into_iter().flat_map(both).collect();
                assert_eq!(unmet, wanted);
                assert_eq!(subject.resolve("models:/risk@champion").await.ok(), place);
            }
        }
        let met = subject.registry.move_alias(gated(2, Some(1), [true, true])).await.expect("it is met");
        assert_eq!(met, AliasMove::Moved { from: Some(1), to: Some(2) });
    }
}

check! {
    "the alias moves, or the answer lists every unmet condition of every gate";
    async fn a_promotion_lists_every_unmet_condition(subject: Subject) {
        let (first, second) = (subject.create("risk").await.id, subject.create("risk").await.id);
        let promote = async |id: &VersionId, champion, met| {
            let gates = gated(id.version, champion, met).gates;
            subject.registry.promote(id, &alias("champion"), gates, "to see").await.expect("an answer")
        };
        let moved = |from, to| AliasMove::Moved { from, to: Some(to) };
        assert_eq!(promote(&first, None, [true, true]).await, moved(None, 1));
        let answer = promote(&second, Some(1), [false, false]).await;
        let AliasMove::Refused { unmet } = answer else { panic!("{answer:?}") };
        let words: Vec<_> = unmet.iter().map(|unmet| unmet.gate.as_ref()).collect();
        assert_eq!(words, ["the first", "the first", "the second", "the second"]);
        assert_eq!(promote(&second, Some(1), [true, true]).await, moved(Some(1), 2));
    }
}

/// Calls the registry when it is asked.
struct Calls {
    registry: Arc<dyn Registry>,
    call: fn(&dyn Registry) -> Call<'_>,
    /// The versions that it was asked about: the candidate and the champion.
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// The candidate and the champion that a gate was asked about.
type Asked = (u64, Option<u64>);

type Call<'a> = std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Calls")
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the registry answers")
    }
}

impl Gate for Calls {
    fn unmet(
        &self,
        candidate: &ModelVersion,
        champion: Option<&ModelVersion>,
    ) -> Result<Vec<Unmet>> {
        let versions = (candidate.id.version, champion.map(|champion| champion.id.version));
        let first = {
            let mut asked = self.asked.lock().expect("nobody panics while it is held");
            asked.push(versions);
            asked.len() == 1
        };
        if !first {
            return Ok(Vec::new());
        }
        // On a thread with a runtime of its own, as foreign code that is not async would.
        let (registry, call) = (Arc::clone(&self.registry), self.call);
        let (answer, answered) = mpsc::channel();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime =
                runtime.expect("a current-thread runtime needs nothing that can be missing");
            // Who has stopped waiting is not told.
            let _ = answer.send(runtime.block_on(call(registry.as_ref())));
        });
        let found = match answered.recv_timeout(SOON) {
            Ok(Ok(())) => return Ok(Vec::new()),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".to_owned(),
        };
        Ok(vec![Unmet::new(self.to_string(), found)])
    }
}

check! {
    "a gate may call the registry: nothing waits for it";
    async fn a_gate_may_call_the_registry(subject: Subject) {
        for _ in 0..2 {
            subject.create("risk").await;
        }
        subject.move_to(1).await;
        let (registry, asked) = (Arc::clone(&subject.registry), Arc::default());
        let call: fn(&dyn Registry) -> Call<'_> = |registry| {
            Box::pin(async move {
                registry.resolve(&uri_of("models:/risk@champion")).await?;
                registry.create_model(CreateModel::new(name("made by a gate"))).await.map(drop)
            })
        };
        let gate = Calls { registry, call, asked };
        let answer = subject.registry.move_alias(to_champion(2).with_gate(gate)).await;
        assert_eq!(answer.expect("an answer"), AliasMove::Moved { from: Some(1), to: Some(2) });
    }
}

check! {
    "gates judge what the alias points at when it moves, again if it moved meanwhile";
    async fn gates_judge_what_is_there_at_last(subject: Subject) {
        for _ in 0..3 {
            subject.create("risk").await;
        }
        let call: fn(&dyn Registry) -> Call<'_> =
            |registry| Box::pin(async move { registry.move_alias(to_champion(2)).await.map(drop) });
        for (from, ends) in [(Expected::Any, Some(3)), (Expected::Version(1), None)] {
            subject.move_to(1).await;
            let asked = Arc::<Mutex<Vec<_>>>::default();
            let gate = Calls { registry: Arc::clone(&subject.registry), call, asked: Arc::clone(&asked) };
            let answer = subject.registry.move_alias(to_champion(3).with_from(from).with_gate(gate)).await;
            let asked = asked.lock().expect("nobody panics while it is held").clone();
            if let Some(to) = ends {
                assert_eq!(answer.expect("an answer"), AliasMove::Moved { from: Some(2), to: Some(to) });
                assert_eq!(asked, [(3, Some(1)), (3, Some(2))]);
            } else {
                refused(answer, ErrorKind::Conflict, &["version 2"]);
                assert_eq!(asked, [(3, Some(1))]);
            }
        }
    }
}

check! {
    "beside the metrics given it keeps the latest of its run; what is logged later changes nothing";
    async fn metrics_logged_later_change_no_version(subject: Subject) {
        let tracker = subject.tracker.as_ref().expect("the tracker of the record: `with_tracker`");
        let default = ExperimentId::new("0").expect("the first experiment");
        let run = tracker.create_run(CreateRun::new(default)).await.expect("a run").id;
        let log = async |values: [(&str, f64); 2], step| {
            let points = values.map(|(name, value)| Metric::new(name, value, step, Timestamp::default()));
            let batch = Batch::new().with_metrics(points.into());
            tracker.log_batch(&run, batch).await.expect("points are logged");
        };
        log([("auc", 0.7), ("loss", 0.1)], 1).await;
        log([("auc", 0.9), ("loss", 0.2)], 2).await;
        let given = BTreeMap::from([("loss".to_owned(), 0.3), ("brier".to_owned(), 0.4)]);
        let new = subject.new_version("risk", "weights").with_run(run).with_metrics(given);
        let made = subject.registry.create_version(new).await.expect("a version");
        let kept = [("auc", 0.9), ("brier", 0.4), ("loss", 0.3)];
        let kept: BTreeMap<_, _> = kept.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        assert_eq!(made.metrics, kept);
        log([("auc", 0.1), ("late", 1.0)], 3).await;
        let found = subject.registry.resolve(&uri_of("models:/risk/1")).await.expect("it is there");
        assert_eq!(found.metrics, kept);
        let sees = Sees { kept };
        let answer = subject.registry.move_alias(to_champion(1).with_gate(sees)).await;
        assert_eq!(answer.expect("an answer"), AliasMove::Moved { from: None, to: Some(1) });
    }
}

/// Sees these metrics of the candidate and no others.
#[derive(Debug)]
struct Sees {
    kept: BTreeMap<String, f64>,
}

impl fmt::Display for Sees {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what the run had measured when the version was made")
    }
}

impl Gate for Sees {
    fn unmet(&self, candidate: &ModelVersion, _: Option<&ModelVersion>) -> Result<Vec<Unmet>> {
        let found = format!("{:?}", candidate.metrics);
        let met = candidate.metrics == self.kept;
        Ok(if met { Vec::new() } else { vec![Unmet::new(self.to_string(), found)] })
    }
}
