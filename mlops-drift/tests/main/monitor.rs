//! The monitor: what it finds, what it leaves alone, whom it tells and how often.

#[path = "monitor/days.rs"]
mod days;
#[path = "monitor/requests.rs"]
mod requests;
#[path = "monitor/restart.rs"]
mod restart;
#[path = "monitor/strata.rs"]
mod strata;

use super::random::{Random, batch, floats, texts};
use mlops_core::{
    Clock, ErrorKind, Timestamp,
    arrow::array::{RecordBatch, cast::AsArray, types::Float64Type},
    event::{Event, EventKind},
    testing::{ManualClock, SequentialIds},
};
use mlops_drift::{
    Alarm, Monitor, MonitorConfig, Profile, ProfileOptions, Severity,
    monitor::{AlarmCause, Season, Strata},
};
use std::{sync::Arc, time::Duration};

const HOUR: Duration = Duration::from_hours(1);

/// What rows are made of: an income, of which some are missing, and a purpose.
#[derive(Clone, Copy)]
struct World {
    shift: f64,
    spread: f64,
    missing: f64,
    new: f64,
}

const USUAL: World = World { shift: 0.0, spread: 1.0, missing: 0.01, new: 0.0 };

impl World {
    fn rows(self, random: &mut Random, rows: usize) -> RecordBatch {
        let mut incomes = Vec::with_capacity(rows);
        let mut purposes = Vec::with_capacity(rows);
        for _ in 0..rows {
            let income = random.normal() * self.spread + self.shift;
            incomes.push((random.unit() >= self.missing).then_some(income));
            let purpose = ["car", "house", "other"][random.choice(&[0.5, 0.3, 0.2])];
            let new = random.unit() < self.new;
            purposes.push(Some(if new { "boat" } else { purpose }.to_owned()));
        }
        batch(vec![("income", floats(incomes)), ("purpose", texts(purposes))])
    }
}

/// A monitor beside 10,000 usual rows, and a clock that stands still until it is moved.
struct Bench {
    monitor: Monitor,
    clock: Arc<ManualClock>,
    random: Random,
}

impl Bench {
    fn open(config: impl FnOnce(MonitorConfig) -> MonitorConfig) -> Self {
        let mut random = Random::new(11);
        let reference =
            Profile::fit(&[USUAL.rows(&mut random, 10_000)], &ProfileOptions::default());
        let clock = Arc::new(ManualClock::default());
        let base = MonitorConfig::default()
            .with_clock(clock.clone())
            .with_ids(Arc::new(SequentialIds::default()));
        let monitor = Monitor::new(reference.unwrap(), config(base)).unwrap();
        Self { monitor, clock, random }
    }

    /// So many windows of a thousand rows, a quarter of an hour each.
    fn pass(&mut self, world: World, windows: u32) -> Vec<Alarm> {
        let mut alarms = self.monitor.alarms();
        for _ in 0..windows {
            self.clock.advance(HOUR / 4);
            self.monitor.update(&world.rows(&mut self.random, 1_000)).unwrap();
        }
        std::iter::from_fn(|| alarms.try_next()).collect()
    }
}

#[test]
fn what_is_usual_raises_nothing_and_a_shift_is_found_within_ten_thousand_rows() {
    let mut bench = Bench::open(|config| config);
    assert!(bench.pass(USUAL, 40).is_empty());
    let since = bench.clock.now();
    let alarms = bench.pass(World { shift: 0.2, ..USUAL }, 10);
    let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
    assert_eq!((alarm.column().as_ref(), alarm.severity()), ("income", Severity::Warning));
    let effect = alarm.effect();
    let interval = effect.interval.unwrap();
    assert_eq!(effect.name.as_ref(), "shift_sd");
    assert!(interval.contains(0.2) && interval.low > 0.1 && interval.high < 0.4, "{effect}");
    // A window or two to either side.
    let apart = alarm.since().since(since).max(since.since(alarm.since()));
    assert!(apart <= HOUR / 2, "{alarm} {since}");
    let words = alarm.to_string();
    assert!(words.starts_with("income moved by 0.") && words.contains(" sd [0."), "{words}");
    assert!(words.ends_with(&format!("since {}", &alarm.since().to_string()[11..16])), "{words}");
    assert_eq!(bench.monitor.status().open, [Arc::clone(alarm.column())]);
}

