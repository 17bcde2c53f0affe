//! `mlops drift`.

use super::{
    Place, csv,
    record::{champion, promote_from, serve_arguments},
    rows,
};
use mlops::arrow::array::{
    ArrayRef, Date32Array, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};
use serde_json::Value;
use std::{
    fs::File,
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
};

#[test]
fn files_beside_files_and_a_log_beside_a_file() {
    let place = Place::new();
    let all = rows("logistic", 1200);
    let (reference, window) = all.split_at(600);
    place.write("reference.csv", &csv(reference));
    let mut moved = window.to_vec();
    for (_, row) in &mut moved {
        row[4] += 1e3;
    }
    place.write("moved.csv", &csv(&moved));
    let out = place
        .run(&["drift", "report", "reference.csv", "moved.csv", "--json", "--html", "page.html"])
        .ok();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["verdict"], "drifted");
    let column = |name: &str| {
        let mut columns = report["columns"].as_array().unwrap().iter();
        columns.find(|column| column["name"] == name).unwrap().clone()
    };
    assert_eq!(column("c4")["verdict"], "drifted");
    assert!(column("c4")["p"].as_f64().unwrap() < 1e-6);
    assert!(place.read("page.html").contains("<svg"));
    place.run(&["drift", "report", "reference.csv", "moved.csv", "--check"]).failed(1, "drifted");
    place.run(&["drift", "report", "reference.csv", "reference.csv", "--check"]).ok();
    place.run(&["drift", "report", "reference.csv", "absent.csv"]).failed(66, "absent.csv");
    // A gate that looked at nothing has not passed.
    place.write("few.csv", &csv(&window[..20]));
    place.run(&["drift", "report", "reference.csv", "few.csv"]).ok();
    place
        .run(&["drift", "report", "reference.csv", "few.csv", "--check"])
        .failed(65, "600 rows beside 20");

    // What was served under the columns' names is compared by them, packed as it came.
    place.package("logistic", "model");
    let server = place.serve(&["--model", "risk=model", "--inference-log", "log"]);
    let asked: Vec<Vec<f32>> = window.iter().map(|(_, row)| row.clone()).collect();
    server.infer("risk", &asked);
    assert_eq!(server.end().code(), Some(0));
    let out = place.run(&["drift", "report", "reference.csv", "log", "--json", "report.json"]).ok();
    assert!(out.starts_with("600 rows"), "{out}");
    let report: Value = serde_json::from_str(&place.read("report.json")).unwrap();
    assert_eq!(report["columns"].as_array().unwrap().len(), super::WIDTH);
}

/// `count` rows in row groups of their own size: ages, places and a day.
fn parquet(path: &Path, seed: u64, count: usize, group: usize, shift: f64) {
    let mut state = seed;
    let mut unit = move || {
        // Knuth's MMIX generator.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(state >> 40).unwrap()) / f64::from(1_u32 << 24)
    };
    let mut batch = |rows: usize| {
        let age: Float64Array = (0..rows).map(|_| Some(unit() * 50.0 + shift)).collect();
        let place: StringArray =
            (0..rows).map(|_| Some(if unit() < 0.7 { "MA" } else { "NY" })).collect();
        let day: Date32Array = (0..rows).map(|row| i32::try_from(row).ok()).collect();
        let columns: [(&str, ArrayRef); 3] =
            [("age", Arc::new(age)), ("place", Arc::new(place)), ("day", Arc::new(day))];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let first = batch(group.min(count));
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties)).unwrap();
    let mut written = first.num_rows();
    writer.write(&first).unwrap();
    while written < count {
        let next = batch(group.min(count - written));
        written += next.num_rows();
        writer.write(&next).unwrap();
    }
    writer.close().unwrap();
}

