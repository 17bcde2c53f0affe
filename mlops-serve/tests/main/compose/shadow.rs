//! Nobody waits for a shadow.

#![expect(clippy::float_cmp, reason = "sums of the double are exact")]

use super::{Gated, ask, failing, kind, offset, other_shape, panicking, poll, request, subject, y};
use mlops_core::{ErrorKind, Predictor};
use mlops_serve::compose::{Shadow, ShadowConfig, ShadowObserver, ShadowPair, ShadowWork};
use std::{
    sync::{Arc, Mutex, mpsc},
    time::Duration,
};

/// Passes on what it sees: what the champion said, and the shadow.
#[derive(Debug)]
struct Seen(Mutex<mpsc::Sender<(f32, Result<f32, ErrorKind>)>>);

impl ShadowObserver for Seen {
    fn observe(&self, pair: ShadowPair<'_>) {
        assert!(pair.request.deadline.is_none());
        let shadow = pair.shadow.map(y).map_err(mlops_core::Error::kind);
        self.0.lock().unwrap().send((y(pair.champion), shadow)).unwrap();
    }
}

type Pairs = mpsc::Receiver<(f32, Result<f32, ErrorKind>)>;

fn seen() -> (Arc<Seen>, Pairs) {
    let (sender, pairs) = mpsc::channel();
    (Arc::new(Seen(Mutex::new(sender))), pairs)
}

fn beside(shadow: Arc<dyn Predictor>, config: ShadowConfig) -> (Shadow, ShadowWork, Pairs) {
    let (observer, pairs) = seen();
    let (shadow, work) = Shadow::new(offset(1.0), shadow, observer, config).unwrap();
    (shadow, work, pairs)
}

mlops_core::predictor_conformance!(shadow_conforms, {
    let (observer, _) = seen();
    let config = ShadowConfig::default().with_queue(4);
    subject(Shadow::open(offset(1.0), panicking(), observer, config).unwrap())
});

#[test]
fn an_observer_sees_both_answers_where_the_shadow_works() {
    let (observer, pairs) = seen();
    let shadow = Shadow::open(offset(1.0), offset(5.0), observer, ShadowConfig::default()).unwrap();
    let answer = ask(&shadow, request()).unwrap();
    assert_eq!((y(&answer), answer.model.as_ref()), (2.0, "offset"));
    let pair = pairs.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!(pair, (2.0, Ok(6.0)));
    while shadow.stats().answered == 0 {
        std::thread::yield_now();
    }
    assert_eq!((shadow.stats().copied, shadow.stats().answered), (1, 1));
    drop(shadow);
    // The thread ends, and with it the observer.
    assert!(pairs.recv_timeout(Duration::from_secs(20)).is_err());
}

#[test]
fn a_full_queue_is_counted_and_delays_nobody() {
    let stuck = Gated::new(offset(5.0));
    let config = ShadowConfig::default().with_queue(2).with_at_once(3);
    let (shadow, mut work, _pairs) = beside(stuck.clone(), config);
    let ask_ten = || (0..10).for_each(|_| drop(ask(&shadow, request()).unwrap()));
    ask_ten();
    assert_eq!((shadow.stats().copied, shadow.stats().dropped), (10, 8));
    assert!(poll(&mut work).is_pending());
    assert_eq!(stuck.begun(), 2);
    ask_ten();
    assert!(poll(&mut work).is_pending());
    assert_eq!((stuck.begun(), shadow.stats().dropped), (3, 16), "three at once");
    drop(shadow);
    assert!(poll(&mut work).is_ready(), "it ends, stuck as it is");
}

#[test]
fn what_waits_is_bounded_in_memory_too() {
    let config = ShadowConfig::default().with_queue_bytes(100);
    let (shadow, mut work, _pairs) = beside(offset(5.0), config);
    let large =
        || mlops_core::predictor::PredictRequest::new(crate::doubles::offset_inputs(&[1.0; 100]));
    ask(&shadow, large()).unwrap();
    assert_eq!(shadow.stats().dropped, 0, "one may always wait");
    ask(&shadow, large()).unwrap();
    assert_eq!(shadow.stats().dropped, 1);
    while shadow.stats().answered < 1 {
        assert!(poll(&mut work).is_pending());
    }
    ask(&shadow, large()).unwrap();
    assert_eq!((shadow.stats().copied, shadow.stats().dropped), (3, 1));
}

#[test]
fn a_shadow_or_an_observer_that_fails_harms_nothing() {
    let (down, _) = failing(ErrorKind::Unavailable);
    for (bad, error) in [(down, ErrorKind::Unavailable), (panicking(), ErrorKind::Internal)] {
        let (shadow, mut work, pairs) = beside(bad, ShadowConfig::default());
        for _ in 0..3 {
            assert_eq!(y(&ask(&shadow, request()).unwrap()), 2.0);
        }
        while shadow.stats().failed < 3 {
            assert!(poll(&mut work).is_pending());
        }
        assert_eq!(pairs.try_iter().collect::<Vec<_>>(), [(2.0, Err(error)); 3]);
        // From now on its observer panics: nobody listens to it.
        drop(pairs);
        for _ in 0..3 {
            ask(&shadow, request()).unwrap();
        }
        while shadow.stats().failed < 6 {
            assert!(poll(&mut work).is_pending());
        }
    }
}

#[test]
fn what_the_champion_fails_is_the_callers_and_not_the_shadows() {
    let (down, _) = failing(ErrorKind::Overloaded);
    let (observer, _pairs) = seen();
    let (shadow, _work) =
        Shadow::new(down, offset(1.0), observer, ShadowConfig::default()).unwrap();
    assert_eq!(kind(ask(&shadow, request())), ErrorKind::Overloaded);
    assert_eq!(shadow.stats().copied, 0);
}

#[test]
fn a_share_of_the_requests_is_copied_whatever_their_pattern() {
    for fraction in [0.0, 0.25, 1.0] {
        let config = ShadowConfig::default().with_fraction(fraction);
        let (shadow, _work, _pairs) = beside(offset(1.0), config);
        let copied = (0..4000).filter(|number| {
            let before = shadow.stats().copied;
            ask(&shadow, request()).unwrap();
            // Every second request: as good a sample as any.
            number % 2 == 0 && shadow.stats().copied > before
        });
        #[expect(clippy::cast_precision_loss, reason = "small numbers")]
        let share = copied.count() as f64 / 2000.0;
        // Six standard deviations of a quarter of 2,000 are 0.058.
        assert!((share - fraction).abs() < 0.058, "{share} of {fraction}");
    }
}

#[test]
fn mistakes_are_named_when_it_is_built() {
    let new = |shadow, fraction| {
        let config = ShadowConfig::default().with_fraction(fraction);
        Shadow::new(offset(1.0), shadow, seen().0, config).unwrap_err().to_string()
    };
    assert_eq!(new(offset(1.0), 1.5), "a shadow of 1.5 of the requests");
    assert_eq!(new(offset(1.0), f64::NAN), "a shadow of NaN of the requests");
    assert!(new(other_shape(), 1.0).starts_with("the shadow cannot stand in for its champion"));
}
