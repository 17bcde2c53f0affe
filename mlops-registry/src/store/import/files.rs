//! Artifacts from where a source keeps them.

use super::{
    super::{SqlStore, paths, paths::Owner},
    Imported, Source,
    folder::{files, relative},
    places::Places,
};
use crate::artifacts::blocking;
use bytes::Bytes;
use futures_util::{TryStreamExt, stream};
use mlops_core::{
    Error, Result, ResultExt,
    artifact::{ArtifactPath, ByteStream, Manifest},
};
use std::{
    fs::File,
    io::Read,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// How much of a file is read at once.
const PIECE: u64 = 1 << 20;

/// What the files of a run or logged model are asked by.
pub(super) struct Wanted<'a> {
    pub(super) owner: &'a Owner,
    /// Where they lie, as the source says.
    pub(super) place: &'a str,
    /// Whether a file that the record has stays as it is.
    pub(super) keep: bool,
}

impl Wanted<'_> {
    fn artifact(&self, name: &str) -> String {
        format!("artifact {name:?} of {}", self.owner)
    }
}

impl SqlStore {
    /// Takes every file below a place; whether there is none that was left.
    pub(super) async fn import_files(
        &self,
        source: &Source,
        wanted: &Wanted<'_>,
        places: &Places,
        done: &mut Imported,
    ) -> Result<bool> {
        let left = done.not_taken.len();
        let what = || format!("artifacts of {}", wanted.owner);
        let served = source.files(wanted.place).await;
        let Some(served) = done.given(what, served)? else { return Ok(false) };
        let (folder, names) = match served {
            Some(names) => (None, names),
            None => match self.names(wanted, places, done).await? {
                Some((folder, names)) => (Some(folder), names),
                None => return Ok(done.not_taken.len() == left),
            },
        };
        let owner = wanted.owner.clone();
        let read =
            async move |db: &mut _| paths::manifest(db, &owner, &ArtifactPath::default()).await;
        let there = self.shared.thread.read(read).await?;
        for name in names {
            let what = || wanted.artifact(&name);
            let Some(path) = done.given(what, ArtifactPath::new(name.as_str()))? else { continue };
            if wanted.keep && there.get(&path).is_some() {
                continue;
            }
            let body = match &folder {
                Some(folder) => body(path.under(folder)).await,
                None => source.file(wanted.place, &path).await,
            };
            let Some(body) = done.given(what, body)? else { continue };
            self.import_file(wanted, path, body, &there, done).await?;
        }
        Ok(done.not_taken.len() == left)
    }

    /// A folder of this machine and the names of its files; nothing if it is not there, which is reported
    /// unless nothing was ever logged.
    async fn names(
        &self,
        wanted: &Wanted<'_>,
        places: &Places,
        done: &mut Imported,
    ) -> Result<Option<(PathBuf, Vec<String>)>> {
        if wanted.place.is_empty() {
            return Ok(None);
        }
        let what = || format!("artifacts of {}", wanted.owner);
        let Some(folder) = done.given(what, places.folder(wanted.place))? else { return Ok(None) };
        // Runs lie in the folder of their experiment, logged models in one of theirs in it.
        let levels = if matches!(wanted.owner, Owner::Model(_)) { 3 } else { 2 };
        let Some(folder) =
            folder.filter(|folder| folder.is_dir() || places.nothing_logged(folder, levels))
        else {
            done.left(what(), format!("{:?} is no folder here", wanted.place));
            return Ok(None);
        };
        let own = folder.clone();
        let found = blocking::run(move || files(&own)).await;
        let Some(found) = done.given(what, found)? else { return Ok(None) };
        let names = found.iter().map(|file| relative(&folder, file)).collect();
        Ok(Some((folder, names)))
    }

    /// One file; counted if it is not what the record has under that path.
    async fn import_file(
        &self,
        wanted: &Wanted<'_>,
        path: ArtifactPath,
        body: ByteStream,
        there: &Manifest,
        done: &mut Imported,
    ) -> Result<()> {
        let failed = Arc::new(AtomicBool::new(false));
        let note = Arc::clone(&failed);
        let body = body.inspect_err(move |_| note.store(true, Ordering::Relaxed));
        let written = paths::write(self, wanted.owner.clone(), path.clone(), Box::pin(body)).await;
        let what = || wanted.artifact(path.as_str());
        // Whose error it is: the source's bytes cannot be read, or the record does not take them.
        let written = if failed.load(Ordering::Relaxed) {
            done.given(what, written)?
        } else {
            done.kept(what, written)?
        };
        if let Some(artifact) = written.filter(|artifact| there.get(&path) != Some(artifact)) {
            done.artifacts += 1;
            done.bytes += artifact.size;
        }
        Ok(())
    }

    /// Every file below a place that the source hands out, stored under its digest; empty if there is none.
    pub(super) async fn import_package(&self, source: &Source, place: &str) -> Result<Manifest> {
        let mut manifest = Manifest::default();
        for name in source.files(place).await?.unwrap_or_default() {
            let path = ArtifactPath::new(name)?;
            let body = source.file(place, &path).await?;
            let artifacts = self.shared.artifacts.clone();
            let put = self.shared.thread.task(async move { artifacts.put(body).await });
            let artifact = put.await.context(|| path.to_string())?;
            manifest.insert(path, artifact);
        }
        Ok(manifest)
    }
}

/// A file as a stream.
async fn body(path: PathBuf) -> Result<ByteStream> {
    let open = path.clone();
    let file = blocking::run(move || {
        File::open(&open).map_err(|source| Error::io(open.display(), source))
    });
    let pieces = stream::try_unfold((file.await?, path), |(mut file, path)| {
        blocking::run(move || {
            let mut piece = Vec::new();
            let read = file.by_ref().take(PIECE).read_to_end(&mut piece);
            read.map_err(|source| Error::io(path.display(), source))?;
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, path))))
        })
    });
    Ok(Box::pin(pieces))
}
