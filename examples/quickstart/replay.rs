//! Three years pass: every row of 2016 to 2018 is asked about when its time comes, and what came of it
//! is told 1 to 90 days later, in any order, some of it twice, some of it about nobody.

use crate::{
    asking::{Answer, Client},
    census::{self, FEATURES, LABEL},
    home::{Home, MODEL, StoryClock},
    live::Live,
    table::{Table, count},
};
use mlops::{
    Error, PredictionId, Result, Timestamp,
    data::Dataset,
    inference_log::{Outcome, OutcomeValue},
};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// People in one request, at most.
const ROWS: usize = 100;
/// Outcomes in one request, at most.
const OUTCOMES: usize = 2_000;
const DAY: Duration = Duration::from_hours(24);

/// What was sent, and what a batch computation over the rows themselves makes of it.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) requests: u64,
    pub(crate) rows: u64,
    pub(crate) outcomes: u64,
    pub(crate) twice: u64,
    pub(crate) unknown: u64,
    /// Right answers and rows, by version and year.
    pub(crate) right: BTreeMap<(String, i32), (u64, u64)>,
    /// One answer of the first year, to be asked about later.
    pub(crate) example: Option<PredictionId>,
}

/// Replays the surveys of these years; the clock then stands where the last outcome is known.
pub(crate) async fn years(
    home: &Home,
    live: &Live,
    people: &Dataset,
    years: &[i32],
) -> Result<Replayed> {
    let mut replayed = Replayed::default();
    let mut late = Late::new(2016);
    for &year in years {
        let rows = census::of_year(people, i64::from(year))?;
        let survey = Survey::new(year, &rows)?;
        let (client, clock) = (Client::new(&live.url), Arc::clone(&home.clock));
        // The client waits for each answer: not on a thread of the server.
        let asking = tokio::task::spawn_blocking(move || {
            survey.ask(&client, &clock, &mut replayed, &mut late)?;
            Ok::<_, Error>((replayed, late))
        });
        (replayed, late) = asking.await.map_err(|cause| Error::internal(cause.to_string()))??;
        live.log.flush().await?;
    }
    let (client, clock) = (Client::new(&live.url), Arc::clone(&home.clock));
    let telling = tokio::task::spawn_blocking(move || {
        // Nothing is still to come when the last one is known.
        clock.turn(late.last());
        late.tell(&client, &clock, &mut replayed)?;
        Ok::<_, Error>(replayed)
    });
    telling.await.map_err(|cause| Error::internal(cause.to_string()))?
}

/// How much was asked and told.
pub(crate) fn show(live: &Live, replayed: &Replayed) {
    let log = live.log.counts();
    let mut table = Table::new(["replayed", ""]);
    for (what, number) in [
        ("people asked about, everyone of 2016 to 2018", replayed.rows),
        ("requests over HTTP", replayed.requests),
        ("outcomes told, 1 to 90 days later, in any order", replayed.outcomes),
        ("of these a second time", replayed.twice),
        ("of these about nobody", replayed.unknown),
        ("records that the log dropped", log.dropped),
    ] {
        table.row([what.to_owned(), count(number)]);
    }
    table.print();
}

/// One year's rows, in the order of their time.
struct Survey {
    year: i32,
    times: Vec<Timestamp>,
    labels: Vec<bool>,
    features: Vec<f32>,
}

impl Survey {
    fn new(year: i32, rows: &Dataset) -> Result<Self> {
        let tensors = census::tensors(rows)?;
        let features = tensors.require("features")?.as_slice::<f32>()?.to_vec();
        Ok(Self { year, times: census::times(rows)?, labels: census::labels(rows)?, features })
    }

    /// Asks month by month; at the end of each, what is known by then is told.
    fn ask(
        &self,
        client: &Client,
        clock: &StoryClock,
        replayed: &mut Replayed,
        late: &mut Late,
    ) -> Result<()> {
        let mut from = 0;
        while from < self.times.len() {
            let month = month(self.times[from]);
            let same = |at: &usize| self::month(self.times[*at]) == month;
            let upto = (from..self.times.len()).take(ROWS).take_while(same).count() + from;
            // Whoever collects a hundred people asks when the last of them is there.
            clock.turn(self.times[upto - 1]);
            let asked = &self.features[from * FEATURES.len()..upto * FEATURES.len()];
            let answer = client.infer(asked, FEATURES.len())?;
            self.count(from..upto, &answer, replayed);
            late.learn(&answer, &self.times[from..upto], &self.labels[from..upto], replayed);
            from = upto;
            if self.times.get(from).is_none_or(|next| self::month(*next) != month) {
                late.tell_known(client, self.times[from - 1], replayed)?;
            }
        }
        Ok(())
    }

