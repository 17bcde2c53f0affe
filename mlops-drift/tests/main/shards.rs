//! Counting row by row, in the request path: the same bytes as batches, whoever reads when.

use super::random::{Random, batch, floats, integers, texts};
use mlops_core::{ErrorKind, arrow::array::RecordBatch};
use mlops_drift::profile::{Profile, ProfileOptions, ProfileShard, Value};
use std::thread;

type Row = (Option<f64>, i64, Option<String>);

fn row(random: &mut Random) -> Row {
    let number = match random.choice(&[90.0, 4.0, 2.0, 1.0, 1.0, 2.0]) {
        0 => Some(random.normal().exp()),
        1 => None,
        2 => Some(f64::NAN),
        3 => Some(f64::INFINITY),
        4 => Some(-0.0),
        _ => Some(random.normal() * 1e9),
    };
    let word = (random.unit() > 0.05).then(|| format!("w{}", random.bits() % 7));
    (number, i64::try_from(random.bits() % 9).unwrap(), word)
}

fn rows(seed: u64, count: usize) -> Vec<Row> {
    let mut random = Random::new(seed);
    (0..count).map(|_| row(&mut random)).collect()
}

fn as_batch(rows: &[Row]) -> RecordBatch {
    batch(vec![
        ("number", floats(rows.iter().map(|row| row.0))),
        ("code", integers(rows.iter().map(|row| Some(row.1)))),
        ("word", texts(rows.iter().map(|row| row.2.clone()))),
    ])
}

fn count(shard: &mut ProfileShard, (number, code, word): &Row) {
    let number = number.map_or(Value::Missing, Value::Number);
    let word = word.as_deref().map_or(Value::Missing, Value::Text);
    #[expect(clippy::cast_precision_loss, reason = "small")]
    shard.count(&[number, Value::Number(*code as f64), word]).unwrap();
}

fn reference() -> Profile {
    let options = ProfileOptions::default().with_max_cells(100);
    Profile::fit(&[as_batch(&rows(1, 3000)).slice(0, 2500)], &options).unwrap()
}

/// Four threads count while a reader reads again and again: no row is lost, none counted twice, and
/// every profile in between is whole.
#[test]
fn readers_disturb_nothing_and_the_bytes_are_those_of_batches() {
    let reference = reference();
    let parts: Vec<Vec<Row>> = (10..14).map(|seed| rows(seed, 4000)).collect();
    let mut whole = Profile::empty_like(&reference);
    for part in &parts {
        whole.update(&as_batch(part)).unwrap();
    }
    let mut shards: Vec<_> = parts.iter().map(|_| ProfileShard::new(&reference)).collect();
    let readers: Vec<_> = shards.iter().map(ProfileShard::reader).collect();
    let gather = || {
        let mut sum = Profile::empty_like(&reference);
        for reader in &readers {
            let part = reader.profile().unwrap();
            // Counts that no rows could have made would not load.
            assert_eq!(Profile::from_bytes(&part.to_bytes().unwrap()).unwrap(), part);
            sum.merge(&part).unwrap();
        }
        sum
    };
    let mut reads = 0;
    thread::scope(|scope| {
        let counting: Vec<_> = shards
            .iter_mut()
            .zip(&parts)
            .map(|(shard, part)| scope.spawn(|| part.iter().for_each(|row| count(shard, row))))
            .collect();
        let mut before = 0;
        while !counting.iter().all(thread::ScopedJoinHandle::is_finished) {
            let rows = gather().rows();
            assert!(rows >= before, "rows only become more");
            (before, reads) = (rows, reads + 1);
        }
    });
    println!("read {reads} times while counting");
    drop(shards);
    assert_eq!(gather().to_bytes().unwrap(), whole.to_bytes().unwrap());
    assert_eq!(gather(), whole);
}

#[test]
fn singles_are_cut_as_an_array_of_singles_is() {
    use mlops_core::arrow::array::{ArrayRef, Float32Array};
    let mut random = Random::new(3);
    let doubles: Vec<_> = (0..500).map(|_| Some((random.normal() * 10.0).round() / 10.0)).collect();
    let reference =
        Profile::fit(&[batch(vec![("x", floats(doubles.clone()))])], &ProfileOptions::default());
    let reference = reference.unwrap();
    #[expect(clippy::cast_possible_truncation, reason = "rounding is wanted")]
    let singles: Vec<f32> = doubles.iter().map(|value| value.unwrap() as f32).collect();
    let mut counted = Profile::empty_like(&reference);
    let array: ArrayRef = std::sync::Arc::new(Float32Array::from(singles.clone()));
    counted.update(&batch(vec![("x", array)])).unwrap();
    let mut shard = ProfileShard::new(&reference);
    for value in singles {
        shard.count(&[Value::Single(value)]).unwrap();
    }
    let read = shard.reader().profile().unwrap();
    assert_eq!(read, counted);
    let cells = |profile: &Profile| profile.columns().next().unwrap().cells();
    assert_eq!(cells(&read), cells(&reference), "tenths fall where they fell as doubles");
}

/// Numbers wait until there are some of a column: whenever they are read, and of whatever precision
/// they are, they count as in a batch.
#[test]
fn numbers_that_wait_are_read_too() {
    const COLUMNS: usize = 134;
    let mut random = Random::new(5);
    let mut numbers = || (0..COLUMNS).map(|_| (random.normal() * 8.0).round() / 8.0).collect();
    let rows: Vec<Vec<f64>> = (0..800).map(|_| numbers()).collect();
    let names: Vec<String> = (0..COLUMNS).map(|at| format!("x{at}")).collect();
    let table = |rows: &[Vec<f64>]| {
        let column = |at: usize| floats(rows.iter().map(|row| Some(row[at])));
        batch(names.iter().enumerate().map(|(at, name)| (name.as_str(), column(at))).collect())
    };
    let reference = Profile::fit(&[table(&rows[..200])], &ProfileOptions::default()).unwrap();
    let mut shard = ProfileShard::new(&reference);
    let reader = shard.reader();
    let mut begun = 0;
    for taken in [1, 126, 127, 128, 129, 257, 16] {
        let some = &rows[begun..begun + taken];
        begun += taken;
        for (at, row) in some.iter().enumerate() {
            // Eighths are the same in either precision.
            #[expect(clippy::cast_possible_truncation, reason = "eighths fit")]
            let value = |value: &f64| match at % 3 {
                0 if taken % 2 == 0 => Value::Single(*value as f32),
                _ => Value::Number(*value),
            };
            shard.count(&row.iter().map(value).collect::<Vec<_>>()).unwrap();
        }
        let mut counted = Profile::empty_like(&reference);
        counted.update(&table(some)).unwrap();
        assert_eq!(reader.take().unwrap(), counted, "{taken} rows");
    }
}

#[test]
fn a_wrong_row_is_named_and_not_counted() {
    let mut shard = ProfileShard::new(&reference());
    let short = shard.count(&[Value::Missing]).unwrap_err();
    assert_eq!(short.to_string(), "a row of 1 values for a profile of 3 columns");
    let number = Value::Number(1.0);
    let text = shard.count(&[Value::Text("x"), number, Value::Missing]).unwrap_err();
    assert_eq!(text.to_string(), "column \"number\" counts numbers");
    let word = shard.count(&[number, number, number]).unwrap_err();
    assert_eq!(word.to_string(), "column \"word\" counts text");
    let numbers = shard.count_numbers(&[1.0, 2.0, 3.0]).unwrap_err();
    for error in [&short, &text, &word, &numbers] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(shard.reader().profile().unwrap().rows(), 0);
}
