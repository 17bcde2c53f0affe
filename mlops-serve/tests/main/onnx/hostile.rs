//! Files from strangers. ONNX Runtime is a C++ program, and nobody promises that it bears any bytes; what
//! it refuses is an error here and harms nothing else.

use super::{engine, load, skipped};
use crate::tabular::{Golden, json, list, run, unhex};
use mlops_serve::{Session, engines::onnx::OnnxEngine};

/// The engine, with a release that bears these files: 1.23.2 ends the process at some.
fn bearing(test: &str) -> Option<OnnxEngine> {
    let engine = engine(test)?;
    let library = OnnxEngine::library().ok()?;
    let name = library.path.file_name()?.to_string_lossy().into_owned();
    let newer = name.split('.').filter_map(|part| part.parse::<u32>().ok()).nth(1) >= Some(31);
    if !newer {
        skipped(test, "the library may not bear such files");
    }
    newer.then_some(engine)
}

/// Files that exporters made, and one of each operator.
fn files() -> Vec<Vec<u8>> {
    let cases = json("operators.json");
    let operators = list(&cases["cases"]).iter().map(|case| unhex(&case["onnx"]));
    let exported = super::corpus::exported();
    let exported = exported.iter().map(|model| std::fs::read(&model.file).unwrap());
    operators.chain(exported).chain([Golden::named("forest").onnx()]).collect()
}

/// Whatever loads also runs, or says why not.
fn survives(engine: &OnnxEngine, file: &[u8]) -> bool {
    let Ok(session) = load(engine, file) else { return false };
    assert_eq!(session.info().engine, "onnx");
    let _ = run(&session, &mlops_core::tensor::Tensors::new());
    true
}

/// Every file cut off, and with single bytes changed: the same changes every time.
#[test]
fn files_that_were_cut_or_changed_are_refused_or_load() {
    let Some(engine) = bearing("files_that_were_cut_or_changed_are_refused_or_load") else {
        return;
    };
    let mut refused = 0;
    for (number, file) in files().iter().enumerate() {
        for part in 1..4 {
            refused += usize::from(!survives(&engine, &file[..file.len() * part / 4]));
        }
        let mut changed = file.clone();
        let at = (number * 7919) % changed.len();
        changed[at] ^= 0x55;
        refused += usize::from(!survives(&engine, &changed));
    }
    assert!(refused > 500, "{refused}");
}

/// Small files that ask for a lot, as `tabular` bears them.
#[test]
fn files_that_ask_for_a_lot_are_refused_or_load() {
    let Some(engine) = bearing("files_that_ask_for_a_lot_are_refused_or_load") else { return };
    let bombs = crate::tabular::bombs::bombs();
    let loaded = bombs.iter().filter(|(_, file)| survives(&engine, file)).count();
    assert!(loaded < bombs.len(), "{loaded}");
    let inputs = bombs.iter().find(|(name, _)| *name == "inputs").unwrap();
    let error = load(&engine, &inputs.1).unwrap_err();
    assert!(error.to_string().contains("inputs, over 4096"), "{error}");
}
