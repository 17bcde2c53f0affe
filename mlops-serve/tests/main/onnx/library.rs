//! A library that is not there, is none, or is too old. Each is looked for by a process of its own, since a
//! process that has one keeps it.

use super::corpus::named;
use mlops_serve::{
    LoadOptions,
    engines::{compiled_in, onnx::OnnxEngine},
    load_package,
};
use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

/// Asks a child to load a model.
fn child(explicit: &Path) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "onnx::library::loads_for_its_parent", "--nocapture", "--test-threads=1"])
        .env("MLOPS_ONNX_CHILD", "1")
        .env("ORT_DYLIB_PATH", explicit)
        .output()
        .unwrap()
}

fn said(explicit: &Path) -> String {
    let output = child(explicit);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text} {}", String::from_utf8_lossy(&output.stderr));
    let line = text.lines().find_map(|line| line.split_once("said: ")).map(|(_, said)| said);
    line.unwrap_or_else(|| panic!("{text}")).to_owned()
}

/// What a child does; nothing where nobody asks.
#[test]
fn loads_for_its_parent() {
    if env::var_os("MLOPS_ONNX_CHILD").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let model = mlops_core::model::PackageBuilder::new()
        .with_flavor("onnx", serde_json::json!({"data": "model.onnx"}))
        .unwrap()
        .with_file("model.onnx", fs::read(named("torch_cnn").file).unwrap())
        .unwrap()
        .write(folder.path().join("model"))
        .unwrap();
    // Twice: a failure is not remembered, and does no harm.
    assert!(OnnxEngine::library().is_err());
    let error = load_package(&model, &compiled_in(), &LoadOptions::default()).unwrap_err();
    println!("\nsaid: {:?} {error}", error.kind());
}

#[test]
fn a_library_that_is_not_there_is_named_with_the_way_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("libabsent.so");
    let said = said(&absent);
    assert!(said.starts_with("Unavailable") && said.contains("libabsent.so is no file"), "{said}");
    assert!(said.contains("`pip install onnxruntime`"), "{said}");
    // And why the other engine does not load it.
    assert!(said.contains("engine \"tabular\"") && said.contains("Conv"), "{said}");
}

#[test]
fn a_file_that_is_no_library_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let text = folder.path().join("libtext.so");
    fs::write(&text, "no library").unwrap();
    let said = said(&text);
    assert!(said.starts_with("Unavailable") && said.contains("libtext.so"), "{said}");
}

/// Libraries that are made with a C compiler, where there is one.
#[cfg(target_os = "linux")]
#[expect(clippy::print_stdout, reason = "a test says that it is skipped")]
fn compiled(folder: &Path, name: &str, source: &str) -> Option<std::path::PathBuf> {
    let (code, library) = (folder.join(format!("{name}.c")), folder.join(format!("{name}.so")));
    fs::write(&code, source).unwrap();
    let built =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&code).status();
    let built = built.is_ok_and(|status| status.success());
    if !built {
        println!("skipped: {name}: there is no C compiler here");
    }
    built.then_some(library)
}

#[cfg(target_os = "linux")]
#[test]
fn a_library_that_is_another_or_too_old_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let other = compiled(folder.path(), "other", "int answer(void) { return 42; }");
    let nothing = "const void *OrtGetApiBase(void) { return 0; }";
    let nothing = compiled(folder.path(), "nothing", nothing);
    let old = "
        static const void *api(unsigned version) { return 0; }
        static const char *version(void) { return \"1.16.3\"; }
        static const struct { const void *(*api)(unsigned); const char *(*version)(void); } base = {api, version};
        const void *OrtGetApiBase(void) { return &base; }";
    let old = compiled(folder.path(), "old", old);
    for (library, why) in [
        (other, "does not export `OrtGetApiBase`"),
        (nothing, "is no ONNX Runtime"),
        (old, "'1.16.3'"),
    ] {
        let Some(library) = library else { continue };
        let said = said(&library);
        assert!(said.starts_with("Unavailable") && said.contains(why), "{said}");
    }
}

/// What a child does; nothing where nobody asks.
#[test]
fn finds_for_its_parent() {
    if env::var_os("MLOPS_ONNX_FINDS").is_some() {
        println!("\nsaid: {}", OnnxEngine::library().unwrap().path.display());
    }
}

/// As `pip install onnxruntime` puts it: nothing is set but the environment.
#[cfg(target_os = "linux")]
#[test]
fn the_library_of_an_active_python_environment_is_found() {
    let test = "the_library_of_an_active_python_environment_is_found";
    if super::engine(test).is_none() {
        return;
    }
    let library = OnnxEngine::library().unwrap().path;
    let venv = tempfile::tempdir().unwrap();
    let package = venv.path().join("lib/python3.11/site-packages/onnxruntime/capi");
    fs::create_dir_all(&package).unwrap();
    let link = package.join(library.file_name().unwrap());
    std::os::unix::fs::symlink(&library, &link).unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args(["--exact", "onnx::library::finds_for_its_parent", "--nocapture"])
        .env_remove("ORT_DYLIB_PATH")
        .env_remove("LD_LIBRARY_PATH")
        .env("VIRTUAL_ENV", venv.path())
        .env("MLOPS_ONNX_FINDS", "1")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = out.lines().find_map(|line| line.split_once("said: ")).map(|(_, said)| said);
    let said = Path::new(said.unwrap_or_else(|| panic!("{out}")));
    // A library of the system goes before.
    assert!(
        said == link || ["/usr", "/lib", "/opt"].iter().any(|root| said.starts_with(root)),
        "{out}"
    );
}
