//! Formats of model files: by what their names and first bytes say, without running any of them.

use crate::{Error, Result};
use std::{fs::File, io::Read, path::Path};

/// What a model file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Package,
    /// A folder of Sentence Transformers.
    Encoder,
    Onnx,
    /// LightGBM's text.
    Text,
    /// XGBoost's or CatBoost's JSON.
    Json,
    Ubjson,
    /// CatBoost's binary format.
    Cbm,
    /// XGBoost's old binary format.
    XgboostBinary,
    Safetensors,
    Pickle,
    Joblib,
    Skops,
    Torch,
    Keras,
    Hdf5,
}

/// Endings, and what files that have them are.
const ENDINGS: [(&str, Format); 20] = [
    ("onnx", Format::Onnx),
    ("txt", Format::Text),
    ("lgb", Format::Text),
    ("json", Format::Json),
    ("ubj", Format::Ubjson),
    ("cbm", Format::Cbm),
    ("bin", Format::XgboostBinary),
    ("model", Format::XgboostBinary),
    ("deprecated", Format::XgboostBinary),
    ("safetensors", Format::Safetensors),
    ("pkl", Format::Pickle),
    ("pickle", Format::Pickle),
    ("cloudpickle", Format::Pickle),
    ("joblib", Format::Joblib),
    ("skops", Format::Skops),
    ("pt", Format::Torch),
    ("pth", Format::Torch),
    ("keras", Format::Keras),
    ("h5", Format::Hdf5),
    ("hdf5", Format::Hdf5),
];