    fn count(&self, rows: std::ops::Range<usize>, answer: &Answer, replayed: &mut Replayed) {
        let labels = &self.labels[rows];
        let right =
            labels.iter().zip(&answer.labels).filter(|(truth, said)| i64::from(**truth) == **said);
        let (right, rows) = (right.count() as u64, labels.len() as u64);
        let own = replayed.right.entry((answer.version.clone(), self.year)).or_default();
        *own = (own.0 + right, own.1 + rows);
        replayed.requests += 1;
        replayed.rows += rows;
        replayed.example.get_or_insert(answer.prediction);
    }
}

/// Which month it is, counted in twelfths of a mean year: only that time passes matters here.
fn month(time: Timestamp) -> i64 {
    time.unix_millis() / 2_629_746_000
}

/// Outcomes on their way, each with the time at which somebody learns of it.
struct Late {
    waiting: Vec<Outcome>,
    dice: Dice,
}

impl Late {
    fn new(seed: u64) -> Self {
        Self { waiting: Vec::new(), dice: Dice(seed) }
    }

    /// Puts the outcomes of one request on their way.
    fn learn(
        &mut self,
        answer: &Answer,
        asked: &[Timestamp],
        labels: &[bool],
        replayed: &mut Replayed,
    ) {
        for (row, (time, label)) in (0_u32..).zip(asked.iter().zip(labels)) {
            let value = OutcomeValue::Number(f64::from(u8::from(*label)));
            let known = time.plus(self.delay());
            let outcome = Outcome::new(answer.prediction, known, LABEL, value).with_row(row);
            if self.dice.one_in(20) {
                // The sender got no acknowledgement, and sends it again some day.
                self.waiting.push(outcome.clone());
                replayed.twice += 1;
            }
            if self.dice.one_in(50) {
                let nobody = PredictionId::from_u128(u128::from(self.dice.roll()));
                let value = OutcomeValue::Number(1.0);
                self.waiting.push(Outcome::new(nobody, known, LABEL, value));
                replayed.unknown += 1;
            }
            self.waiting.push(outcome);
        }
    }

    /// 1 to 90 days.
    fn delay(&mut self) -> Duration {
        DAY + Duration::from_secs(self.dice.roll() % (89 * DAY.as_secs()))
    }

    /// When the last of those on their way is known.
    fn last(&self) -> Timestamp {
        self.waiting.iter().map(|outcome| outcome.time).max().unwrap_or_default()
    }

    fn tell(&mut self, client: &Client, clock: &StoryClock, replayed: &mut Replayed) -> Result<()> {
        self.tell_known(client, mlops::Clock::now(clock), replayed)
    }

    /// Sends what is known by now, in an order that has nothing to do with when it was known.
    fn tell_known(
        &mut self,
        client: &Client,
        now: Timestamp,
        replayed: &mut Replayed,
    ) -> Result<()> {
        let waiting = std::mem::take(&mut self.waiting);
        let (mut known, still) = waiting.into_iter().partition::<Vec<_>, _>(|own| own.time <= now);
        self.waiting = still;
        self.dice.shuffle(&mut known);
        for outcomes in known.chunks(OUTCOMES) {
            client.outcomes(outcomes).map_err(|error| error.context(MODEL))?;
            replayed.outcomes += outcomes.len() as u64;
        }
        Ok(())
    }
}

/// A small generator (`SplitMix64`), so that the story is the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn one_in(&mut self, many: u64) -> bool {
        self.roll().is_multiple_of(many)
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for upto in (1..items.len()).rev() {
            let other = self.roll() % (upto as u64 + 1);
            items.swap(upto, usize::try_from(other).unwrap_or(0));
        }
    }
}
