//! Files in and out, and files that are not what they claim to be.

use super::{fixture, tables::table, why};
use mlops_core::{
    ErrorKind,
    data::{ColumnType, CsvOptions, CsvType, Dataset, ParquetOptions},
};
use proptest::prelude::*;

fn types(dataset: &Dataset) -> Vec<String> {
    let kind = |name: &str| dataset.column_type(name).unwrap().to_string();
    dataset.columns().map(kind).collect()
}

#[test]
fn every_form_that_pyarrow_writes_is_read() {
    // Parquet has no seconds: pyarrow writes them as milliseconds.
    let dataset = Dataset::open(fixture("foreign.parquet")).unwrap();
    let wanted = [
        "bool",
        "int8",
        "uint64",
        "float16",
        "float32",
        "float64",
        "str",
        "str",
        "str",
        "str",
        "str",
        "bytes",
        "date",
        "timestamp[ms]",
        "timestamp[us, Europe/Berlin]",
        "timestamp[ns, UTC]",
    ];
    assert_eq!(dataset.name().as_ref(), "foreign");
    assert_eq!(types(&dataset), wanted);
    for kind in wanted {
        assert_eq!(kind.parse::<ColumnType>().unwrap().to_string(), kind);
    }
    let texts = |name| dataset.strs(name).unwrap();
    assert_eq!(texts("text"), [Some("MA"), None, Some("")]);
    assert_eq!(texts("large"), [Some("ä"), None, Some("b")]);
    assert_eq!(texts("view"), [Some("x"), None, Some("a text of more than twelve bytes")]);
    assert_eq!(texts("coded"), [Some("hi"), None, Some("lo")]);
    assert_eq!(texts("nothing"), [None; 3]);
    assert_eq!(dataset.i64s("i8").unwrap(), [Some(-128), None, Some(127)]);
    assert_eq!(dataset.i64s("bool").unwrap(), [Some(1), None, Some(0)]);
    assert_eq!(dataset.i64s("date").unwrap(), [Some(17_532), None, Some(-1)]);
    assert_eq!(dataset.i64s("seconds").unwrap(), [Some(1_514_764_800_000), None, Some(-1000)]);
    assert_eq!(dataset.i64s("micros").unwrap()[0], Some(1_514_809_800_250_000));
    assert_eq!(dataset.f64s("f16").unwrap()[2], -2.0);
    assert_eq!(dataset.f64s("f32").unwrap()[2], f64::INFINITY);
    assert_eq!(dataset.f64s("f64").unwrap()[0], 0.1);

    let again = Dataset::from_parquet("again", dataset.to_parquet().unwrap()).unwrap();
    assert_eq!((types(&again), again.digest()), (types(&dataset), dataset.digest()));
    let frame = Dataset::open(fixture("pandas.parquet")).unwrap();
    assert_eq!(frame.strs("state").unwrap(), [Some("MA"), Some("NH"), None]);
}

#[test]
fn some_columns_are_read_in_the_order_asked_for() {
    let options = ParquetOptions::new().with_columns(["text", "i8"]).with_batch_rows(2_usize);
    let dataset = Dataset::read_parquet(fixture("foreign.parquet"), &options).unwrap();
    assert_eq!(dataset.columns().collect::<Vec<_>>(), ["text", "i8"]);
    assert_eq!((dataset.batches().len(), dataset.rows()), (2, 3));
    let plain = ParquetOptions::new().with_columns(["plain"]);
    assert_eq!(Dataset::read_parquet(fixture("nested.parquet"), &plain).unwrap().rows(), 2);
    let error = why(Dataset::read_parquet(fixture("zstd.parquet"), &plain));
    assert!(error.ends_with("zstd.parquet: has no column \"plain\""), "{error}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let kind = |name: &str| {
        let error = Dataset::open(fixture(name)).unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        error.kind()
    };
    assert_eq!(kind("absent.parquet"), ErrorKind::NotFound);
    assert_eq!(kind("oracle.json"), ErrorKind::Unsupported);
    assert_eq!(kind("zstd.parquet"), ErrorKind::Unsupported);
    assert_eq!(kind("nested.parquet"), ErrorKind::Unsupported);
    let error = Dataset::open(fixture("nested.parquet")).unwrap_err().to_string();
    assert!(error.contains("column \"list\" has type List("), "{error}");
    let error = Dataset::from_parquet("bytes", b"not a parquet file".to_vec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().starts_with("bytes: "), "{error}");
}

