//! `mlops predict`.

use super::{Place, WIDTH, columns, csv, expected, onnx, rows};
use mlops::arrow::array::Array;
use serde_json::{Value, json};

#[test]
fn csv_in_gives_what_onnx_runtime_gave_in_the_same_order() {
    let place = Place::new();
    for model in ["logistic", "lightgbm", "mlp"] {
        let rows = rows(model, 300);
        place.write("rows.csv", &csv(&rows));
        place.package(model, model);
        let out = place
            .run(&[
                "predict",
                "--model",
                model,
                "--input",
                "rows.csv",
                "--json",
                "--batch-rows",
                "64",
            ])
            .ok();
        let answers: Vec<Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(answers.len(), rows.len());
        for ((row, _), answer) in rows.iter().zip(&answers) {
            let (label, probability) = expected(model, *row);
            assert_eq!(answer["label"], label, "{model} row {row}");
            let computed = answer["probabilities"][1].as_f64().unwrap();
            assert!((computed - f64::from(probability)).abs() < 1e-6, "{model} row {row}");
        }
    }
}

/// However the rows come and go, the outputs are the same.
#[test]
fn every_form_of_rows_gives_the_same_outputs() {
    let place = Place::new();
    let rows = rows("logistic", 40);
    place.write("rows.csv", &csv(&rows));
    let objects = rows.iter().map(|(_, row)| {
        let object: serde_json::Map<_, _> =
            columns().into_iter().zip(row.iter().map(|value| json!(value))).collect();
        Value::Object(object)
    });
    place.write("rows.json", &Value::Array(objects.collect()).to_string());
    let packed: String =
        rows.iter().map(|(_, row)| json!({ "features": row }).to_string() + "\n").collect();
    place.write("packed.jsonl", &packed);
    place.package("logistic", "model");

    let named = place.run(&["predict", "--model", "model", "--input", "rows.csv"]).ok();
    assert_eq!(named.lines().next(), Some("label,probabilities"));
    assert_eq!(named.lines().count(), 41);
    assert_eq!(place.run(&["predict", "--model", "model", "--input", "rows.json"]).ok(), named);
    let bare = onnx("logistic");
    let bare = bare.to_str().unwrap();
    let in_order = columns().join(",");
    let by_order = ["predict", "--model", bare, "--input", "rows.csv", "--columns", &in_order];
    assert_eq!(place.run(&by_order).ok(), named);
    assert_eq!(place.run(&["predict", "--model", bare, "--input", "packed.jsonl"]).ok(), named);

    place.run(&["predict", "--model", "model", "--input", "rows.csv", "--output", "out.csv"]).ok();
    assert_eq!(place.read("out.csv"), named);
    place
        .run(&["predict", "--model", "model", "--input", "rows.csv", "--output", "out.parquet"])
        .ok();
    let bytes = std::fs::read(place.path("out.parquet")).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(
        bytes::Bytes::from(bytes),
    );
    let batches: Vec<_> = reader.unwrap().build().unwrap().map(Result::unwrap).collect();
    assert_eq!(batches.iter().map(mlops::arrow::array::RecordBatch::num_rows).sum::<usize>(), 40);
    let probabilities = batches[0].column_by_name("probabilities").unwrap();
    assert!(matches!(
        probabilities.data_type(),
        mlops::arrow::schema::DataType::FixedSizeList(_, 2)
    ));
}

#[test]
fn mistakes_are_named_and_have_their_exit_codes() {
    let place = Place::new();
    place.package("logistic", "model");
    let rows = rows("logistic", 2);
    place.write("rows.csv", &csv(&rows));
    place.write("short.csv", &csv(&rows).replace("c7", "other"));
    place.write("text.csv", &csv(&rows).replacen(&rows[1].1[3].to_string(), "many", 1));
    place.write("model.onnx", "no model");
    let run =
        |model: &str, input: &str| place.run(&["predict", "--model", model, "--input", input]);
    run("model", "short.csv").failed(65, "\"c7\"");
    run("model", "text.csv").failed(65, "\"c3\"");
    run("model", "absent.csv").failed(66, "absent.csv");
    run("absent", "rows.csv").failed(66, "absent");
    run("model.onnx", "rows.csv").failed(65, "model.onnx");
    run("models:/risk", "rows.csv").failed(2, "models:/NAME@ALIAS");
    run("model", "rows.txt").failed(69, "rows.txt");
    let bare = onnx("logistic");
    run(bare.to_str().unwrap(), "rows.csv").failed(65, "--columns");
    let few =
        ["predict", "--model", bare.to_str().unwrap(), "--input", "rows.csv", "--columns", "c0,c1"];
    place.run(&few).failed(65, &format!("{WIDTH}"));
    place.run(&["predict"]).failed(2, "--model");
    place.run(&["predict", "--help"]).failed(0, "Example:");
}

/// The stored predictions of a booster, in the text that its library saved.
#[test]
fn a_file_of_another_library_is_a_model_too() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../mlops-serve/tests/data/boosted");
    let doubles = |what: &str| -> Vec<f64> {
        let bytes = std::fs::read(format!("{folder}/lightgbm_regression.{what}.bin")).unwrap();
        bytes.chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap())).collect()
    };
    let (rows, wanted) = (doubles("inputs"), doubles("expected"));
    let place = Place::new();
    let finite =
        rows.chunks_exact(10).zip(wanted).filter(|(row, _)| row.iter().all(|x| x.is_finite()));
    let (rows, wanted): (Vec<_>, Vec<_>) = finite.unzip();
    let names = (0..10).map(|at| format!("f{at}")).collect();
    let cells = rows.iter().map(|row| row.iter().map(ToString::to_string).collect());
    let lines: Vec<String> =
        std::iter::once(names).chain(cells).map(|line: Vec<String>| line.join(",")).collect();
    place.write("rows.csv", &lines.join("\n"));
    let model = format!("{folder}/lightgbm_regression.txt");
    let out = place.run(&["predict", "--model", &model, "--input", "rows.csv", "--json"]).ok();
    let given: Vec<f64> = out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["prediction"].as_f64().unwrap())
        .collect();
    assert_eq!(given.len(), wanted.len());
    assert!(wanted.len() > 100 && given.iter().zip(&wanted).all(|(a, b)| (a - b).abs() < 1e-9));
}
