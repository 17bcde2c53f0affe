//! A folder that holds a model, opened or in the making.

use super::{MlModel, names};
use crate::{
    Digest, Error, Result, ResultExt,
    artifact::{ArtifactPath, Manifest},
    signature::ModelSignature,
};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A model on this machine's disk: a folder with an `MLmodel` descriptor.
#[derive(Clone, Debug)]
pub struct ModelPackage {
    folder: PathBuf,
    descriptor: MlModel,
    signature: Option<ModelSignature>,
    manifest: Manifest,
}

impl ModelPackage {
    /// Reads the descriptor and hashes every file.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let path = folder.join(names::MLMODEL);
        let text = fs::read_to_string(&path).map_err(|source| Error::io(path.display(), source))?;
        let within = || format!("opening model package {}", folder.display());
        let descriptor = MlModel::from_yaml(&text).context(within)?;
        let signature = descriptor.signature().context(within)?;
        let manifest = Manifest::of_dir(&folder).context(within)?;
        Ok(Self { folder, descriptor, signature, manifest })
    }

    /// Reads a package that must be the one with this manifest; `Corrupt` names what differs.
    pub fn open_verified(folder: impl Into<PathBuf>, manifest: &Manifest) -> Result<Self> {
        let folder = folder.into();
        // Hash before anything is parsed: foreign bytes are read only once they are the right ones.
        manifest.verify_dir(&folder)?;
        Self::open(folder)
    }

    /// Where it lies.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The descriptor.
    pub fn descriptor(&self) -> &MlModel {
        &self.descriptor
    }

    /// What it takes and gives, if it says so.
    pub fn signature(&self) -> Option<&ModelSignature> {
        self.signature.as_ref()
    }

    /// Every file with its digest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Names the package: the digest of its manifest.
    pub fn digest(&self) -> Digest {
        self.manifest.digest()
    }

    /// A file of the package, if it is there.
    pub fn file(&self, path: &str) -> Option<PathBuf> {
        let path = ArtifactPath::new(path).ok()?;
        self.manifest.get(&path).map(|_| path.under(&self.folder))
    }

    /// A file's bytes; `NotFound` names it.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let missing = || Error::not_found(format!("the model package has no file {path:?}"));
        let file = self.file(path).ok_or_else(missing)?;
        fs::read(&file).map_err(|source| Error::io(file.display(), source))
    }
}

/// A package in the making, in memory until it is written.
#[derive(Clone, Debug, Default)]
pub struct PackageBuilder {
    descriptor: MlModel,
    files: Vec<(ArtifactPath, Vec<u8>)>,
}

impl PackageBuilder {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how one kind of reader loads the model.
    pub fn with_flavor(mut self, name: &str, settings: serde_json::Value) -> Result<Self> {
        self.descriptor.set_flavor(name, settings)?;
        Ok(self)
    }

    /// Says what the model takes and gives.
    #[must_use]
    pub fn with_signature(mut self, signature: &ModelSignature) -> Self {
        self.descriptor.set_signature(signature);
        self
    }

    /// Changes the descriptor.
    #[must_use]
    pub fn with_descriptor(mut self, change: impl FnOnce(&mut MlModel)) -> Self {
        change(&mut self.descriptor);
        self
    }

    /// Adds a file; one path twice is `AlreadyExists`, and so is the descriptor's.
    pub fn with_file(mut self, path: &str, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        let path = ArtifactPath::new(path)?;
        let taken =
            path.as_str() == names::MLMODEL || self.files.iter().any(|(own, _)| *own == path);
        if taken || path.as_str().is_empty() {
            return Err(Error::already_exists(format!("model file {:?} is taken", path.as_str())));
        }
        self.files.push((path, bytes.into()));
        Ok(self)
    }

    /// Writes the package into a folder that does not exist yet and opens it.
    pub fn write(self, folder: impl Into<PathBuf>) -> Result<ModelPackage> {
        let folder = folder.into();
        fs::create_dir(&folder).map_err(|source| Error::io(folder.display(), source))?;
        let descriptor = self.descriptor.to_yaml()?.into_bytes();
        let descriptor = (ArtifactPath::new(names::MLMODEL)?, descriptor);
        for (path, bytes) in self.files.iter().chain([&descriptor]) {
            let file = path.under(&folder);
            let parent = file.parent().unwrap_or(&folder);
            let written = fs::create_dir_all(parent).and_then(|()| fs::write(&file, bytes));
            written.map_err(|source| Error::io(file.display(), source))?;
        }
        ModelPackage::open(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{signature::TensorSpec, tensor::DType};

    #[test]
    fn a_package_is_written_opened_and_verified() {
        let folder = tempfile::tempdir().unwrap();
        let x = TensorSpec::new("x", DType::F32, [None, Some(2)]);
        let signature = ModelSignature::new(vec![x], vec![]).unwrap();
        let package = PackageBuilder::new()
            .with_flavor("onnx", serde_json::json!({"data": "model.onnx"}))
            .unwrap()
            .with_signature(&signature)
            .with_file("model.onnx", b"bytes".to_vec())
            .unwrap()
            .write(folder.path().join("m"))
            .unwrap();
        assert_eq!(package.signature(), Some(&signature));
        assert_eq!(package.read("model.onnx").unwrap(), b"bytes");
        assert_eq!(package.manifest().iter().len(), 2);

        let again = ModelPackage::open_verified(package.folder(), package.manifest()).unwrap();
        assert_eq!(again.digest(), package.digest());
        fs::write(folder.path().join("m/model.onnx"), "bytez").unwrap();
        let error = ModelPackage::open_verified(package.folder(), package.manifest()).unwrap_err();
        assert!(error.to_string().starts_with("model.onnx: expected sha256:"), "{error}");
        assert!(package.read("../secret").is_err() && package.read("other").is_err());
    }
}
