//! Files from strangers: none makes the engine panic, recurse deeply or take much memory.

use super::{
    Golden,
    bombs::bombs,
    boosted, boosters, json, list,
    proto::{declared_output, input, model, node},
    run, sklearn, unhex,
};
use mlops_core::tensor::{DType, Tensor, Tensors};
use mlops_serve::{LoadOptions, Session, engines::tabular::TabularSession};
use proptest::{collection::vec, prelude::*, sample::Index};
use std::{sync::LazyLock, time::Instant};

/// Files that exporters and libraries made, and one of each operator.
static FILES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let golden = Golden::all().into_iter().map(|golden| golden.onnx());
    let cases = json("operators.json");
    let operators = list(&cases["cases"]).iter().map(|case| unhex(&case["onnx"]));
    let trees = boosted::files().into_iter().chain(boosters::files());
    golden.chain(operators).chain(trees).chain(sklearn::files()).collect()
});

/// A change to a file.
#[derive(Clone, Debug)]
enum Change {
    Truncate(Index),
    Flip(Vec<(Index, u8)>),
    Overwrite(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    /// A part of the file once more, elsewhere.
    Repeat(Index, Index, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        1 => any::<Index>().prop_map(Change::Truncate),
        4 => vec((any::<Index>(), 0..8_u8), 1..6).prop_map(Change::Flip),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Overwrite(at, byte)),
        1 => (any::<Index>(), vec(any::<u8>(), 1..6)).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (any::<Index>(), 1..20_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        1 => (any::<Index>(), any::<Index>(), 1..60_usize)
            .prop_map(|(from, to, len)| Change::Repeat(from, to, len)),
    ]
}

impl Change {
    fn apply(self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let len = bytes.len();
        match self {
            Self::Truncate(at) => bytes.truncate(at.index(len)),
            Self::Flip(bits) => {
                for (at, bit) in bits {
                    bytes[at.index(len)] ^= 1 << bit;
                }
            }
            Self::Overwrite(at, byte) => bytes[at.index(len)] = byte,
            Self::Insert(at, new) => drop(bytes.splice(at.index(len)..at.index(len), new)),
            Self::Remove(at, count) => {
                let start = at.index(len);
                bytes.drain(start..len.min(start + count));
            }
            Self::Repeat(from, to, count) => {
                let start = from.index(len);
                let part = bytes[start..len.min(start + count)].to_vec();
                bytes.splice(to.index(len)..to.index(len), part);
            }
        }
    }
}

/// Rows that fit what the session says it takes, if they are few enough to make.
fn made_up(session: &TabularSession, rows: usize) -> Option<Tensors> {
    let mut inputs = Tensors::new();
    for spec in &session.info().signature.inputs {
        let axes = spec.shape.iter().enumerate();
        let shape: Vec<usize> =
            axes.map(|(at, axis)| axis.unwrap_or(if at == 0 { rows } else { 3 })).collect();
        let count = shape.iter().try_fold(1_usize, |all, &axis| all.checked_mul(axis))?;
        if count > 100_000 {
            return None;
        }
        let tensor = match spec.dtype {
            DType::Utf8 => Tensor::from_strs(shape, &vec!["a"; count]),
            DType::F32 => Tensor::from_vec(shape, vec![1.5_f32; count]),
            DType::F64 => Tensor::from_vec(shape, vec![f64::NAN; count]),
            DType::I64 => Tensor::from_vec(shape, vec![-7_i64; count]),
            DType::I32 => Tensor::from_vec(shape, vec![i32::MIN; count]),
            DType::Bool => Tensor::from_bools(shape, &vec![true; count]),
            _ => return None,
        };
        inputs.push(spec.name.clone(), tensor.unwrap()).unwrap();
    }
    Some(inputs)
}

/// Whatever loads also runs, or says why not; no output breaks the promise of the signature.
fn survives(bytes: &[u8]) -> bool {
    let options = LoadOptions::default().with_max_working_bytes(1 << 26);
    let Ok(session) = TabularSession::load(bytes, &options) else { return false };
    for rows in [0, 1, 4] {
        if let Some(inputs) = made_up(&session, rows)
            && let Ok(outputs) = run(&session, &inputs)
        {
            for ((_, tensor), spec) in outputs.iter().zip(&session.info().signature.outputs) {
                assert_eq!(tensor.dtype(), spec.dtype);
            }
        }
    }
    true
}

/// `PROPTEST_CASES` may ask for more.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(3_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_change_of_a_file_is_survived(file: Index, changes in vec(change(), 1..4)) {
        let mut bytes = FILES[file.index(FILES.len())].clone();
        for change in changes {
            change.apply(&mut bytes);
        }
        survives(&bytes);
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert!(!survives(&bytes), "random bytes are no model");
    }
}

/// The last bytes say the versions of the operators, one of which may not be needed.
#[test]
fn any_beginning_of_a_file_is_refused() {
    let check = |name: &str, step: usize| {
        let bytes = Golden::named(name).onnx();
        for len in (0..bytes.len()).step_by(step) {
            let loads = survives(&bytes[..len]);
            assert!(!loads || len + 30 > bytes.len(), "{name}, the first {len} bytes");
        }
    };
    for name in ["logistic", "pipeline", "mlp"] {
        check(name, 7);
    }
    for name in ["forest", "boosting", "lightgbm", "multiclass"] {
        check(name, 997);
    }
}

/// Small files that ask for a lot: each is refused, or answers without doing it.
#[test]
fn any_bomb_is_harmless() {
    for (what, bytes) in bombs() {
        let started = Instant::now();
        survives(&bytes);
        let took = started.elapsed();
        assert!(took.as_secs() < 30, "{what}: {took:?}");
    }
}

/// Runs the tests above once more where memory is short: 1 GiB of addresses, for the process with
/// all its libraries and stacks.
#[cfg(target_os = "linux")]
#[test]
fn no_file_takes_much_memory() {
    let tests =
        ["any_bomb_is_harmless", "any_change_of_a_file_is_survived", "any_bytes_are_survived"];
    let tests = tests.map(|name| format!("tabular::hostile::{name}"));
    let output = std::process::Command::new("sh")
        .args(["-c", "ulimit -v 1048576 && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "--test-threads=1"])
        .args(&tests)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("3 passed"),
        "{said}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a caller sends is as strange as a file may be.
#[test]
fn an_input_that_is_all_axis_is_refused() {
    let file = model(&[
        input("x", 1, &[-1, -1]),
        node("Relu", &["x"], &["y"], &[]),
        declared_output("y", 1, &[-1, -1]),
    ]);
    let session = TabularSession::from_onnx(&file).unwrap();
    let nothing = Tensor::from_vec([usize::MAX, 0], Vec::<f32>::new()).unwrap();
    let error = run(&session, &Tensors::one("x", nothing)).unwrap_err();
    assert_eq!(error.kind(), mlops_core::ErrorKind::TooLarge, "{error}");
}