#[test]
fn profiles_stand_for_files_on_either_side() {
    let place = Place::new();
    parquet(&place.path("before.parquet"), 1, 3000, 700, 0.0);
    parquet(&place.path("now.parquet"), 2, 2000, 900, 9.0);
    let run = place.run(&["drift", "profile", "before.parquet", "--out", "before.profile"]);
    let out = run.ok();
    assert!(out.contains("3000 rows, 2 columns") && out.contains("age"), "{out}");
    let made = place.run(&[
        "drift",
        "profile",
        "now.parquet",
        "--like",
        "before.profile",
        "--out",
        "now.profile",
        "--json",
    ]);
    let made: Value = serde_json::from_str(&made.ok()).unwrap();
    assert_eq!((&made["rows"], &made["columns"][1]["kind"]), (&2000.into(), &"categories".into()));

    let report = |reference: &str, window: &str| -> Value {
        let out = place.run(&["drift", "report", reference, window, "--json"]).ok();
        let mut json: Value = serde_json::from_str(&out).unwrap();
        // The names of the files and the time differ.
        let object = json.as_object_mut().unwrap();
        object.remove("title");
        object.remove("time");
        json
    };
    let files = report("before.parquet", "now.parquet");
    assert_eq!(files["columns"][0]["cause"]["kind"], "out_of_range");
    assert_eq!(files["columns"][1]["verdict"], "stable");
    for (reference, window) in
        [("before.profile", "now.parquet"), ("before.profile", "now.profile")]
    {
        assert_eq!(report(reference, window), files, "{reference} {window}");
    }
    // A window with cells of its own can be judged beside rows, in those cells.
    place.run(&["drift", "profile", "now.parquet", "--out", "own.profile"]).ok();
    assert_eq!(report("before.parquet", "own.profile")["columns"][0]["verdict"], "drifted");
    let mixed = place.run(&["drift", "report", "before.profile", "own.profile"]);
    mixed.failed(65, "other cells");
    place.run(&["drift", "profile", "own.profile", "--out", "x"]).failed(69, "profile already");
}

#[test]
fn every_form_of_the_report_and_where_the_change_comes_from() {
    let place = Place::new();
    parquet(&place.path("before.parquet"), 1, 4000, 1000, 0.0);
    parquet(&place.path("now.parquet"), 2, 4000, 1000, 6.0);
    let run = place.run(&[
        "drift",
        "report",
        "before.parquet",
        "now.parquet",
        "--html",
        "page.html",
        "--markdown",
        "page.md",
        "--prometheus",
        "page.prom",
        "--label",
        "model=risk",
        "--json",
        "page.json",
        "--segment-by",
        "place",
        "--rows",
        "3",
        "--check",
    ]);
    run.failed(1, "outside of the reference, rose from 0 % to 1");
    assert!(run.err.contains("left out: column \"day\""), "{}", run.err);
    assert!(place.read("page.html").contains("<h2>By place</h2>"));
    assert!(place.read("page.md").contains("| `age` | drifted |"));
    assert!(
        place
            .read("page.prom")
            .contains("mlops_drift_column_verdict{model=\"risk\",column=\"age\"} 2")
    );
    let json: Value = serde_json::from_str(&place.read("page.json")).unwrap();
    assert_eq!(json["heaviest_rows"].as_array().unwrap().len(), 3);
    let segments = json["segments"]["segments"].as_array().unwrap();
    assert_eq!(segments.len(), 3);
    assert!(segments[..2].iter().all(|segment| segment["verdict"] == "drifted"));
}

/// Of a table of many columns one is in memory at a time, and of the window a few rows.
#[cfg(target_os = "linux")]
#[test]
fn a_table_longer_than_the_memory_allowed_is_compared() {
    let place = Place::new();
    let (rows, columns) = (150_000, 40);
    for (name, shift) in [("before.parquet", 0.0), ("now.parquet", 3.0)] {
        wide(&place.path(name), rows, columns, shift);
    }
    let peak = |flags: &[&str]| {
        let all = [&["drift", "report", "before.parquet", "now.parquet"], flags].concat();
        let mut child = place.command(&all).stdout(Stdio::null()).spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let size = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok());
            most = most.max(size.unwrap_or(0_usize));
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        most * 1024
    };
    let (one, all) = (peak(&["--columns", "c0"]), peak(&[]));
    println!("one column: {one} bytes, all: {all} bytes");
    // Each table is 48 MB of numbers.
    assert!(one > 0 && all < one + rows * columns * 8 / 2, "{one} bytes, then {all}");
}