impl Format {
    /// What the file's bytes say, else its ending.
    pub(super) fn of(path: &Path) -> Result<Self> {
        let mut head = [0; 8];
        let mut read = 0;
        let mut file = File::open(path).map_err(|source| Error::io(path.display(), source))?;
        while read < head.len() {
            match file.read(&mut head[read..]) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(source) => return Err(Error::io(path.display(), source)),
            }
        }
        let ending = path.extension().unwrap_or_default();
        let named = ENDINGS.iter().find(|(known, _)| ending.eq_ignore_ascii_case(known));
        // PyTorch saves archives and pickles under endings of XGBoost's too, as in pytorch_model.bin.
        let is_python = head.starts_with(b"PK\x03\x04") || matches!(head, [0x80, 2..=5, ..]);
        match (named, Self::of_bytes(&head[..read])) {
            (Some((_, Self::XgboostBinary)), None) if is_python => Ok(Self::Torch),
            (_, Some(format)) => Ok(format),
            (Some((_, format)), None) => Ok(*format),
            (None, None) => {
                let known: Vec<String> =
                    ENDINGS.iter().map(|(ending, _)| format!(".{ending}")).collect();
                Err(Error::unsupported(format!(
                    "{}: no model format that is known here: {}",
                    path.display(),
                    known.join(" ")
                )))
            }
        }
    }

    /// What only one format begins with.
    fn of_bytes(head: &[u8]) -> Option<Self> {
        let starts: [(&[u8], Self); 4] = [
            (b"CBM1", Self::Cbm),
            (b"binf", Self::XgboostBinary),
            (b"tree\n", Self::Text),
            (b"\x89HDF\r\n\x1a\n", Self::Hdf5),
        ];
        starts.iter().find(|(start, _)| head.starts_with(start)).map(|(_, format)| *format)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Package => "MLmodel folder",
            Self::Encoder => "Sentence Transformers folder",
            Self::Onnx => "ONNX",
            Self::Text => "LightGBM, text",
            Self::Json => "XGBoost or CatBoost, JSON",
            Self::Ubjson => "XGBoost, UBJSON",
            Self::Cbm => "CatBoost, binary",
            Self::XgboostBinary => "XGBoost, old binary",
            Self::Safetensors => "safetensors",
            Self::Pickle => "Python pickle",
            Self::Joblib => "Python pickle of joblib",
            Self::Skops => "scikit-learn, skops",
            Self::Torch => "PyTorch",
            Self::Keras => "Keras 3",
            Self::Hdf5 => "Keras, HDF5",
        }
    }

    /// Whether an engine of this build reads such files.
    pub(super) fn may_load(self) -> bool {
        matches!(self, Self::Onnx | Self::Text | Self::Json | Self::Ubjson)
    }

    /// Why no engine reads such files.
    pub(super) fn why_not(self) -> &'static str {
        match self {
            Self::Pickle | Self::Joblib | Self::Torch => {
                "it is a program in Python's pickle format, which is never run here"
            }
            Self::Safetensors => "it holds weights alone; what computes with them stands elsewhere",
            _ => "no engine reads this format; its own library writes one that is read",
        }
    }

    /// The command that brings it to something that is served. Python reads the names of files as
    /// arguments, so that none has to be quoted twice.
    pub(super) fn next(self, path: &Path) -> String {
        let python = |code: &str, ending: &str| {
            let into = path.with_extension(ending);
            format!("python -c '{code}' {} {}", quoted(path), quoted(&into))
        };
        let onnx = |load: &str| {
            python(
                &format!(
                    "import sys; {load}; from skl2onnx import to_onnx; from skl2onnx.common.data_types import FloatTensorType as F; open(sys.argv[2], \"wb\").write(to_onnx(m, initial_types=[(\"features\", F([None, m.n_features_in_]))], options={{\"zipmap\": False}} if hasattr(m, \"predict_proba\") else None).SerializeToString())"
                ),
                "onnx",
            )
        };
        match self {
            Self::Package => "log or export the model in one of the formats: ONNX, LightGBM, XGBoost, CatBoost or safetensors".to_owned(),
            Self::Onnx | Self::Text | Self::Json | Self::Ubjson => format!(
                "look at the reason above; `mlops models inspect {}` again once the model is exported otherwise",
                quoted(path)
            ),
            Self::Cbm => python(
                "import sys; from catboost import CatBoost; CatBoost().load_model(sys.argv[1]).save_model(sys.argv[2], format=\"json\")",
                "json",
            ),
            Self::XgboostBinary => python(
                "import sys, xgboost; xgboost.Booster(model_file=sys.argv[1]).save_model(sys.argv[2])",
                "ubj",
            ),
            Self::Encoder => "look at the reason above; a BERT without layers after its pooling is what is computed".to_owned(),
            Self::Safetensors => "put it beside a config.json and an MLmodel with the flavor candle: see mlops_serve::engines::candle".to_owned(),
            Self::Pickle => onnx("import pickle; m = pickle.load(open(sys.argv[1], \"rb\"))"),
            Self::Joblib => onnx("import joblib; m = joblib.load(sys.argv[1])"),
            Self::Skops => onnx("import skops.io as s; m = s.load(sys.argv[1], trusted=s.get_untrusted_types(file=sys.argv[1]))"),
            Self::Torch => python(
                "import sys, torch; from safetensors.torch import save_file; save_file(torch.load(sys.argv[1], weights_only=True), sys.argv[2])",
                "safetensors",
            ),
            Self::Keras | Self::Hdf5 => python(
                "import sys, keras; keras.saving.load_model(sys.argv[1]).export(sys.argv[2], format=\"onnx\")",
                "onnx",
            ),
        }
    }
}

/// A path as a POSIX shell takes it.
pub(super) fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) && !text.starts_with('-') {
        return text.into_owned();
    }
    // Behind a dash stand flags.
    let begin = if text.starts_with('-') { "./" } else { "" };
    format!("'{begin}{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_as_a_shell_reads_them() {
        let quote = |text: &str| quoted(Path::new(text));
        assert_eq!(quote("models/a-1.onnx"), "models/a-1.onnx");
        assert_eq!(quote("it's here.pkl"), "'it'\\''s here.pkl'");
        assert_eq!(quote("-rf"), "'./-rf'");
        assert_eq!(quote("$(x)"), "'$(x)'");
    }
}