#[test]
fn nulls_new_values_and_a_wider_spread_are_found_and_named() {
    let mut bench = Bench::open(|config| config);
    let said = |bench: &mut Bench, world| {
        let alarms = bench.pass(world, 6);
        let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
        (alarm.to_string(), alarm.effect().clone())
    };
    let (words, effect) = said(&mut bench, World { missing: 0.06, ..USUAL });
    assert!(words.starts_with("income is missing in 6.") || words.contains("in 5."), "{words}");
    assert!(words.contains("1.0% in the reference") || words.contains("0.9%"), "{words}");
    assert_eq!(effect.name.as_ref(), "missing_share");
    let mut bench = Bench::open(|config| config);
    let (words, _) = said(&mut bench, World { new: 0.05, ..USUAL });
    assert!(
        words.starts_with("purpose has a value that the reference does not list in "),
        "{words}"
    );
    let mut bench = Bench::open(|config| config);
    let (words, effect) = said(&mut bench, World { spread: 1.6, ..USUAL });
    assert!(words.starts_with("income changed: ") && words.contains("% of rows"), "{words}");
    assert_eq!(effect.name.as_ref(), "total_variation");
}

#[test]
fn from_never_to_sometimes_is_told_at_a_share_at_which_more_often_is_not() {
    let (new, missing) = (World { new: 0.008, ..USUAL }, World { missing: 0.018, ..USUAL });
    let mut bench = Bench::open(|config| config);
    let alarms = bench.pass(new, 30);
    let [alarm] = alarms.as_slice() else { panic!("{alarms:?}") };
    assert_eq!(alarm.severity(), Severity::Warning, "new is not the worse for it");
    assert_eq!(alarm.effect().name.as_ref(), "other_share");
    assert!(alarm.effect().value < 0.02, "{alarm}");
    assert_eq!(bench.monitor.status().open.len(), 1, "as long as it comes");
    assert!(bench.pass(USUAL, 20).is_empty());
    assert!(bench.monitor.status().open.is_empty());
    assert!(bench.pass(missing, 30).is_empty(), "one in a hundred was missing before");
    let mut bench = Bench::open(|config| config.with_novel_margin(0.02));
    assert!(bench.pass(new, 30).is_empty());
    let wider = MonitorConfig::default().with_novel_margin(1.0);
    let refused = Monitor::new(bench.monitor.reference().clone(), wider).err().unwrap();
    assert!(refused.to_string().contains("novel margin"), "{refused}");
}

#[test]
fn an_alarm_says_where_the_change_comes_from() {
    let mut bench = Bench::open(|config| config.with_segment("purpose"));
    assert!(bench.pass(USUAL, 6).is_empty());
    let mut alarms = bench.monitor.alarms();
    for _ in 0..6 {
        // Houses alone have become dearer.
        let rows = USUAL.rows(&mut bench.random, 1_000);
        let purposes = rows.column(1).as_string::<i32>().iter();
        let dearer =
            purposes.zip(rows.column(0).as_primitive::<Float64Type>()).map(|(to, value)| {
                value.map(|value| if to == Some("house") { value + 1.5 } else { value })
            });
        let rows = batch(vec![("income", floats(dearer)), ("purpose", rows.column(1).clone())]);
        bench.monitor.update(&rows).unwrap();
    }
    let alarm = alarms.try_next().unwrap();
    let [house] = alarm.segments() else { panic!("{:?}", alarm.segments()) };
    assert_eq!(house.name.as_ref(), "purpose=house");
    assert!(house.value > 0.7 && (0.25..0.35).contains(&house.reference), "{house:?}");
    assert!(alarm.to_string().ends_with("% of it from purpose=house"), "{alarm}");
}