/// Columns of different numbers, in row groups of 10,000 rows.
fn wide(path: &Path, rows: usize, columns: usize, shift: f64) {
    let names: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
    let number = |row: usize, column: usize| {
        let mixed = (row as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15 + 2 * column as u64);
        f64::from(u32::try_from(mixed >> 33).unwrap()) / 1e9 + shift
    };
    let batch = |from: usize| {
        let column = |at: usize| -> ArrayRef {
            Arc::new(
                (from..from + 10_000).map(|row| Some(number(row, at))).collect::<Float64Array>(),
            )
        };
        let columns = names.iter().enumerate().map(|(at, name)| (name.as_str(), column(at)));
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let schema = batch(0).schema();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(10_000))
        .set_dictionary_enabled(false)
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties)).unwrap();
    (0..rows / 10_000).for_each(|at| writer.write(&batch(at * 10_000)).unwrap());
    writer.close().unwrap();
}

#[test]
fn a_folder_is_watched_file_by_file() {
    let place = Place::new();
    parquet(&place.path("before.parquet"), 1, 6000, 1000, 0.0);
    std::fs::create_dir(place.path("days")).unwrap();
    let day = |name: &str, seed: u64, shift: f64, age_s: u64| {
        let path = place.path(&format!("days/{name}"));
        parquet(&path, seed, 3000, 1000, shift);
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000 - age_s);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    // Not in the order of their names.
    day("b.parquet", 2, 0.0, 7200);
    day("a.parquet", 3, 9.0, 3600);
    place.write("days/notes.txt", "not a window");
    let out = place.run(&["drift", "watch", "before.parquet", "days", "--once"]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "b.parquet: 3000 rows, 3 windows ended, 0 alarms", "{out}");
    assert!(lines[1].starts_with("a.parquet: 3000 rows, 3 windows ended, 1 alarms"), "{out}");
    assert!(lines[2].contains("critical: age lies above"), "{out}");

    let run = place.run(&[
        "drift",
        "watch",
        "before.parquet",
        "days",
        "--once",
        "--check",
        "--json",
        "--html",
        "page.html",
        "--prometheus",
        "page.prom",
    ]);
    run.failed(1, "age lies above");
    let seen: Vec<Value> =
        run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((seen.len(), &seen[1]["alarms"][0]["column"]), (2, &"age".into()));
    assert!(place.read("page.html").contains("<svg"));
    assert!(place.read("page.prom").contains("mlops_drift_column_verdict{column=\"age\"} 2"));

    // It goes on until told otherwise, and takes a file once it has stopped growing.
    let mut child = place
        .command(&["drift", "watch", "before.parquet", "days", "--check", "--interval", "1"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));

    // A check that is told to end has not passed.
    std::fs::create_dir(place.path("calm")).unwrap();
    parquet(&place.path("calm/a.parquet"), 2, 3000, 1000, 0.0);
    let flags = ["drift", "watch", "before.parquet", "calm", "--check", "--interval", "1"];
    let (said, code) = told_to_end(&place, &flags);
    assert_eq!(code, Some(130), "{said}");

    // A check that no window has ended for has not passed.
    std::fs::create_dir(place.path("few")).unwrap();
    place
        .run(&["drift", "watch", "before.parquet", "few", "--once", "--check"])
        .failed(65, "0 rows");
    parquet(&place.path("few/a.parquet"), 2, 50, 50, 0.0);
    place.run(&["drift", "watch", "before.parquet", "few", "--once"]).ok();
    place
        .run(&["drift", "watch", "before.parquet", "few", "--once", "--check"])
        .failed(65, "50 rows are there");

    place.write("days/c.parquet", "no parquet");
    place.run(&["drift", "watch", "before.parquet", "days", "--once"]).failed(74, "c.parquet");
    place.run(&["drift", "watch", "before.parquet", "absent"]).failed(66, "absent");
}

#[test]
fn an_inference_log_is_watched_from_where_it_was() {
    let place = Place::new();
    let all = rows("logistic", 1500);
    place.write("reference.csv", &csv(&all));
    place.package("logistic", "model");
    let server = place.serve(&["--model", "risk=model", "--inference-log", "log"]);
    let moved = |(_, row): &(_, Vec<f32>)| {
        let mut row = row.clone();
        row[4] += 1e3;
        row
    };
    server.infer("risk", &all.iter().map(moved).collect::<Vec<_>>());
    assert_eq!(server.end().code(), Some(0));
    let out = place.run(&["drift", "watch", "reference.csv", "log", "--once", "--check"]);
    out.failed(1, "c4 ");

    // Told to end, it does so in the middle of its pause, with what it has seen said.
    let flags = ["drift", "watch", "reference.csv", "log", "--interval", "86400"];
    let (all, code) = told_to_end(&place, &flags);
    assert_eq!(code, Some(0), "{all}");
    assert!(all.starts_with("log: 1500 rows") && all.contains("critical: c4 "), "{all}");
}

