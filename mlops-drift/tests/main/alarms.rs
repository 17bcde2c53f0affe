//! Alarms: one a window, again if it gets worse, none lost and none twice when the log fails.

use super::random::{Random, batch, floats};
use async_trait::async_trait;
use mlops_core::{
    DriftDetector, Error, ErrorKind, EventLog, Principal, Result,
    drift::{Drift, Effect, Evidence, Verdict},
    event::{BoxStream, Cursor, Event, EventKind},
    testing::{ManualClock, SequentialIds},
};
use mlops_drift::{
    AlarmConfig, Alarms, Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions,
};
use std::{
    pin::pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, Waker},
};

/// Keeps events, each id once; fails as often as it is told to, before or after it has kept them.
#[derive(Debug, Default)]
struct Events {
    kept: Mutex<Vec<Event>>,
    failures: Mutex<Vec<Failure>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Failure {
    Before,
    After,
    /// Never answers.
    Hangs,
}

#[async_trait]
impl EventLog for Events {
    async fn append(&self, events: &[Event]) -> Result<Cursor> {
        let failure = self.failures.lock().unwrap().pop();
        if failure != Some(Failure::Before) {
            let mut kept = self.kept.lock().unwrap();
            for event in events {
                if kept.iter().all(|one| one.id != event.id) {
                    kept.push(event.clone());
                }
            }
        }
        match failure {
            None => Ok(Cursor(0)),
            Some(Failure::Hangs) => std::future::pending().await,
            Some(_) => Err(Error::new(ErrorKind::Unavailable, "the log is away")),
        }
    }

    fn follow(
        &self,
        _: Option<Cursor>,
        _: Vec<EventKind>,
    ) -> BoxStream<'static, Result<(Cursor, Event)>> {
        unreachable!("nobody follows")
    }
}

impl Events {
    fn kept(&self) -> Vec<Event> {
        self.kept.lock().unwrap().clone()
    }

    fn fail(&self, failures: &[Failure]) {
        *self.failures.lock().unwrap() = failures.iter().rev().copied().collect();
    }
}

/// The future's value; `None` if it has none at once.
fn now<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

fn opened(config: impl FnOnce(AlarmConfig) -> AlarmConfig) -> (Arc<Events>, Alarms) {
    let events = Arc::new(Events::default());
    let base = AlarmConfig::new("model/employment")
        .with_actor(Principal::new("monitor"))
        .with_clock(Arc::new(ManualClock::default()))
        .with_ids(Arc::new(SequentialIds::default()));
    (Arc::clone(&events), Alarms::new(events, config(base)))
}

fn found(name: &str, verdict: Verdict) -> Drift {
    let effect = Effect::new("total_variation", 0.2);
    Drift::new(name, 500, 1.0, effect, Evidence::Rule, verdict)
}

#[test]
fn a_detectors_finding_becomes_an_event_that_names_columns() {
    let mut random = Random::new(31);
    let mut rows = |shift: f64| {
        let mut column =
            |shift| floats((0..600).map(|_| Some(random.normal() + shift)).collect::<Vec<_>>());
        batch(vec![("age", column(shift)), ("income", column(0.0)), ("hours", column(shift * 2.0))])
    };
    let reference = Profile::fit(&[rows(0.0)], &ProfileOptions::default()).unwrap();
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
    let (events, mut alarms) = opened(|config| config.with_max_columns(1));
    detector.update(&rows(0.0)).unwrap();
    assert!(!now(alarms.look(&detector.evaluate().unwrap())).unwrap().unwrap());
    detector.reset();
    detector.update(&rows(1.0)).unwrap();
    let drift = detector.evaluate().unwrap();
    assert!(now(alarms.look(&drift)).unwrap().unwrap());
    let kept = events.kept();
    let [event] = kept.as_slice() else { panic!("{kept:?}") };
    assert_eq!(
        (&event.kind, event.subject.as_ref()),
        (&EventKind::DRIFT_ALARM, "model/employment")
    );
    assert_eq!(
        (event.actor.as_ref(), event.time.to_string().as_str()),
        ("monitor", "2018-01-01T00:00:00.000000Z")
    );
    let detail = &event.detail;
    assert_eq!((&detail["verdict"], &detail["rows"]), (&"drifted".into(), &600.into()));
    assert_eq!(
        (&detail["columns"][0]["name"], &detail["columns_left_out"]),
        (&"hours".into(), &1.into())
    );
    assert_eq!(detail["columns"][0]["effect"].as_f64(), Some(drift.parts[2].effect.value));
    let reason = event.reason.as_deref().unwrap();
    assert!(reason.starts_with("all columns: drifted, total_variation 0."), "{reason}");
    assert!(reason.ends_with("in \"hours\"; 2 of 3 columns moved"), "{reason}");
}

#[test]
fn a_window_raises_one_alarm_and_another_if_it_gets_worse() {
    let (events, mut alarms) = opened(|config| config.with_from(Verdict::Warning));
    let look = |alarms: &mut Alarms, name, verdict| {
        now(alarms.look(&found(name, verdict))).unwrap().unwrap()
    };
    let story = [
        Verdict::TooFewRows,
        Verdict::Stable,
        Verdict::Warning,
        Verdict::Warning,
        Verdict::Drifted,
        Verdict::Warning,
        Verdict::Drifted,
    ];
    let raised: Vec<bool> =
        story.into_iter().map(|verdict| look(&mut alarms, "x", verdict)).collect();
    assert_eq!(raised, [false, false, true, false, true, false, false]);
    assert!(look(&mut alarms, "accuracy", Verdict::Warning));
    alarms.reset();
    assert!(look(&mut alarms, "x", Verdict::Warning));
    assert_eq!(events.kept().len(), 4);
}

#[test]
fn no_alarm_is_lost_or_told_twice_when_the_log_fails() {
    let (events, mut alarms) = opened(|config| config.with_max_names(2));
    events.fail(&[Failure::Before, Failure::After, Failure::Hangs]);
    let (first, second) = (found("x", Verdict::Drifted), found("y", Verdict::Drifted));
    let error = now(alarms.look(&first)).unwrap().unwrap_err();
    assert_eq!((error.kind(), events.kept().len()), (ErrorKind::Unavailable, 0));
    // A new window does not forget what the log does not have.
    alarms.reset();
    assert!(now(alarms.look(&second)).unwrap().is_err());
    assert!(now(alarms.look(&second)).is_none(), "the future is dropped");
    assert!(now(alarms.look(&second)).unwrap().unwrap());
    let subjects: Vec<_> = events.kept().iter().map(|event| event.detail["name"].clone()).collect();
    assert_eq!(subjects, ["x", "y"]);
    assert!(now(alarms.look(&first)).unwrap().unwrap());
    let error = now(alarms.look(&found("z", Verdict::Drifted))).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}
