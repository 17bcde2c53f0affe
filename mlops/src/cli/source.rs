//! Where a model comes from: a file, a folder, a version of the record, or another server.

use super::{engines::Engines, home};
use crate::{
    Error, ErrorKind, Registry, Result, ResultExt,
    model::{ModelPackage, names},
    registry::ModelUri,
};
use mlops_core::model::PackageBuilder;
use mlops_serve::{
    LoadOptions, LocalConfig, LocalPredictor, Session,
    engines::{remote::RemoteConfig, tabular::TabularSession},
    load_package,
};
use serde_json::json;
use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

/// What `--model` names: a bare file, a folder with an `MLmodel` or of a sentence encoder,
/// `models:/NAME@ALIAS`, or a model of another server: `http://host:port/v2/models/NAME`, `grpc://…`.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    File(PathBuf),
    Folder(PathBuf),
    Registry(ModelUri),
    Remote(Box<RemoteConfig>),
}

/// How the URL of a model of another server begins.
const REMOTE: [&str; 4] = ["http://", "https://", "grpc://", "grpcs://"];

/// The endings of bare files: ONNX, LightGBM's text, JSON of XGBoost and CatBoost, XGBoost's UBJSON.
pub(super) const ENDINGS: [&str; 5] = ["onnx", "txt", "lgb", "json", "ubj"];

/// `NAME=SOURCE`, or a source alone, which has a name of its own.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NamedSource {
    pub(super) name: Option<Arc<str>>,
    pub(super) source: Source,
}

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.starts_with("models:") {
            return text.parse().map(Self::Registry);
        }
        if REMOTE.iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(Self::Remote(Box::new(RemoteConfig::of_model(text)?)));
        }
        let path = PathBuf::from(text);
        let ending = path.extension().unwrap_or_default();
        let is_file = ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known));
        match text {
            "" => Err(Error::invalid("the model's source is empty")),
            _ if is_file || path.is_file() => Ok(Self::File(path)),
            _ => Ok(Self::Folder(path)),
        }
    }
}

impl FromStr for NamedSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            // A path may hold an equals sign too, but a name holds no slash.
            Some((name, source)) if !name.is_empty() && !name.contains(['/', '\\', ':']) => {
                Ok(Self { name: Some(name.into()), source: source.parse()? })
            }
            _ => Ok(Self { name: None, source: text.parse()? }),
        }
    }
}

impl Source {
    /// What the model is called if nobody says: the file's, the folder's or the registered name.
    pub(super) fn own_name(&self) -> Arc<str> {
        let path = match self {
            Self::Registry(uri) => return uri.model.as_str().into(),
            Self::Remote(config) => return Arc::clone(&config.model),
            Self::File(path) | Self::Folder(path) => path,
        };
        let stem =
            path.canonicalize().ok().and_then(|path| path.file_stem().map(ToOwned::to_owned));
        let stem = stem.or_else(|| path.file_stem().map(ToOwned::to_owned));
        stem.map_or_else(|| "model".into(), |stem| stem.to_string_lossy().into())
    }

    /// Its package, opened, and the version to tell callers. `scratch` is an empty folder that
    /// outlives the package: a bare file is packed there, a registered version fetched.
    pub(super) async fn open(&self, registry: Option<&str>, scratch: &Path) -> Result<Opened> {
        match self {
            Self::Remote(_) => Err(Error::unsupported(
                "a model of another server has no file here: `mlops serve` answers with it",
            )),
            Self::File(path) => {
                let package = pack(path, &scratch.join("package"))?;
                Ok(Opened { package, version: "1".into() })
            }
            Self::Folder(path) => {
                let package = open_folder(path, &scratch.join("package"))?;
                Ok(Opened { package, version: "1".into() })
            }
            Self::Registry(uri) => {
                let home = home::open(registry.unwrap_or(DEFAULT_REGISTRY)).await?;
                let store = home.registry();
                let version = store.resolve(uri).await?;
                let package = store.fetch(&version.id, &scratch.join("package")).await?;
                Ok(Opened { package, version: version.id.version.to_string().into() })
            }
        }
    }
}

/// The record that is meant where none is named.
pub(super) const DEFAULT_REGISTRY: &str = "sqlite:///mlops.db";

/// A package on this machine's disk.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) package: ModelPackage,
    pub(super) version: Arc<str>,
}

impl Opened {
    /// Loads it, warms it, and gives it threads.
    pub(super) fn predictor(
        &self,
        name: &Arc<str>,
        engines: &Engines,
        config: &LocalConfig,
    ) -> Result<LocalPredictor> {
        let session = session(&self.package, engines)?;
        LocalPredictor::open(Arc::clone(name), Arc::clone(&self.version), session, config)
    }
}

