//! Content-addressed bytes: stored once, verified when read, visible as a whole or not at all.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use mlops_core::{
    Error, ErrorKind,
    artifact::{ArtifactPath, ArtifactRef, ByteStream, Manifest},
};
use mlops_registry::ArtifactStore;
use object_store::memory::InMemory;
use proptest::prelude::*;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tempfile::TempDir;

/// More than is held in memory on the way in.
const LONG: usize = (8 << 20) + 12_345;

struct Place {
    store: ArtifactStore,
    folder: TempDir,
}

async fn place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let store = ArtifactStore::open_dir(folder.path().join("artifacts")).await.unwrap();
    Place { store, folder }
}

impl Place {
    /// Every file that is in the store but its note of the format.
    fn objects(&self) -> Vec<PathBuf> {
        let root = self.store.root().unwrap();
        files(root).into_iter().filter(|path| *path != root.join("format")).collect()
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

pub(crate) fn body(bytes: &[u8], piece: usize) -> ByteStream {
    let pieces: Vec<_> =
        bytes.chunks(piece.max(1)).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

pub(crate) async fn read(
    store: &ArtifactStore,
    artifact: &ArtifactRef,
) -> mlops_core::Result<Vec<u8>> {
    let pieces: Vec<Bytes> = store.get(artifact).await?.try_collect().await?;
    Ok(pieces.concat())
}

pub(crate) fn long() -> Vec<u8> {
    (0..LONG).map(|index| u8::try_from(index % 251).unwrap()).collect()
}

#[tokio::test]
async fn the_same_bytes_are_stored_once_however_they_come() {
    let here = place().await;
    let elsewhere = ArtifactStore::new(Arc::new(InMemory::new()));
    for bytes in [Vec::new(), b"some bytes".to_vec(), long()] {
        let wanted = ArtifactRef::of(&bytes);
        for piece in [bytes.len(), 100_000] {
            assert_eq!(here.store.put(body(&bytes, piece)).await.unwrap(), wanted);
        }
        assert_eq!(elsewhere.put(body(&bytes, 100_000)).await.unwrap(), wanted);
        assert!(read(&here.store, &wanted).await.unwrap() == bytes);
        assert!(read(&elsewhere, &wanted).await.unwrap() == bytes);
    }
    assert_eq!(here.objects().len(), 3, "{:?}", here.objects());
}

#[tokio::test]
async fn progress_adds_up_to_what_was_moved() {
    let here = place().await;
    let package = here.folder.path().join("package");
    fs::create_dir(&package).unwrap();
    fs::write(package.join("long"), long()).unwrap();
    fs::write(package.join("short"), "short").unwrap();
    let size = LONG as u64 + 5;
    for store in [here.store.clone(), ArtifactStore::new(Arc::new(InMemory::new()))] {
        let (moved, pieces) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (bytes, calls) = (Arc::clone(&moved), Arc::clone(&pieces));
        let told = store.with_progress(move |more| {
            bytes.fetch_add(more, Ordering::SeqCst);
            calls.fetch_add(1, Ordering::SeqCst);
        });
        let seen = || (moved.swap(0, Ordering::SeqCst), pieces.swap(0, Ordering::SeqCst));
        let manifest = told.put_dir(&package).await.unwrap();
        assert_eq!(seen(), (size, 3), "the long one in two parts");
        told.put_dir(&package).await.unwrap();
        assert_eq!(seen(), (size, 2), "what is there is moved at once");
        let place = tempfile::tempdir().unwrap();
        told.fetch_dir(&manifest, &place.path().join("fetched")).await.unwrap();
        assert_eq!(seen().0, size);
        let other: Vec<u8> = long().into_iter().rev().collect();
        told.put(body(&other, 100_000)).await.unwrap();
        assert_eq!(seen(), (LONG as u64, 2));
        store.put(body(b"unheard", 3)).await.unwrap();
        assert_eq!(seen(), (0, 0), "by another handle");
    }
}

#[tokio::test]
async fn a_stream_that_fails_leaves_nothing_behind() {
    let here = place().await;
    for bytes in [b"a few".to_vec(), long()] {
        let broken = stream::once(async { Err(Error::unavailable("the line went dead")) });
        let body = Box::pin(body(&bytes, 1 << 20).chain(broken));
        let error = here.store.put(body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(here.objects(), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn damaged_bytes_are_named_and_healed() {
    let here = place().await;
    let artifact = here.store.put(body(b"the truth", 3)).await.unwrap();
    let object = here.objects().pop().unwrap();
    for damaged in ["the tryth", "the", "the truth and more"] {
        fs::write(&object, damaged).unwrap();
        let error = read(&here.store, &artifact).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(&artifact.digest.to_hex()), "{error}");
        here.store.put(body(b"the truth", 9)).await.unwrap();
        assert_eq!(read(&here.store, &artifact).await.unwrap(), b"the truth");
    }
    fs::remove_file(&object).unwrap();
    let error = here.store.get(&artifact).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_folder_appears_verified_or_not_at_all() {
    let here = place().await;
    let source = here.folder.path().join("source");
    fs::create_dir_all(source.join("deep/er")).unwrap();
    for (path, text) in [("a", "one"), ("deep/b", "two"), ("deep/er/c", "one")] {
        fs::write(source.join(path), text).unwrap();
    }
    let manifest = here.store.put_dir(&source).await.unwrap();
    assert_eq!(manifest, Manifest::of_dir(&source).unwrap());
    assert_eq!(here.objects().len(), 2);

    let target = here.folder.path().join("target");
    here.store.fetch_dir(&manifest, &target).await.unwrap();
    assert_eq!(Manifest::of_dir(&target).unwrap(), manifest);
    let error = here.store.fetch_dir(&manifest, &target).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    let path = ArtifactPath::new("deep/b").unwrap();
    let damaged = manifest.get(&path).unwrap().digest.to_hex();
    let object = here.objects().into_iter().find(|path| path.ends_with(&damaged)).unwrap();
    fs::write(object, "twö").unwrap();
    let before = fs::read_dir(here.folder.path()).unwrap().count();
    let error = here.store.fetch_dir(&manifest, &here.folder.path().join("bad")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("deep/b"), "{error}");
    assert_eq!(fs::read_dir(here.folder.path()).unwrap().count(), before);
}

#[tokio::test]
async fn a_folder_of_a_newer_release_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(ArtifactStore::open_dir(folder.path()).await.unwrap());
    fs::write(folder.path().join("format"), "mlops artifacts 2\n").unwrap();
    let error = ArtifactStore::open_dir(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    fs::write(folder.path().join("format"), "something else").unwrap();
    let error = ArtifactStore::open_dir(folder.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn what_is_put_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..2_000), piece in 1_usize..500) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = ArtifactStore::new(Arc::new(InMemory::new()));
            let artifact = store.put(body(&bytes, piece)).await.unwrap();
            assert_eq!(artifact, ArtifactRef::of(&bytes));
            assert!(read(&store, &artifact).await.unwrap() == bytes);
        });
    }
}
