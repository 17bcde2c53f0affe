//! Packages on this machine's disk, so that an endpoint boots when the registry is away.
//!
//! An endpoint has a folder of its own. In it, each package lies in a folder named after its
//! digest, and `current.json` says which one answered last. Nothing in it is believed: a package is
//! verified to the byte whenever it is opened.

use mlops_core::{
    Clock, Digest, Error, ErrorKind, IdSource, RandomIds, Result, SystemClock,
    model::ModelPackage,
    registry::{ModelUri, ModelVersion},
};
use serde_json::{Value, json};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// The version of the form of `current.json`.
const FORMAT: u64 = 1;
const CURRENT: &str = "current.json";

/// The folder of one endpoint.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    uri: ModelUri,
    keep: usize,
}

impl Cache {
    /// Makes the folder if it is not there.
    pub(super) fn open(cache_dir: &Path, uri: &ModelUri, keep: usize) -> Result<Self> {
        let folder = cache_dir.join(folder_name(uri));
        fs::create_dir_all(&folder).map_err(|source| Error::io(folder.display(), source))?;
        Ok(Self { folder, uri: uri.clone(), keep: keep.max(1) })
    }

    /// Where a version's package lies, or will lie.
    pub(super) fn path(&self, version: &ModelVersion) -> PathBuf {
        self.folder.join(version.digest().to_hex())
    }

    /// A version's package, verified; `None` if it is not here. One that is damaged is removed, so
    /// that it can be fetched again.
    pub(super) fn package(&self, version: &ModelVersion) -> Result<Option<ModelPackage>> {
        let path = self.path(version);
        if !path.exists() {
            return Ok(None);
        }
        match ModelPackage::open_verified(&path, &version.manifest) {
            Ok(package) => Ok(Some(package)),
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::warn!(%error, "removing a damaged package from the cache");
                fs::remove_dir_all(&path).map_err(|source| Error::io(path.display(), source))?;
                Ok(None)
            }
            // Not the bytes' fault: another try may succeed, and there may be no other copy.
            Err(error) => Err(error),
        }
    }

    /// The version that answered last; `None` if none ever did.
    pub(super) fn current(&self) -> Result<Option<ModelVersion>> {
        let path = self.folder.join(CURRENT);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::io(path.display(), source)),
        };
        let bad = |why: String| Error::corrupt(format!("{}: {why}", path.display()));
        let mut record: Value =
            serde_json::from_slice(&text).map_err(|cause| bad(cause.to_string()))?;
        if record["format"].as_u64() != Some(FORMAT) {
            return Err(bad(format!("the format is {}, not {FORMAT}", record["format"])));
        }
        if record["uri"].as_str() != Some(self.uri.to_string().as_str()) {
            return Err(bad("it is about another model".to_owned()));
        }
        let version = serde_json::from_value(record["version"].take());
        version.map(Some).map_err(|cause| bad(cause.to_string()))
    }

    /// Remembers which version answers, durably, and forgets the packages that are least recent.
    pub(super) fn remember(&self, version: &ModelVersion) -> Result<()> {
        let failed = |source| Error::io(self.folder.display(), source);
        let record = json!({"format": FORMAT, "uri": self.uri, "version": version});
        // Two processes may share the folder while one takes over from the other.
        let unique = RandomIds.next(SystemClock.now());
        let fresh = self.folder.join(format!("{CURRENT}.{unique:032x}"));
        let write = || {
            let mut file = fs::File::create_new(&fresh)?;
            file.write_all(record.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&fresh, self.folder.join(CURRENT))
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&fresh);
            failed(source)
        })?;
        // Not every system lets a folder be opened; there its entries are durable without this.
        if let Ok(folder) = fs::File::open(&self.folder) {
            let _ = folder.sync_all();
        }
        self.forget_all_but(&self.path(version)).map_err(failed)
    }

    fn forget_all_but(&self, current: &Path) -> std::io::Result<()> {
        let mut packages = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path != current && name.parse::<Digest>().is_ok() {
                packages.push((fs::metadata(&path)?.modified()?, path));
            }
        }
        packages.sort_unstable();
        let surplus = (packages.len() + 1).saturating_sub(self.keep);
        for (_, path) in packages.drain(..surplus.min(packages.len())) {
            fs::remove_dir_all(path)?;
        }
        Ok(())
    }
}

/// A name that any file system takes and a person recognises; the digest keeps it unique.
fn folder_name(uri: &ModelUri) -> String {
    let text = uri.to_string();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let name: String = uri.model.as_str().chars().take(40).map(plain).collect();
    let digest = Digest::of(&text).to_hex();
    format!("{name}-{}", &digest[..16])
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::{Timestamp, VersionId, artifact::Manifest, model::PackageBuilder};

    fn version(cache: &Cache, number: u64) -> ModelVersion {
        let folder = tempfile::tempdir().unwrap();
        let package = PackageBuilder::new().with_file("weights", number.to_string()).unwrap();
        let package = package.write(folder.path().join("p")).unwrap();
        let id = VersionId::new(cache.uri.model.clone(), number);
        let manifest: Manifest = package.manifest().clone();
        let version = ModelVersion::new(id, manifest, Timestamp::default());
        fs::rename(folder.path().join("p"), cache.path(&version)).unwrap();
        version
    }

    #[test]
    fn it_remembers_verifies_and_forgets() {
        let folder = tempfile::tempdir().unwrap();
        let uri: ModelUri = "models:/my model@champion".parse().unwrap();
        let cache = Cache::open(folder.path(), &uri, 2).unwrap();
        assert!(cache.current().unwrap().is_none());
        let versions = [1, 2, 3].map(|number| version(&cache, number));
        cache.remember(&versions[2]).unwrap();

        let again = Cache::open(folder.path(), &uri, 2).unwrap();
        assert_eq!(again.current().unwrap().as_ref(), Some(&versions[2]));
        assert!(again.package(&versions[2]).unwrap().is_some());
        let kept = versions.iter().filter(|version| again.path(version).exists()).count();
        assert_eq!(kept, 2);

        fs::write(again.path(&versions[2]).join("weights"), "other").unwrap();
        assert!(again.package(&versions[2]).unwrap().is_none());
        assert!(!again.path(&versions[2]).exists());
    }

    #[test]
    fn a_record_of_another_form_is_corrupt() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), &"models:/m@a".parse().unwrap(), 1).unwrap();
        for text in ["", "{", "{\"format\": 2}", "{\"format\": 1, \"uri\": \"models:/m@b\"}"] {
            fs::write(cache.folder.join(CURRENT), text).unwrap();
            assert_eq!(cache.current().unwrap_err().kind(), ErrorKind::Corrupt, "{text}");
        }
    }
}