/// Loads a package with the first of these engines that can.
pub(super) fn session(package: &ModelPackage, engines: &Engines) -> Result<Arc<dyn Session>> {
    let within = || format!("loading the model in {}", package.folder().display());
    load_package(package, &engines.list()?, &LoadOptions::default()).context(within)
}

/// A folder that is a package, or one of Sentence Transformers, which is packed.
pub(super) fn open_folder(path: &Path, into: &Path) -> Result<ModelPackage> {
    if is_encoder(path) { pack_encoder(path, into) } else { ModelPackage::open(path) }
}

/// Whether a folder is a sentence encoder as its Python library saves it.
pub(super) fn is_encoder(path: &Path) -> bool {
    !path.join(names::MLMODEL).exists() && path.join("modules.json").is_file()
}

#[cfg(feature = "candle")]
fn pack_encoder(path: &Path, into: &Path) -> Result<ModelPackage> {
    mlops_serve::engines::candle::encoder_package(path, &LoadOptions::default())?.write(into)
}

#[cfg(not(feature = "candle"))]
fn pack_encoder(path: &Path, _: &Path) -> Result<ModelPackage> {
    let path = path.display();
    Err(Error::unsupported(format!("{path}: a build with the feature `candle` loads encoders")))
}

/// A bare file as a package, so that it has a digest as every other model has. The same bytes make
/// the same package.
pub(super) fn pack(path: &Path, into: &Path) -> Result<ModelPackage> {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let name = format!("model.{ending}");
    let options = LoadOptions::default();
    let facts = std::fs::metadata(path).map_err(|source| Error::io(path.display(), source))?;
    // Looked at before the bytes are in memory.
    if facts.len() > options.max_model_bytes {
        let (bytes, most) = (facts.len(), options.max_model_bytes);
        return Err(Error::too_large(format!("{} has {bytes} bytes, over {most}", path.display())));
    }
    let bytes = std::fs::read(path).map_err(|source| Error::io(path.display(), source))?;
    let loaded = TabularSession::load(&bytes, &options);
    let builder = match loaded.context(|| format!("loading {}", path.display())) {
        Ok(session) => PackageBuilder::new()
            .with_flavor(session.flavor(), json!({ "data": name }))?
            .with_signature(&session.info().signature),
        // Another engine may; what it takes and gives is known when it is loaded.
        Err(error) if error.kind() == ErrorKind::Unsupported && ending == "onnx" => {
            let builder = PackageBuilder::new().with_flavor("onnx", json!({ "data": name }))?;
            with_weights(builder, path)?
        }
        Err(error) => return Err(error),
    };
    builder.with_file(&name, bytes)?.write(into)
}

/// With the files that an ONNX model keeps weights in.
#[cfg(feature = "onnx")]
fn with_weights(mut builder: PackageBuilder, model: &Path) -> Result<PackageBuilder> {
    let folder = model.parent().unwrap_or(Path::new(""));
    for file in mlops_serve::engines::onnx::OnnxEngine::files_beside(model)? {
        let path = file.under(folder);
        let bytes = std::fs::read(&path).map_err(|source| Error::io(path.display(), source))?;
        builder = builder.with_file(file.as_str(), bytes)?;
    }
    Ok(builder)
}

#[cfg(not(feature = "onnx"))]
#[expect(clippy::unnecessary_wraps, reason = "with `onnx` it reads files")]
fn with_weights(builder: PackageBuilder, _: &Path) -> Result<PackageBuilder> {
    Ok(builder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_sources_are_told_apart() {
        let named = |text: &str| text.parse::<NamedSource>().unwrap();
        let onnx = |name: Option<&str>, path: &str| NamedSource {
            name: name.map(Into::into),
            source: Source::File(path.into()),
        };
        assert_eq!(named("risk=models/a.onnx"), onnx(Some("risk"), "models/a.onnx"));
        assert_eq!(named("models/a=b.ONNX"), onnx(None, "models/a=b.ONNX"));
        let uri = named("models:/risk@champion");
        assert!(matches!(&uri.source, Source::Registry(_)) && uri.name.is_none());
        assert_eq!(uri.source.own_name().as_ref(), "risk");
        assert!(matches!(named("./package").source, Source::Folder(_)));
        assert!("models:/risk".parse::<NamedSource>().is_err());
        let remote = named("risk=grpc://host:8081/v2/models/a=b/versions/2");
        let Source::Remote(config) = &remote.source else { panic!("{remote:?}") };
        assert_eq!((remote.name.as_deref(), &*config.model), (Some("risk"), "a=b"));
        assert_eq!(named("http://host/v2/models/m").source.own_name().as_ref(), "m");
        assert!("http://host/model.onnx".parse::<NamedSource>().is_err());
    }
}