#[test]
fn a_written_file_is_whole_and_replaces_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let rows = |text: &str| Dataset::from_csv("rows", text, &CsvOptions::new()).unwrap();
    rows("a\n1\n").write_parquet(&path).unwrap();
    rows("a\n1\n2\n").write_parquet(&path).unwrap();
    assert_eq!(Dataset::open(&path).unwrap().rows(), 2);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let error = rows("a\n1\n").write_parquet(folder.path().join("no/rows.parquet")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn csv_types_are_what_all_values_are() {
    let text = "\u{feff}int,float,bool,text,zip,id,gap,phone,word\n\
        1,0.5,true,a,02139,12345678901234567890,,+1,inf\n\
        -2,1e3,FALSE,\"b, c\",02140,1,,+2,nan\n";
    let dataset = Dataset::from_csv("t", text, &CsvOptions::new()).unwrap();
    assert_eq!(dataset.columns().next(), Some("int"), "a byte order mark is no part of a name");
    let wanted = ["int64", "float64", "bool", "str", "str", "str", "str", "str", "str"];
    assert_eq!(types(&dataset), wanted);
    assert_eq!(dataset.strs("text").unwrap()[1], Some("b, c"));
    assert_eq!(dataset.strs("gap").unwrap(), [None, None]);
    assert_eq!(dataset.f64s("float").unwrap(), [0.5, 1000.0]);

    let bare = Dataset::from_csv("t", "1\n2\n", &CsvOptions::new().with_header(false)).unwrap();
    assert_eq!((bare.rows(), bare.columns().next()), (2, Some("column_0")));
    let none = Dataset::from_csv("t", "a,b\n", &CsvOptions::new()).unwrap();
    assert_eq!((none.rows(), types(&none)), (0, vec!["str".to_owned(); 2]));
}

#[test]
fn csv_mistakes_name_line_and_column_but_no_value() {
    let options = CsvOptions::new().with_type("a", CsvType::Bool);
    let error = |text: &[u8], options: &CsvOptions| why(Dataset::from_csv("f", text, options));
    assert_eq!(
        error(b"a,b\n1,\"two\nlines\"\nsecret,3\n", &options),
        "f: line 4, column \"a\": the value is no bool"
    );
    assert_eq!(error(b"a,b\n1,2\n3\n", &options), "f: line 3: 1 values, 2 are expected");
    assert_eq!(error(b"a\n\xff\n", &options), "f: line 2, column \"a\": the value is not UTF-8");
    assert_eq!(error(b"b\n1\n", &options), "f: has no column \"a\", whose type is given");
    assert_eq!(error(b"", &CsvOptions::new()), "f: is empty, so it names no columns");
    assert_eq!(error(b"a,a\n1,2\n", &CsvOptions::new()), "f: column \"a\" is there twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parquet_gives_back_what_it_was_given(dataset in table()) {
        let again = Dataset::from_parquet("again", dataset.to_parquet().unwrap()).unwrap();
        prop_assert_eq!(types(&again), types(&dataset));
        prop_assert_eq!(again.digest(), dataset.digest());
    }

    #[test]
    fn csv_and_parquet_of_the_same_values_have_one_digest(
        rows in prop::collection::vec((any::<Option<i64>>(), any::<f64>(), "[a-zA-Z ,\"\n]{1,5}"), 6..40)
    ) {
        let mut text = "i,f,t\n".to_owned();
        for (int, float, word) in &rows {
            let int = int.map(|i| i.to_string()).unwrap_or_default();
            text += &format!("{int},{float:?},\"{}\"\n", word.replace('"', "\"\""));
        }
        let types = [("i", CsvType::Int64), ("f", CsvType::Float64), ("t", CsvType::Utf8)];
        let options = types.into_iter().fold(CsvOptions::new(), |o, (name, kind)| o.with_type(name, kind));
        let csv = Dataset::from_csv("csv", &text, &options).unwrap();
        prop_assert_eq!(csv.f64s("f").unwrap(), rows.iter().map(|row| row.1).collect::<Vec<_>>());
        let parquet = Dataset::from_parquet("parquet", csv.to_parquet().unwrap()).unwrap();
        prop_assert_eq!(parquet.digest(), csv.digest());
    }

    #[test]
    fn any_bytes_are_csv_or_an_error(bytes: Vec<u8>) {
        let _ = Dataset::from_csv("bytes", &bytes, &CsvOptions::new());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    /// Each case is one flipped byte and one cut, of a small file and of a real tool's.
    #[test]
    fn a_broken_parquet_file_never_panics(at: prop::sample::Index, flip in 1..=255_u8, cut: prop::sample::Index) {
        for file in ["foreign.parquet", "pandas.parquet"] {
            let whole = std::fs::read(fixture(file)).unwrap();
            let mut flipped = whole.clone();
            flipped[at.index(whole.len())] ^= flip;
            let read = Dataset::from_parquet("flipped", flipped);
            if let Err(error) = read {
                prop_assert!(error.to_string().starts_with("flipped: "), "{}", error);
            }
            let cut = whole[..cut.index(whole.len())].to_vec();
            prop_assert!(Dataset::from_parquet("cut", cut).is_err());
        }
    }
}

/// Files of strangers: what they become is known before it is made.
#[test]
fn a_bounded_reader_makes_no_room_for_what_a_page_claims() {
    let numbers: Vec<f64> = (0..400_000).map(|at| f64::from(at) * 1.5).collect();
    let column: mlops_core::arrow::array::ArrayRef =
        std::sync::Arc::new(mlops_core::arrow::array::Float64Array::from(numbers));
    let dataset = Dataset::from_columns("t", [("x", column)]).unwrap();
    let mut bytes = dataset.to_parquet().unwrap();
    let bounded = |max: usize| ParquetOptions::new().with_max_bytes(max);
    let read =
        |bytes: &[u8], max: usize| Dataset::decode_parquet("t", bytes.to_vec(), &bounded(max));
    assert_eq!(read(&bytes, 64 << 20).unwrap().digest(), dataset.digest());
    let error = read(&bytes, 1 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");

    // The first page's head: its kind, then, as a number of seven bits a byte, its size decompressed.
    assert_eq!((&bytes[..4], bytes[6]), (&b"PAR1"[..], 0x15));
    let last = (7..12).find(|&at| bytes[at] < 0x80).unwrap();
    assert_eq!(last, 10, "four bytes");
    bytes[7..10].fill(0xfe);
    bytes[10] = 0x7f;
    let error = read(&bytes, 64 << 20).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.message().contains("longer than 67108864 bytes"), "{error}");

    let nested = read(&std::fs::read(fixture("nested.parquet")).unwrap(), 1 << 20).unwrap_err();
    assert_eq!(nested.kind(), ErrorKind::Unsupported, "{nested}");
    let one = ParquetOptions::new().with_max_columns(3).with_max_bytes(1 << 20);
    let wide = std::fs::read(fixture("foreign.parquet")).unwrap();
    let error = Dataset::decode_parquet("t", wide, &one).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}