/// Days of 40 rows an hour whose value goes with the hour, moved by so much in the first six.
fn hourly(path: &Path, first_day: i64, days: i64, night: f64) {
    let rows = first_day * 960..(first_day + days) * 960;
    // Latest first: a file need not be sorted.
    let (mut values, mut times) = (Vec::new(), Vec::new());
    for row in rows.rev() {
        let hour = row.div_euclid(40).rem_euclid(24);
        let noise: f64 = (0..12).map(|at| noise(row * 12 + at)).sum::<f64>() - 6.0;
        let usual =
            2.0 * (f64::from(i32::try_from(hour).unwrap()) / 24.0 * std::f64::consts::TAU).sin();
        values.push(usual + noise + if hour < 6 { night } else { 0.0 });
        times.push(row * 90_000);
    }
    let columns: [(&str, ArrayRef); 3] = [
        ("meter", Arc::new(Float64Array::from(vec![1.0; values.len()]))),
        ("load", Arc::new(Float64Array::from(values))),
        ("at", Arc::new(TimestampMillisecondArray::from(times))),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Between 0 and 1, by splitmix64.
fn noise(seed: i64) -> f64 {
    let mut z = seed.cast_unsigned().wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    f64::from(u32::try_from((z ^ (z >> 31)) >> 32).unwrap()) / 2_f64.powi(32)
}

#[test]
fn rows_are_compared_with_those_of_their_own_hour() {
    let place = Place::new();
    for folder in ["usual", "nights"] {
        std::fs::create_dir(place.path(folder)).unwrap();
    }
    hourly(&place.path("before.parquet"), 0, 10, 0.0);
    hourly(&place.path("usual/a.parquet"), 10, 4, 0.0);
    hourly(&place.path("nights/a.parquet"), 10, 4, 1.5);
    let watch = |reference: &str, folder: &str, flags: &[&str]| {
        place.run(&[&["drift", "watch", reference, folder, "--once"], flags].concat())
    };
    let by_hour = ["--time", "at", "--season", "hour-of-day"];
    // Whoever knows nothing of hours takes each for a change.
    let out = watch("before.parquet", "usual", &["--time", "at"]).ok();
    assert!(out.contains("load moved by") || out.contains("load changed"), "{out}");
    let out = watch("before.parquet", "usual", &by_hour).ok();
    assert!(out.starts_with("a.parquet: 3840 rows, 3") && out.contains(", 0 alarms"), "{out}");
    let out = watch("before.parquet", "nights", &by_hour).ok();
    assert!(out.contains("load ") && !out.contains(", 0 alarms"), "{out}");

    // What comes later is compared with its own hour, too, not with that in which it was looked at.
    let flags = [&["before.parquet", "usual"], &by_hour[..]].concat();
    let mut following = Following::open_with(&place, &flags);
    assert_eq!(following.next()["alarms"], Value::Array(Vec::new()));
    hourly(&place.path("usual/later.parquet"), 14, 4, 0.0);
    assert_eq!(following.next()["alarms"], Value::Array(Vec::new()));
    drop(following);

    place.run(&["drift", "profile", "before.parquet", "--out", "before.profile"]).ok();
    watch("before.profile", "usual", &by_hour).failed(69, "a profile has no times");
    let days = (0..200).map(|at| format!("{at},2018-01-01T00:00:0{}Z", at % 9));
    place.write("days.csv", &format!("load,at\n{}\n", days.collect::<Vec<_>>().join("\n")));
    place.run(&["drift", "profile", "days.csv", "--out", "days.profile"]).ok();
    watch("days.profile", "usual", &["--time", "at"]).failed(65, "\"at\" says when rows came");
    std::fs::create_dir(place.path("ahead")).unwrap();
    place.write("ahead/a.csv", "load,at\n1,2018-01-01T00:00:00Z\n2,2999-01-01T00:00:00Z\n");
    watch("before.parquet", "ahead", &["--time", "at"]).failed(65, "column \"at\", row 1: 2999");
    std::fs::create_dir(place.path("unsorted")).unwrap();
    hourly(&place.path("unsorted/a.parquet"), 0, 20, 0.0);
    watch("before.parquet", "unsorted", &["--time", "at"]).failed(65, "sort the file by it");
    watch("before.parquet", "usual", &["--season", "weekday"]).failed(65, "--time COLUMN");
    let other = ["--time", "meter", "--season", "weekday"];
    watch("before.parquet", "usual", &other)
        .failed(65, "column \"meter\" has no times but Float64");
    let absent = ["--time", "asked"];
    watch("before.parquet", "usual", &absent).failed(65, "column \"asked\" is missing");
    place.write("usual/b.csv", "load,at\n1,2018-01-01T00:00:00Z\n2,noon\n");
    watch("before.parquet", "usual", &["--time", "at"])
        .failed(65, "column \"at\", row 1: not an RFC 3339");
}

/// What a watch says that is told to end after its first line, and its exit code.
fn told_to_end(place: &Place, flags: &[&str]) -> (String, Option<i32>) {
    let mut child = place.command(flags).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap());
    let mut all = String::new();
    said.read_line(&mut all).unwrap();
    let told = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(told.success());
    said.read_to_string(&mut all).unwrap();
    (all, child.wait().unwrap().code())
}

/// A watch whose objects are read as they come.
struct Following {
    child: Child,
    said: std::io::Lines<BufReader<ChildStdout>>,
}

impl Following {
    fn open(place: &Place, reference: &str, folder: &str) -> Self {
        Self::open_with(place, &[reference, folder])
    }

    fn open_with(place: &Place, flags: &[&str]) -> Self {
        let flags = [&["drift", "watch", "--interval", "1", "--json"], flags].concat();
        let mut child = place.command(&flags).stdout(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn next(&mut self) -> Value {
        serde_json::from_str(&self.said.next().unwrap().unwrap()).unwrap()
    }

    /// Reads on until so many rows have been seen; no more than that.
    fn rows(&mut self, rows: u64) {
        let mut seen = 0;
        while seen < rows {
            seen += self.next()["rows"].as_u64().unwrap();
        }
        assert_eq!(seen, rows);
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A log has a segment for each version that answers.
#[test]
fn segments_of_a_log_that_grow_side_by_side_are_watched() {
    let place = Place::new();
    let all = rows("logistic", 100);
    place.write("reference.csv", &csv(&all));
    for folder in ["one", "two"] {
        promote_from(&place, "logistic", folder);
    }
    champion(&place, 1);
    let server = place.serve(&serve_arguments());
    let rows: Vec<Vec<f32>> = all.iter().map(|(_, row)| row.clone()).collect();
    // How many rows were asked when this version had answered.
    let ask = |version: u64| {
        champion(&place, version);
        let wanted = version.to_string();
        let answered = || server.infer("risk", &rows).0["model_version"] == *wanted;
        1 + (0..200).take_while(|_| !answered()).count() as u64
    };
    let mut count = ask(1) + ask(2);
    let mut watch = Following::open(&place, "reference.csv", "log");
    watch.rows(100 * count);
    for version in [1, 2, 1] {
        // The segment of the one that answered before has not ended.
        count = ask(version);
        watch.rows(100 * count);
    }
    assert!(count < 200, "the last version never answered");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn a_file_that_changes_is_read_again() {
    let place = Place::new();
    parquet(&place.path("before.parquet"), 1, 6000, 1000, 0.0);
    std::fs::create_dir(place.path("days")).unwrap();
    parquet(&place.path("days/a.parquet"), 2, 3000, 1000, 0.0);
    let mut watch = Following::open(&place, "before.parquet", "days");
    let first = watch.next();
    assert_eq!((&first["from"], &first["rows"]), (&"a.parquet".into(), &3000.into()));
    parquet(&place.path("days/a.parquet"), 3, 2000, 1000, 9.0);
    let again = watch.next();
    assert_eq!((&again["from"], &again["rows"]), (&"a.parquet".into(), &2000.into()));
    assert_eq!(again["alarms"][0]["column"], "age");
}