#[test]
fn sure_but_negligible_is_no_alarm_and_neither_is_one_outlier() {
    let mut bench = Bench::open(|config| config.with_window_rows(20_000));
    bench.clock.advance(HOUR);
    let mut alarms = bench.monitor.alarms();
    for _ in 0..5 {
        let rows = World { shift: 0.08, ..USUAL }.rows(&mut bench.random, 20_000);
        bench.clock.advance(HOUR);
        bench.monitor.update(&rows).unwrap();
    }
    assert!(alarms.try_next().is_none());
    let drift = bench.monitor.drift().unwrap();
    assert!(drift.parts[0].effect.value > 0.05, "it is seen: {}", drift.parts[0].effect);
    let mut bench = Bench::open(|config| config);
    let outlier =
        batch(vec![("income", floats([Some(1e12)])), ("purpose", texts([Some("car".into())]))]);
    bench.monitor.update(&outlier).unwrap();
    assert!(bench.pass(USUAL, 20).is_empty());
}

#[test]
fn an_episode_is_told_once_again_if_worse_and_anew_when_it_has_ended() {
    let mut bench = Bench::open(|config| config);
    let (small, large) = (World { shift: 0.3, ..USUAL }, World { shift: 2.0, ..USUAL });
    let story = [(small, 12), (large, 8), (small, 8), (USUAL, 20), (small, 12)];
    let told: Vec<Vec<(Severity, bool)>> = story
        .into_iter()
        .map(|(world, windows)| {
            let alarms = bench.pass(world, windows);
            alarms.iter().map(|alarm| (alarm.severity(), alarm.is_worse())).collect()
        })
        .collect();
    let (first, worse) = ((Severity::Warning, false), (Severity::Critical, true));
    assert_eq!(told, [vec![first], vec![worse], vec![], vec![], vec![first]]);
}

#[test]
fn an_episode_that_has_ended_is_not_told_again_at_the_end_of_its_season() {
    let mut bench = Bench::open(|config| config);
    // Three hours of a day, whose rows are an eighth of its season's.
    assert_eq!(bench.pass(World { shift: 1.0, ..USUAL }, 12).len(), 1);
    assert!(bench.pass(USUAL, 24).is_empty());
    assert!(bench.monitor.status().open.is_empty());
    let alarms = bench.pass(USUAL, 80);
    assert!(alarms.is_empty(), "the day is over, and was told of: {alarms:?}");
}

#[test]
fn a_log_may_be_older_than_its_monitor() {
    let mut bench = Bench::open(|config| config);
    let day = Duration::from_hours(24);
    bench.clock.advance(400 * day);
    let (begun, config) = (Timestamp::from_unix_millis(0).plus(30 * day), MonitorConfig::default());
    let monitor =
        Monitor::new(bench.monitor.reference().clone(), config.with_clock(bench.clock.clone()));
    let monitor = monitor.unwrap();
    let mut alarms = monitor.alarms();
    let mut at = begun;
    for hour in 0..12 {
        let world = if hour < 6 { USUAL } else { World { shift: 0.8, ..USUAL } };
        monitor.update_at(&world.rows(&mut bench.random, 300), at).unwrap();
        at = at.plus(HOUR);
    }
    // Windows end by the log's own time: each hour's with the next one's rows.
    assert_eq!(monitor.status().windows, 11);
    let alarm = alarms.try_next().expect("it moved");
    assert!(alarm.since() >= begun.plus(4 * HOUR) && alarm.at() < at, "{alarm}");
    // From then on time does not go back: rows of the day before count as of now.
    monitor.update_at(&USUAL.rows(&mut bench.random, 300), begun).unwrap();
    assert_eq!((monitor.status().windows, monitor.status().rows_in_progress), (11, 600));
}

#[test]
fn with_margins_of_nothing_an_episode_ends_too() {
    let mut bench = Bench::open(|config| config.with_margin(0.0).with_unusual_margin(0.0));
    assert_eq!(bench.pass(World { shift: 0.5, ..USUAL }, 6).len(), 1);
    assert_eq!(bench.monitor.status().open.len(), 1);
    assert!(bench.pass(USUAL, 30).is_empty());
    assert!(bench.monitor.status().open.is_empty());
}

