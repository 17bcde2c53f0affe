//! Streams looked at after every row: ever a false alarm, and rows until a true one.

use crate::{
    null::{random_of, repeated},
    random::Random,
};
use mlops_core::Result;
use mlops_drift::sequential::{ConformalConfig, ConformalTest};

const LOOKS: u32 = 10_000;
/// Longest wait for a true alarm.
const WAIT: u64 = 6_000;

/// A row's cell, of so many.
pub(crate) struct Source {
    name: &'static str,
    cells: usize,
    draw: fn(&mut Random, f64) -> f64,
}

/// Each draws a number in 0..1 whose cell is its share of the cells; the second argument is a shift
/// in deviations of a normal value.
pub(crate) const SOURCES: [Source; 5] = [
    Source { name: "continuous, 1,024 cells", cells: 1024, draw: normal },
    Source { name: "continuous, 32 cells", cells: 32, draw: normal },
    Source { name: "500 levels, 1/rank", cells: 500, draw: zipf },
    Source { name: "5 levels, 1/rank", cells: 5, draw: zipf },
    Source { name: "2 levels, 1 in 50", cells: 2, draw: rare },
];

fn normal(random: &mut Random, shift: f64) -> f64 {
    1.0 / (1.0 + (-1.702 * (random.normal() + shift)).exp())
}

fn zipf(random: &mut Random, _: f64) -> f64 {
    // Of 500 levels as of 5: a share that grows with the logarithm of the rank.
    (500_f64.powf(random.unit()) - 1.0) / 499.0
}

fn rare(random: &mut Random, _: f64) -> f64 {
    if random.unit() < 0.02 { 0.75 } else { 0.25 }
}

impl Source {
    fn cell(&self, random: &mut Random, moved: impl Fn(f64) -> f64) -> usize {
        let share = moved((self.draw)(random, 0.0));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of some hundred cells"
        )]
        let cell = (share * self.cells as f64) as usize;
        cell.min(self.cells - 1)
    }

    fn opened(&self, random: &mut Random, rows: u32) -> Result<ConformalTest> {
        let mut counts = vec![0; self.cells];
        (0..rows).for_each(|_| counts[self.cell(random, |share| share)] += 1);
        ConformalTest::open(ConformalConfig::default().with_seed(random.bits()), &counts)
    }
}

/// The tables of false alarms and of delays.
pub(crate) fn every(repetitions: u32, print: &mut dyn FnMut(&str)) -> Result<()> {
    print(
        "| source | reference rows | looks | repetitions | ever rejected at 5% | alarms in 10,000 rows (promised: at most 1) |",
    );
    print("|---|---|---|---|---|---|");
    for source in &SOURCES {
        for rows in [30, 300, 2000] {
            let (ever, alarms) = false_alarms(source, rows, LOOKS, repetitions)?;
            let of = f64::from(repetitions);
            let (ever, alarms) = (f64::from(ever) / of, f64::from(alarms) / of);
            let name = source.name;
            print(&format!(
                "| {name} | {rows} | {LOOKS} | {repetitions} | {ever:.4} | {alarms:.3} |"
            ));
        }
    }
    print("");
    delays(repetitions.min(400), print)
}

/// How many streams without drift were ever rejected, and all their alarms.
pub(crate) fn false_alarms(
    source: &Source,
    rows: u32,
    looks: u32,
    repetitions: u32,
) -> Result<(u32, u32)> {
    let seed = (u64::from(rows) << 32) + ((source.cells as u64) << 48);
    let stream = |at| {
        let mut random = random_of(seed, at);
        let mut test = source.opened(&mut random, rows)?;
        for _ in 0..looks {
            test.update(source.cell(&mut random, |share| share))?;
        }
        Ok((u32::from(test.rejects()), u32::try_from(test.alarms()).unwrap_or(u32::MAX)))
    };
    let (mut ever, mut alarms) = (0, 0);
    for (rejected, raised) in repeated(repetitions, stream)? {
        ever += rejected;
        alarms += raised;
    }
    Ok((ever, alarms))
}

/// What becomes of a normal value.
type Change = fn(f64) -> f64;

/// Rows until a true alarm, of a normal value in 64 cells beside 2,000 reference rows.
fn delays(repetitions: u32, print: &mut dyn FnMut(&str)) -> Result<()> {
    print(
        "| change | repetitions | rejected within 6,000 rows | median rows to rejection | alarm within 6,000 rows | median rows to alarm |",
    );
    print("|---|---|---|---|---|---|");
    let changes: [(&str, Change); 6] = [
        ("mean + 0.1 sd", |x| x + 0.1),
        ("mean + 0.2 sd", |x| x + 0.2),
        ("mean + 0.5 sd", |x| x + 0.5),
        ("mean − 0.5 sd", |x| x - 0.5),
        ("sd × 1.3", |x| 1.3 * x),
        ("two humps, 0.5 sd apart", |x| x + 0.25 * x.signum()),
    ];
    for (name, moved) in changes {
        let mut random = Random::new(5);
        let (mut rejections, mut alarms) = (Vec::new(), Vec::new());
        for _ in 0..repetitions {
            let (rejected, alarmed) = delay(&mut random, moved)?;
            rejections.push(rejected);
            alarms.push(alarmed);
        }
        let (found, rejected) = found_and_median(rejections);
        let (alarmed, alarm) = found_and_median(alarms);
        print(&format!(
            "| {name} | {repetitions} | {found:.2} | {rejected} | {alarmed:.2} | {alarm} |"
        ));
    }
    Ok(())
}

/// Rows until the rejection and until the alarm.
fn delay(random: &mut Random, moved: Change) -> Result<(Option<u64>, Option<u64>)> {
    let source = Source { name: "", cells: 64, draw: normal };
    // Back to the normal value, moved, and to its share.
    let moved = |share: f64| {
        let value = (share / (1.0 - share)).ln() / 1.702;
        1.0 / (1.0 + (-1.702 * moved(value)).exp())
    };
    let mut test = source.opened(random, 2000)?;
    let (mut rejected, mut alarmed) = (None, None);
    for row in 1..=WAIT {
        test.update(source.cell(random, moved))?;
        rejected = rejected.or_else(|| test.rejects().then_some(row));
        alarmed = alarmed.or_else(|| (test.alarms() > 0).then_some(row));
        if rejected.is_some() && alarmed.is_some() {
            break;
        }
    }
    Ok((rejected, alarmed))
}

/// The share found, and the median wait, if half were.
fn found_and_median(mut waits: Vec<Option<u64>>) -> (f64, String) {
    let count = |len: usize| f64::from(u32::try_from(len).unwrap_or(u32::MAX));
    let found = waits.iter().flatten().count();
    waits.sort_by_key(|wait| wait.unwrap_or(u64::MAX));
    let median = waits.get(waits.len() / 2).copied().flatten();
    let shown = median.map_or_else(|| "—".into(), |rows| rows.to_string());
    (count(found) / count(waits.len()), shown)
}
