//! What nothing refers to any more: listed, set aside, removed. Who refers to what is the record's to know.
//!
//! An object is never removed where it lies: it is moved aside first, under a name that nobody looks for,
//! and comes back if somebody found it of use in that very moment. Whoever finds an object already there
//! and relies on it renews its time first; whoever refers to it in the record looks at it once more, while
//! no garbage is collected.

use super::{ArtifactStore, blocking, layout};
use futures_util::{StreamExt, TryStreamExt, stream};
use mlops_core::{
    Clock, Digest, Error, Result, SystemClock, Timestamp,
    artifact::{ArtifactRef, Manifest},
};
use object_store::{ObjectMeta, ObjectStoreExt, path::Path as ObjectPath};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

/// How many objects of a store over a network are asked for or removed at the same time.
const AT_ONCE: usize = 16;

/// An object of the store.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    pub(crate) artifact: ArtifactRef,
    /// When it was written, or found already there by whoever wrote it again.
    pub(crate) used: Timestamp,
}

/// An object that was moved aside; nothing finds it any more.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) size: u64,
    /// Under what name; none if it is gone already.
    waiting: Option<ObjectPath>,
}

impl ArtifactStore {
    /// Every object that is there, in no order.
    pub(crate) async fn objects(&self) -> Result<Vec<Stored>> {
        let list = self.objects.list(Some(&layout::objects()));
        let found = list.try_filter_map(|meta| async move {
            // Others are no objects of ours: a store may be shared.
            let digest = meta.location.filename().and_then(|name| name.parse::<Digest>().ok());
            let used = Timestamp::from_unix_micros(meta.last_modified.timestamp_micros());
            Ok(digest
                .map(|digest| Stored { artifact: ArtifactRef { digest, size: meta.size }, used }))
        });
        found.try_collect().await.map_err(|cause| self.named.failed("listing artifacts", cause))
    }

    /// Refuses bytes that are not there. `Unavailable` if they are not: they may be stored again.
    ///
    /// One look and no more: it is made while the record is locked against the collector of garbage.
    pub(crate) async fn present(&self, artifact: &ArtifactRef) -> Result<()> {
        let size = match self.root() {
            Some(root) => match fs::metadata(layout::file(root, &artifact.digest)) {
                Ok(found) => Some(found.len()),
                Err(source) if source.kind() == io::ErrorKind::NotFound => None,
                Err(source) => return Err(Error::io(artifact.digest, source)),
            },
            None => self.look(&artifact.digest).await?.map(|found| found.size),
        };
        if size == Some(artifact.size) {
            return Ok(());
        }
        let text = format!("{}: was removed while it was stored: store it again", artifact.digest);
        Err(Error::unavailable(text))
    }

