//! `mlops models inspect`: what a file is, whether it can be served as it is, and what to do next.

mod formats;

use super::super::{Answer, Console, console::visible, engines::Engines, source};
use crate::{Error, Result, signature::TensorSpec};
use clap::Args;
use formats::Format;
use mlops_serve::Session;
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Say what a model file is, what it takes and gives, and what to do next
#[expect(clippy::doc_markdown, reason = "help is printed as it stands")]
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops models inspect risk.pkl")]
pub(in super::super) struct Inspect {
    /// A file of ONNX, LightGBM, XGBoost, CatBoost, safetensors, scikit-learn, PyTorch or Keras, or a folder: MLmodel or Sentence Transformers
    file: PathBuf,
    /// Write the result as JSON
    #[arg(long)]
    pub(super) json: bool,
}

/// What was found out.
struct Finding {
    format: Format,
    /// Loaded, or why it is not.
    loaded: Result<Arc<dyn Session>>,
}

impl Inspect {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let finding = Finding::of(&self.file)?;
        if console.json() {
            console.say_json(&finding.object(&self.file))?;
        } else {
            finding.say(&self.file, console)?;
        }
        Ok(Answer::Yes)
    }
}

impl Finding {
    fn of(path: &Path) -> Result<Self> {
        let facts = std::fs::metadata(path).map_err(|source| Error::io(path.display(), source))?;
        if facts.is_dir() {
            let is_encoder = source::is_encoder(path);
            let format = if is_encoder { Format::Encoder } else { Format::Package };
            let scratch = super::super::scratch()?;
            let package = source::open_folder(path, &scratch.path().join("package"));
            let loaded = match package {
                Ok(package) => source::session(&package, &Engines::default()),
                // What is no package is an error; what is an encoder may be one that is not computed.
                Err(error) if is_encoder => Err(error),
                Err(error) => return Err(error),
            };
            return Ok(Self { format, loaded });
        }
        let format = Format::of(path)?;
        let loaded = if format.may_load() {
            let scratch = super::super::scratch()?;
            let package = source::pack(path, &scratch.path().join("package"));
            package.and_then(|package| source::session(&package, &Engines::default()))
        } else {
            Err(Error::unsupported(format.why_not()))
        };
        Ok(Self { format, loaded })
    }

    fn object(&self, path: &Path) -> Value {
        let spec = |spec: &TensorSpec| {
            let shape: Vec<Value> =
                spec.shape.iter().map(|axis| axis.map_or(json!(-1), |n| json!(n))).collect();
            json!({ "name": spec.name, "type": spec.dtype.name(), "shape": shape, "columns": spec.columns })
        };
        let mut object = json!({
            "file": path.display().to_string(),
            "format": self.format.name(),
            "loads": self.loaded.is_ok(),
            "next": self.next(path),
        });
        match &self.loaded {
            Ok(session) => {
                let info = session.info();
                object["engine"] = info.engine.into();
                let specs = |specs: &[TensorSpec]| specs.iter().map(spec).collect::<Vec<_>>();
                object["inputs"] = specs(&info.signature.inputs).into();
                object["outputs"] = specs(&info.signature.outputs).into();
            }
            Err(error) => object["reason"] = error.message().into(),
        }
        object
    }

    fn say(&self, path: &Path, console: &Console) -> Result<()> {
        console.say(format_args!("file    {}", visible(&path.display().to_string())))?;
        console.say(format_args!("format  {}", self.format.name()))?;
        match &self.loaded {
            Ok(session) => {
                let info = session.info();
                console.say(format_args!("loads   yes, with the engine {}", info.engine))?;
                for spec in &info.signature.inputs {
                    console.say(format_args!("takes   {}", visible(&spec.to_string())))?;
                }
                for spec in &info.signature.outputs {
                    console.say(format_args!("gives   {}", visible(&spec.to_string())))?;
                }
            }
            Err(error) => {
                console.say(format_args!("loads   no: {}", visible(error.message())))?;
            }
        }
        console.say(format_args!("next    {}", visible(&self.next(path))))
    }

    fn next(&self, path: &Path) -> String {
        match &self.loaded {
            Ok(_) => format!("mlops serve --model {}", formats::quoted(path)),
            Err(_) => self.format.next(path),
        }
    }
}
