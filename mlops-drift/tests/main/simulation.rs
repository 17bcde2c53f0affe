//! A short run of `scripts/simulate`, whose long tables are in `simulations`.

#[path = "../../examples/simulate/counts.rs"]
#[expect(dead_code, reason = "the program prints all of it")]
mod counts;
#[path = "../../examples/simulate/monitor.rs"]
#[expect(dead_code, reason = "the program prints all of it")]
mod monitor;
#[path = "../../examples/simulate/rows.rs"]
#[expect(dead_code, reason = "the program prints all of it")]
mod rows;
#[path = "../../examples/simulate/streams.rs"]
#[expect(dead_code, reason = "the program prints all of it")]
mod streams;

use super::null::Setting;

const REPETITIONS: u32 = 200;
/// Dozens of lines: one of them passes three deviations now and then, none five.
const DEVIATIONS: f64 = 5.0;

#[test]
fn tests_of_counts_are_wrong_no_more_often_than_they_say() {
    for (source, weights) in counts::sources() {
        for (test, p) in counts::TESTS.into_iter().take(counts::OF_TWO) {
            let setting = Setting { test, source, rows: (300, 60), repetitions: REPETITIONS };
            let wrong = counts::wrong(&setting, &weights, p).unwrap();
            assert!(wrong.within(DEVIATIONS), "{}", wrong.line(&setting));
        }
    }
}

#[test]
fn tests_of_rows_are_wrong_no_more_often_than_they_say() {
    for (source, value) in rows::SOURCES {
        for (test, p) in rows::TESTS {
            let setting = Setting { test, source, rows: (120, 60), repetitions: REPETITIONS };
            let wrong = rows::wrong(&setting, value, p).unwrap();
            assert!(wrong.within(DEVIATIONS), "{}", wrong.line(&setting));
        }
    }
}

#[test]
fn streams_are_rejected_no_more_often_than_they_say() {
    let (rows, looks, repetitions) = (100, 400, 100);
    for source in &streams::SOURCES {
        let (ever, alarms) = streams::false_alarms(source, rows, looks, repetitions).unwrap();
        // 5% of 100 and three deviations; 4 alarms in 40,000 rows and as many.
        assert!(ever <= 12 && alarms <= 10, "{ever} {alarms}");
    }
}

/// Two hundred days of each kind of nothing, one false alarm a day promised.
#[test]
fn a_monitor_raises_no_more_false_alarms_than_it_promises() {
    let config = mlops_drift::MonitorConfig::default()
        .with_false_alarms_per_year(365.25)
        .with_margin(0.0)
        .with_unusual_margin(0.0);
    for process in monitor::PROCESSES.iter().filter(|process| process.promised) {
        let watched = |seed| monitor::watch(process, seed, 24, config.clone()).unwrap();
        let alarms: u32 = (0..REPETITIONS / 6).map(|seed| watched(seed.into()).alarms).sum();
        // A mean of one a day, and three deviations.
        let most = f64::from(REPETITIONS / 6) + 3.0 * f64::from(REPETITIONS / 6).sqrt();
        assert!(f64::from(alarms) <= most, "{}: {alarms}", process.name);
    }
}