    /// Refuses bytes of which any are not there.
    pub(crate) async fn all_present(&self, manifest: &Manifest) -> Result<()> {
        let looks = manifest.iter().map(|(_, artifact)| self.present(artifact));
        stream::iter(looks).buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Looks once for an object over the network, no longer than the record may be kept locked for it.
    async fn look(&self, digest: &Digest) -> Result<Option<ObjectMeta>> {
        let path = layout::object(digest);
        let head = self.objects.head(&path);
        let found = match self.reached.locked_timeout {
            None => head.await,
            Some(limit) => tokio::time::timeout(limit, head).await.map_err(|_| {
                let store = self.named.as_bucket().unwrap_or("the artifact store");
                Error::unavailable(format!("{store}: did not answer within {limit:?}"))
            })?,
        };
        match found {
            Ok(found) => Ok(Some(found)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(cause) => Err(self.named.failed(digest, cause)),
        }
    }

    /// Notes that an object which is there is of use now; whether it is there.
    pub(super) async fn renew(&self, digest: &Digest) -> Result<bool> {
        let Some(root) = self.root() else { return Ok(true) };
        let file = layout::file(root, digest);
        blocking::run(move || {
            let now = system_time(SystemClock.now());
            // Whoever may not change it stores it again, under its own name.
            let opened = File::options().write(true).open(file);
            Ok(opened.is_ok_and(|file| file.set_modified(now).is_ok()))
        })
        .await
    }

    /// How many objects are set aside while the record is locked.
    pub(crate) fn set_aside_at_once(&self) -> usize {
        if self.root.is_some() { 250 } else { 2 * AT_ONCE }
    }

    /// Moves objects aside, those that have been of use since this time and those that are gone excepted.
    ///
    /// Objects over the network are removed at once, each by one request: if the answer to it is lost, the
    /// collection fails.
    pub(crate) async fn set_aside(
        &self,
        digests: &[Digest],
        since: Timestamp,
    ) -> Result<Vec<Aside>> {
        if let Some(root) = self.root() {
            let aside = digests.iter().map(|digest| set_file_aside(root, digest, since));
            return aside.filter_map(Result::transpose).collect();
        }
        let removing = digests.iter().map(|digest| self.remove_unused(digest, since));
        let found: Vec<_> = stream::iter(removing).buffer_unordered(AT_ONCE).try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn remove_unused(&self, digest: &Digest, since: Timestamp) -> Result<Option<Aside>> {
        let Some(found) = self.look(digest).await? else { return Ok(None) };
        if found.last_modified.timestamp_micros() > since.unix_micros() {
            return Ok(None);
        }
        let deleted = self.objects.delete(&layout::object(digest)).await;
        deleted.map_err(|cause| self.named.failed(digest, cause))?;
        Ok(Some(Aside { size: found.size, waiting: None }))
    }

    /// Removes what was moved aside.
    pub(crate) async fn remove(&self, aside: Aside) -> Result<()> {
        let Some(waiting) = aside.waiting else { return Ok(()) };
        match self.objects.delete(&waiting).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(cause) => Err(self.named.failed("removing what was set aside", cause)),
        }
    }

    /// Removes what uploads have left behind that were given up or killed, if nothing was added to it
    /// since this time; gives how many and their bytes. Counts only, if dry.
    pub(crate) async fn remove_leftovers(&self, since: Timestamp, dry: bool) -> Result<(u64, u64)> {
        if let Some(root) = self.root() {
            let root = root.to_owned();
            return blocking::run(move || leftover_files(&root, since, dry)).await;
        }
        let list = self.objects.list(Some(&layout::waiting()));
        let old: Vec<_> = list
            .try_filter(|meta| {
                let old = meta.last_modified.timestamp_micros() <= since.unix_micros();
                async move { old }
            })
            .try_collect()
            .await
            .map_err(|cause| self.named.failed("listing leftovers", cause))?;
        for meta in old.iter().filter(|_| !dry) {
            let deleted = self.objects.delete(&meta.location).await;
            deleted.map_err(|cause| self.named.failed("removing a leftover", cause))?;
        }
        Ok((old.len() as u64, old.iter().map(|meta| meta.size).sum()))
    }
}

/// Moves first and looks then: between a look and a move somebody could find it of use.
fn set_file_aside(root: &Path, digest: &Digest, since: Timestamp) -> Result<Option<Aside>> {
    let (file, waiting) = (layout::file(root, digest), layout::incoming());
    let aside = layout::below(root, &waiting);
    match fs::rename(&file, &aside) {
        Ok(()) => {}
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io(digest, source)),
    }
    let found = fs::metadata(&aside).map_err(|source| Error::io(digest, source))?;
    if modified(&found).is_some_and(|used| used > since) {
        // Not by a rename: where the same bytes were stored anew meanwhile, those stay.
        return match fs::hard_link(&aside, &file) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                fs::rename(&aside, &file).map_err(|source| Error::io(digest, source))
            }
            _ => fs::remove_file(&aside).map_err(|source| Error::io(digest, source)),
        }
        .map(|()| None);
    }
    Ok(Some(Aside { size: found.len(), waiting: Some(waiting) }))
}

/// What waits for its name in `incoming`, and beside the objects under names with `#`.
fn leftover_files(root: &Path, since: Timestamp, dry: bool) -> Result<(u64, u64)> {
    let mut folders = vec![layout::below(root, &layout::waiting())];
    folders.extend(entries(&layout::below(root, &layout::objects()))?);
    let (mut count, mut bytes) = (0, 0);
    for (at, folder) in folders.iter().enumerate() {
        for file in entries(folder)? {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            // The first folder holds nothing else.
            if at > 0 && !name.contains('#') {
                continue;
            }
            // One that is gone by now got its name, or was removed by another.
            let Ok(found) = fs::metadata(&file) else { continue };
            if modified(&found).is_none_or(|used| used > since) {
                continue;
            }
            let removed = if dry { Ok(()) } else { fs::remove_file(&file) };
            if removed.is_ok() {
                count += 1;
                bytes += found.len();
            }
        }
    }
    Ok((count, bytes))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::io(folder.display(), source);
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn modified(file: &fs::Metadata) -> Option<Timestamp> {
    let since = file.modified().ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    Some(Timestamp::default().plus(since))
}

fn system_time(time: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_micros(time.unix_micros().max(0).unsigned_abs())
}
