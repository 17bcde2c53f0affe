//! Bytes in a bucket: stored once, verified when read, visible as a whole or not at all.

use super::{cuts::Line, service, service::Service, there};
use crate::artifacts::{body, long, read};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use mlops_core::{
    Error, ErrorKind,
    artifact::{ArtifactPath, ArtifactRef, ByteStream, Manifest},
};
use std::{fs, path::PathBuf, sync::Arc, time::Duration};

/// Bytes that no connection holds all at once.
fn very_long() -> Vec<u8> {
    (0..10_u32 << 20).flat_map(|index| index.wrapping_mul(2_654_435_761).to_be_bytes()).collect()
}

#[tokio::test]
async fn the_same_bytes_are_stored_once_however_they_come() {
    let service = there!(Service::start());
    // What is too large for the service to copy goes through here once more.
    let small = service::config(service.port()).with_largest_copy(1_u64 << 20);
    for store in [service.store(), service::store_with(&small)] {
        for bytes in [Vec::new(), b"some bytes".to_vec(), long()] {
            let wanted = ArtifactRef::of(&bytes);
            for piece in [bytes.len(), 100_000] {
                assert_eq!(store.put(body(&bytes, piece)).await.unwrap(), wanted);
            }
            assert!(read(&store, &wanted).await.unwrap() == bytes);
        }
        assert_eq!(service.files().len(), 3, "{:?}", service.files());
        fs::remove_dir_all(service.bucket().join("artifacts")).unwrap();
    }
}

#[tokio::test]
async fn a_stream_that_fails_leaves_nothing_behind() {
    let service = there!(Service::start());
    let store = service.store();
    for bytes in [b"a few".to_vec(), long()] {
        let broken = stream::once(async { Err(Error::unavailable("the line went dead")) });
        let body = Box::pin(body(&bytes, 1 << 20).chain(broken));
        let error = store.put(body).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(service.files(), Vec::<PathBuf>::new());
    }
}

#[tokio::test]
async fn a_caller_who_gives_up_leaves_nothing_behind() {
    let service = there!(Service::start());
    let store = service.store();
    let stalled: ByteStream = Box::pin(body(&long(), 1 << 20).chain(stream::pending()));
    let soon = tokio::time::timeout(Duration::from_secs(2), store.put(stalled)).await;
    assert!(soon.is_err());
    for _ in 0..100 {
        if service.files().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("parts are left: {:?}", service.files());
}

#[tokio::test]
async fn a_tampered_object_is_refused_by_name_and_digest() {
    let service = there!(Service::start());
    let (store, folder) = (service.store(), tempfile::tempdir().unwrap());
    let source = folder.path().join("source");
    fs::create_dir_all(source.join("deep")).unwrap();
    for (path, text) in [("a", "one"), ("deep/b", "two"), ("deep/c", "one")] {
        fs::write(source.join(path), text).unwrap();
    }
    fs::write(source.join("large"), long()).unwrap();
    let manifest = store.put_dir(&source).await.unwrap();
    assert_eq!(manifest, Manifest::of_dir(&source).unwrap());
    assert_eq!(service.files().len(), 3);
    let target = folder.path().join("target");
    store.fetch_dir(&manifest, &target).await.unwrap();
    assert_eq!(Manifest::of_dir(&target).unwrap(), manifest);

    let artifact = *manifest.get(&ArtifactPath::new("deep/b").unwrap()).unwrap();
    for damaged in ["twö", "tw", "two and more"] {
        fs::write(service.object(&artifact), damaged).unwrap();
        let error = store.fetch_dir(&manifest, &folder.path().join("bad")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        let (text, digest) = (error.to_string(), artifact.digest.to_hex());
        assert!(text.contains("deep/b") && text.contains(&digest), "{text}");
        assert!(!folder.path().join("bad").exists());
    }
    fs::remove_file(service.object(&artifact)).unwrap();
    let error = store.get(&artifact).await.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_download_that_breaks_off_goes_on_where_it_stopped() {
    let service = there!(Service::start());
    let bytes = very_long();
    let artifact = service.store().put(body(&bytes, 1 << 20)).await.unwrap();
    let line = Line::to(service.port(), 3, 7 << 20);
    let store = service::store_with(&service::config(line.port));
    assert!(read(&store, &artifact).await.unwrap() == bytes);
    assert_eq!(line.broken(), 3);
    // Tampering shows all the same.
    let line = Line::to(service.port(), 1, 7 << 20);
    let store = service::store_with(&service::config(line.port));
    let mut other = bytes.clone();
    other[30 << 20] ^= 1;
    fs::write(service.object(&artifact), &other).unwrap();
    assert_eq!(read(&store, &artifact).await.unwrap_err().kind(), ErrorKind::Corrupt);
    // One that never gets on ends.
    let line = Line::to(service.port(), usize::MAX, 1_000);
    let store = service::store_with(&service::config(line.port));
    assert_eq!(read(&store, &artifact).await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_server_killed_in_a_download_is_unavailable_or_comes_back() {
    let service = Arc::new(there!(Service::start()));
    let (store, bytes) = (service.store(), very_long());
    let artifact = store.put(body(&bytes, 1 << 20)).await.unwrap();
    for back in [false, true] {
        let mut pieces = store.get(&artifact).await.unwrap();
        let mut found = pieces.try_next().await.unwrap().unwrap().to_vec();
        service.kill();
        let own = Arc::clone(&service);
        let starter = std::thread::spawn(move || {
            if back {
                std::thread::sleep(Duration::from_millis(300));
                own.again();
            }
        });
        let rest: Result<Vec<Bytes>, _> = pieces.try_collect().await;
        starter.join().unwrap();
        match rest {
            Ok(rest) => {
                found.extend(rest.concat());
                assert!(back && found == bytes);
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert!(!back && error.to_string().contains("s3://models/artifacts"), "{error}");
                service.again();
            }
        }
    }
}

#[tokio::test]
async fn a_server_killed_in_an_upload_shows_nothing_of_it() {
    let service = Arc::new(there!(Service::start()));
    let config = service::config(service.port()).with_attempts(2_u32);
    let (store, bytes) = (service::store_with(&config), very_long());
    let own = Arc::clone(&service);
    let pieces: Vec<Bytes> = bytes.chunks(1 << 20).map(Bytes::copy_from_slice).collect();
    let killing = stream::iter(pieces).enumerate().map(move |(at, piece)| {
        if at == 20 {
            own.kill();
        }
        Ok(piece)
    });
    let error = store.put(Box::pin(killing)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("s3://models/artifacts"), "{error}");
    service.again();
    let artifact = ArtifactRef::of(&bytes);
    assert_eq!(store.get(&artifact).await.err().unwrap().kind(), ErrorKind::NotFound);
    assert_eq!(store.put(body(&bytes, 1 << 20)).await.unwrap(), artifact);
    assert!(read(&store, &artifact).await.unwrap() == bytes);
}
