//! A monitor that is restarted.

use super::super::random::Random;
use super::USUAL;
use mlops_core::{ErrorKind, testing::ManualClock};
use mlops_drift::{Monitor, MonitorConfig, Profile, ProfileOptions, monitor::AlarmBudget};
use std::{sync::Arc, time::Duration};

/// The false alarms to expect of six hours with a window each minute, if it is restarted each hour.
fn spent(restart: impl Fn(&Monitor, MonitorConfig) -> Option<MonitorConfig>) -> f64 {
    let (mut random, clock) = (Random::new(61), Arc::new(ManualClock::default()));
    let rows = USUAL.rows(&mut random, 1_000);
    let reference = Profile::fit(&[rows], &ProfileOptions::default()).unwrap();
    let config = MonitorConfig::default().with_clock(clock.clone()).with_window_rows(100);
    let mut monitor = Monitor::new(reference.clone(), config.clone()).unwrap();
    let mut spent = 0.0;
    for hour in 0..6 {
        if let Some(config) = restart(&monitor, config.clone()).filter(|_| hour > 0) {
            spent += monitor.status().expected_false_alarms;
            monitor = Monitor::new(reference.clone(), config).unwrap();
        }
        for _ in 0..60 {
            clock.advance(Duration::from_mins(1));
            monitor.update(&USUAL.rows(&mut random, 100)).unwrap();
        }
    }
    spent + monitor.status().expected_false_alarms
}

#[test]
fn a_monitor_that_goes_on_with_its_budget_spends_what_one_does_that_was_not_restarted() {
    // One a year, which begins with an hour of grace.
    let hours = |hours: f64| hours / (365.25 * 24.0 + 1.0);
    let at_once = spent(|_, _| None);
    let anew = spent(|_, config| Some(config));
    let kept = spent(|monitor, config| Some(config.with_budget(monitor.budget())));
    assert!(at_once <= hours(7.0) && anew > hours(9.0), "{at_once} {anew}");
    assert!((kept / at_once - 1.0).abs() < 1e-9, "{kept} {at_once}");
}

#[test]
fn a_budget_that_nobody_left_is_refused() {
    let rows = USUAL.rows(&mut Random::new(62), 200);
    let reference = Profile::fit(&[rows], &ProfileOptions::default()).unwrap();
    let wrong: AlarmBudget = serde_json::from_str(r#"{"unspent":-1.0,"upto":0}"#).unwrap();
    let error = Monitor::new(reference, MonitorConfig::default().with_budget(wrong)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().starts_with("a budget of -1 false alarms"), "{error}");
}
