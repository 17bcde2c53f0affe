//! `mlops doctor`: is everything here that the program needs?

use super::{
    Answer, Console,
    engines::Engines,
    home,
    source::{DEFAULT_REGISTRY, Source},
};
use crate::{
    Digest, Error, Result, arrow::array::RecordBatch, inference_log::LOG_VERSION,
    model::ModelPackage,
};
use clap::Args;
use mlops_core::inference_log::LogReader;
use mlops_serve::{LocalConfig, engines::compiled_in};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Check the record, caches, logs and models that this machine has
#[derive(Debug, Args)]
#[command(after_help = "Exit code: 0 if every check passed, 1 if one failed.\n\n\
    Example:\n  mlops doctor --registry-uri sqlite:///mlops.db --inference-log log --model risk.onnx")]
pub(super) struct Doctor {
    /// The record; skipped if it is not named and mlops.db is not here
    #[arg(long, value_name = "URI")]
    registry_uri: Option<String>,
    /// The folder that `mlops serve` keeps models of the record in
    #[arg(long, value_name = "DIR", default_value = ".mlops/cache")]
    cache_dir: PathBuf,
    /// The folder that `mlops serve` logs into
    #[arg(long, value_name = "DIR")]
    inference_log: Option<PathBuf>,
    /// Models to load and warm
    #[arg(long, value_name = "SOURCE")]
    model: Vec<Source>,
    #[command(flatten)]
    engines: Engines,
    /// Write the checks as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What a check found.
#[derive(Debug)]
enum Finding {
    Good(String),
    Bad(String),
    /// Not there, and not asked for.
    Skipped(String),
}

impl From<Result<String>> for Finding {
    fn from(result: Result<String>) -> Self {
        result.map_or_else(|error| Self::Bad(error.to_string()), Self::Good)
    }
}

impl Doctor {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let mut checks = vec![
            ("versions".to_owned(), Finding::Good(versions())),
            ("machine".to_owned(), Finding::Good(machine())),
            ("engines".to_owned(), engines()),
            ("onnx runtime".to_owned(), onnx_runtime()),
            ("record".to_owned(), self.record()),
            ("cache".to_owned(), self.cache()),
            ("inference log".to_owned(), self.log()),
        ];
        for source in &self.model {
            checks.push((format!("model {}", source.own_name()), self.model(source).into()));
        }
        let passed = !checks.iter().any(|(_, finding)| matches!(finding, Finding::Bad(_)));
        for (name, finding) in &checks {
            let (word, text) = match finding {
                Finding::Good(text) => ("ok", text),
                Finding::Bad(text) => ("failed", text),
                Finding::Skipped(text) => ("skipped", text),
            };
            if console.json() {
                console.say_json(&json!({ "check": name, "result": word, "text": text }))?;
            } else {
                console.say(format_args!("{word:<8} {name}: {text}"))?;
            }
        }
        Ok(if passed { Answer::Yes } else { Answer::No })
    }

    /// The database opens, with this build's migrations, and its history is whole.
    fn record(&self) -> Finding {
        let uri = self.registry_uri.as_deref().unwrap_or(DEFAULT_REGISTRY);
        let absent = |path: Option<PathBuf>| path.is_some_and(|path| !path.exists());
        if self.registry_uri.is_none() && home::path(uri).is_ok_and(absent) {
            return Finding::Skipped(format!("{uri} is not here, and no other was named"));
        }
        let checked = super::block_on(async {
            let home = home::open(uri).await?;
            let Some(store) = home.store() else {
                return Ok(format!("{home:?} answers; its history is verified where it is kept"));
            };
            let events = store.verify_events().await?;
            Ok(format!("{uri} opens with this build's schema; its {events} events are unchanged"))
        });
        checked.into()
    }

    /// Every package is what its name says, and the folder takes another.
    fn cache(&self) -> Finding {
        if !self.cache_dir.exists() {
            return Finding::Skipped(format!("{} is not here", self.cache_dir.display()));
        }
        let checked = packages(&self.cache_dir).and_then(|count| {
            writable(&self.cache_dir)?;
            Ok(format!("{}: {count} packages, each verified", self.cache_dir.display()))
        });
        checked.into()
    }

    fn log(&self) -> Finding {
        let Some(folder) = &self.inference_log else {
            return Finding::Skipped("none was named".to_owned());
        };
        read_log(folder).into()
    }

    fn model(&self, source: &Source) -> Result<String> {
        let scratch = super::scratch()?;
        let registry = self.registry_uri.as_deref();
        let opened = super::block_on(source.open(registry, scratch.path()))?;
        let model = opened.predictor(&source.own_name(), &self.engines, &LocalConfig::default())?;
        let digest = opened.package.digest();
        let rows = model.inline_rows();
        Ok(format!("{digest} loads and runs; up to {rows} rows are computed inline"))
    }
}

fn versions() -> String {
    format!("mlops {}, inference log {LOG_VERSION}", env!("CARGO_PKG_VERSION"))
}

fn machine() -> String {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{} {}, {threads} threads", std::env::consts::OS, std::env::consts::ARCH)
}

fn engines() -> Finding {
    let engines = compiled_in();
    let names: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
    if names.is_empty() {
        return Finding::Bad("this build loads no models".to_owned());
    }
    Finding::Good(names.join(", "))
}

/// The library that the engine `onnx` needs. A machine without is well as long as no model asks for it.
#[cfg(feature = "onnx")]
fn onnx_runtime() -> Finding {
    use mlops_serve::engines::onnx::OnnxEngine;
    match OnnxEngine::library() {
        Ok(library) => Finding::Good(format!("{}: {}", library.path.display(), library.build)),
        Err(error) => Finding::Skipped(error.to_string()),
    }
}

#[cfg(not(feature = "onnx"))]
fn onnx_runtime() -> Finding {
    Finding::Skipped("this build has no engine onnx (feature `onnx`)".to_owned())
}

/// Verifies each package below a folder of endpoints' folders; how many there are.
fn packages(cache: &Path) -> Result<usize> {
    let mut count = 0;
    for endpoint in entries(cache)? {
        for path in entries(&endpoint)? {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Ok(digest) = name.parse::<Digest>() else { continue };
            let found = ModelPackage::open(&path)?.digest();
            if found != digest {
                let shown = path.display();
                return Err(Error::corrupt(format!("{shown} holds {found}")));
            }
            count += 1;
        }
    }
    Ok(count)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let failed = |source| Error::io(folder.display(), source);
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn writable(folder: &Path) -> Result<()> {
    let probe = folder.join(".doctor");
    let written = fs::write(&probe, b"").and_then(|()| fs::remove_file(&probe));
    written.map_err(|source| Error::io(folder.display(), source))
}

/// Reads the whole log: closed segments are checked against their digests on the way.
fn read_log(folder: &Path) -> Result<String> {
    let reader = LogReader::open(folder)?;
    let (mut rows, mut gaps) = (0, 0);
    for segment in reader.segments()? {
        let segment = segment?;
        rows += segment.batches.iter().map(RecordBatch::num_rows).sum::<usize>();
        gaps += usize::from(segment.gap.is_some());
    }
    let (outcomes, torn) = reader.outcomes()?;
    gaps += torn.len();
    let outcomes = outcomes.len();
    Ok(format!("{rows} rows and {outcomes} outcomes are read; {gaps} segments have a torn end"))
}