#[test]
fn what_is_silenced_is_told_later_if_it_goes_on() {
    let mut bench = Bench::open(|config| config);
    let moved = World { shift: 0.5, ..USUAL };
    let until = bench.clock.now().plus(2 * HOUR);
    bench.monitor.silence("income", until).unwrap();
    assert!(bench.pass(moved, 7).is_empty());
    assert_eq!(bench.monitor.status().open.len(), 1);
    let alarms = bench.pass(moved, 3);
    assert_eq!(alarms.len(), 1);
    assert!(alarms[0].at() >= until && alarms[0].since() < until);
    assert_eq!(bench.monitor.silence("age", until).unwrap_err().kind(), ErrorKind::NotFound);
    let mut bench = Bench::open(|config| config);
    bench.monitor.silence_all(until);
    assert!(bench.pass(moved, 7).is_empty());
}

#[test]
fn windows_end_by_time_too_and_looking_often_changes_nothing() {
    let mut bench = Bench::open(|config| config);
    let mut alarms = bench.monitor.alarms();
    for _ in 0..4 {
        let rows = World { shift: 0.6, ..USUAL }.rows(&mut bench.random, 200);
        bench.monitor.update(&rows).unwrap();
        for _ in 0..50 {
            assert!(!bench.monitor.look().unwrap());
        }
        bench.clock.advance(HOUR);
        assert!(bench.monitor.look().unwrap());
        assert!(!bench.monitor.look().unwrap());
    }
    assert_eq!(bench.monitor.status().windows, 4);
    assert_eq!(alarms.try_next().unwrap().column().as_ref(), "income");
    // Too few rows wait.
    bench.monitor.update(&USUAL.rows(&mut bench.random, 99)).unwrap();
    bench.clock.advance(HOUR * 9);
    assert!(!bench.monitor.look().unwrap());
}

#[test]
fn replicas_hand_their_rows_over_and_one_judges() {
    let one = Bench::open(|config| config.with_window_rows(u64::MAX));
    let two = Bench::open(|config| config.with_window_rows(u64::MAX));
    let judge = Bench::open(|config| config);
    let mut alone = Bench::open(|config| config);
    let mut alarms = judge.monitor.alarms();
    let mut random = Random::new(5);
    let mut moved = |rows| World { shift: 0.4, ..USUAL }.rows(&mut random, rows);
    for _ in 0..6 {
        let (left, right) = (moved(600), moved(400));
        one.monitor.update(&left).unwrap();
        two.monitor.update(&right).unwrap();
        judge.monitor.merge(&two.monitor.hand_over().unwrap()).unwrap();
        judge.monitor.merge(&one.monitor.hand_over().unwrap()).unwrap();
        alone.monitor.update(&left).unwrap();
        alone.monitor.update(&right).unwrap();
    }
    assert_eq!(one.monitor.status().rows_in_progress, 0);
    assert_eq!(judge.monitor.drift().unwrap(), alone.monitor.drift().unwrap());
    assert_eq!(alarms.try_next().unwrap().column().as_ref(), "income");
    assert!(alone.pass(USUAL, 1).is_empty());
    let other = Profile::fit(&[moved(500)], &ProfileOptions::default()).unwrap();
    assert_eq!(judge.monitor.merge(&other).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_panic_in_a_callback_harms_nothing_and_queues_are_bounded() {
    let mut bench = Bench::open(|config| config.with_max_waiting(1));
    let (count, monitor) =
        (Arc::new(std::sync::atomic::AtomicUsize::new(0)), bench.monitor.clone());
    let counted = Arc::clone(&count);
    bench.monitor.on_alarm(|alarm| panic!("on purpose: {alarm}"));
    bench.monitor.on_alarm(move |alarm| {
        // The monitor may be asked from inside.
        monitor.silence(alarm.column(), alarm.at().plus(HOUR)).unwrap();
        counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    });
    let mut alarms = bench.monitor.alarms();
    let strange = World { shift: 1.5, spread: 1.0, missing: 0.2, new: 0.3 };
    bench.pass(strange, 3);
    assert_eq!(count.load(std::sync::atomic::Ordering::Relaxed), 2);
    assert_eq!(bench.monitor.status().failed_actions, 2);
    assert_eq!(alarms.try_next().unwrap().column().as_ref(), "purpose");
    assert!(alarms.try_next().is_none());
    assert_eq!(alarms.missed(), 1);
}

#[test]
fn an_alarm_is_an_event() {
    let mut bench = Bench::open(|config| config.with_subject("endpoint/loans"));
    let alarm = bench.pass(World { shift: 1.0, ..USUAL }, 1).remove(0);
    let (id, at, words) = (alarm.id(), alarm.at(), alarm.to_string());
    let event = Event::from(alarm);
    assert_eq!((event.id, event.time, &event.kind), (id, at, &EventKind::DRIFT_ALARM));
    assert_eq!(
        (event.subject.as_ref(), event.reason.as_deref()),
        ("endpoint/loans", Some(&*words))
    );
    assert_eq!(event.detail["name"], "income");
    assert_eq!(event.detail["severity"], "critical");
    assert_eq!(event.detail["effect_name"], "shift_sd");
}

#[test]
fn the_stream_ends_with_the_monitor() {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };
    let bench = Bench::open(|config| config);
    let mut alarms = bench.monitor.alarms();
    let mut next = pin!(alarms.next());
    let mut context = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut context).is_pending());
    drop(bench);
    assert!(matches!(next.as_mut().poll(&mut context), Poll::Ready(None)));
}

#[test]
fn what_cannot_be_promised_is_refused() {
    let mut random = Random::new(1);
    let profile = |rows, random: &mut Random| {
        Profile::fit(&[USUAL.rows(random, rows)], &ProfileOptions::default()).unwrap()
    };
    let whole = profile(1_000, &mut random);
    let refused = |reference: &Profile, config| {
        Monitor::new(reference.clone(), config).unwrap_err().to_string()
    };
    let config = MonitorConfig::default;
    let few = profile(99, &mut random);
    assert_eq!(refused(&few, config()), "a reference of 99 rows; 100 at least");
    assert!(refused(&whole, config().with_false_alarms_per_year(0.0)).contains("per year"));
    assert!(refused(&whole, config().with_margin(f64::NAN)).contains("margin"));
    assert!(refused(&whole, config().with_sampling(0.0)).contains("sampling"));
    assert!(refused(&whole, config().with_window_rows(0)).contains("window rows"));
    assert!(refused(&whole, config().with_segment("income")).contains("no column of categories"));
    let strata = Strata::new(&few, Season::Weekday);
    assert!(refused(&whole, config().with_strata(strata)).contains("other cells"));
    let strata = Strata::new(&whole, Season::Weekday);
    assert_eq!(refused(&whole, config().with_strata(strata)), "strata without rows");
    let monitor = Monitor::new(whole, config()).unwrap();
    let wrong = batch(vec![("income", floats([Some(1.0)]))]);
    assert_eq!(monitor.update(&wrong).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(monitor.status().rows_in_progress, 0);
}

/// A value that goes up and down with the hour, beside a reference of four weeks.
fn day(hour: Timestamp) -> f64 {
    let hours = f64::from(Season::HourOfDay.stratum(hour));
    1.5 * (hours / 24.0 * std::f64::consts::TAU).sin()
}

#[test]
fn a_known_season_is_no_drift_and_an_unknown_one_is_noticed() {
    let clock = Arc::new(ManualClock::default());
    let mut random = Random::new(21);
    let mut hour = |clock: &ManualClock, more: f64| {
        World { shift: day(clock.now()) + more, ..USUAL }.rows(&mut random, 300)
    };
    let mut weeks = Vec::new();
    for _ in 0..28 * 24 {
        weeks.push((clock.now(), hour(&clock, 0.0)));
        clock.advance(HOUR);
    }
    let rows: Vec<_> = weeks.iter().map(|(_, rows)| rows.clone()).collect();
    let reference = Profile::fit(&rows, &ProfileOptions::default()).unwrap();
    let mut strata = Strata::new(&reference, Season::HourOfDay);
    for (at, rows) in &weeks {
        strata.update(rows, *at).unwrap();
    }
    let config = MonitorConfig::default().with_clock(clock.clone());
    let known = Monitor::new(reference.clone(), config.clone().with_strata(strata)).unwrap();
    let unknown = Monitor::new(reference, config).unwrap();
    let (mut known_alarms, mut unknown_alarms) = (known.alarms(), unknown.alarms());
    let mut pass = |hours: u32, more: f64| {
        for _ in 0..hours {
            let rows = hour(&clock, more);
            clock.advance(Duration::from_secs(3599));
            known.update(&rows).unwrap();
            unknown.update(&rows).unwrap();
            clock.advance(Duration::from_secs(1));
            known.look().unwrap();
            unknown.look().unwrap();
        }
    };
    pass(7 * 24, 0.0);
    assert!(known_alarms.try_next().is_none());
    assert!(known.status().unsteady.is_empty());
    let said: Vec<Alarm> = std::iter::from_fn(|| unknown_alarms.try_next()).collect();
    assert!(said.iter().any(|alarm| alarm.cause() == AlarmCause::Unsteady), "{said:?}");
    assert_eq!(unknown.status().unsteady.len(), 1);
    pass(12, 0.4);
    let alarm = known_alarms.try_next().expect("a drift beside the season is found within hours");
    assert!(alarm.effect().interval.unwrap().contains(0.4), "{alarm}");
}

#[test]
fn rows_that_chose_the_listed_values_are_no_evidence_in_strata() {
    let clock = Arc::new(ManualClock::default());
    let mut random = Random::new(22);
    // Each value is in one row of four hundred: those that a reference lists were lucky in it.
    let mut hour = || {
        let word = || Some(format!("w{}", random.bits() % 400));
        batch(vec![("word", texts(std::iter::repeat_with(word).take(250).collect::<Vec<_>>()))])
    };
    let mut day: Vec<(Timestamp, RecordBatch)> = Vec::new();
    for _ in 0..8 {
        day.push((clock.now(), hour()));
        clock.advance(HOUR);
    }
    clock.advance(16 * HOUR);
    let rows: Vec<_> = day.iter().map(|(_, rows)| rows.clone()).collect();
    let reference = Profile::fit(&rows, &ProfileOptions::default()).unwrap();
    let strata_of = |rows: &mut dyn Iterator<Item = &(Timestamp, RecordBatch)>| {
        let mut strata = Strata::new(&reference, Season::HourOfDay);
        rows.for_each(|(at, rows)| strata.update(rows, *at).unwrap());
        strata
    };
    let config = MonitorConfig::default().with_clock(clock.clone());
    let strata = strata_of(&mut day.iter());
    let mut sum = Profile::empty_like(&reference);
    strata.iter().for_each(|(_, part)| sum.merge(part).unwrap());
    assert_eq!(sum.to_bytes().unwrap(), reference.to_bytes().unwrap());
    let monitor =
        Monitor::new(reference.clone(), config.clone().with_strata(strata.clone())).unwrap();
    let mut alarms = monitor.alarms();
    for _ in 0..8 {
        (0..4).for_each(|_| monitor.update(&hour()).unwrap());
        clock.advance(HOUR);
        monitor.look().unwrap();
    }
    assert!(alarms.try_next().is_none());
    // Which rows chose is known by their order, so another one, and a part, is refused.
    for wrong in [strata_of(&mut day.iter().rev()), strata_of(&mut day.iter().take(3))] {
        let error = Monitor::new(reference.clone(), config.clone().with_strata(wrong)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("update_others"), "{error}");
    }
    let mut others = Strata::new(&reference, Season::HourOfDay);
    day.iter().rev().for_each(|(at, rows)| others.update_others(rows, *at).unwrap());
    assert_eq!(others.iter().map(|(_, part)| part.rows()).sum::<u64>(), 2000);
    Monitor::new(reference.clone(), config.with_strata(others)).unwrap();
}
