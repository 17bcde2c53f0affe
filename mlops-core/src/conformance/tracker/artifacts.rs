//! What a tracker promises about artifacts.

use super::{NOBODY, Subject, at, check, kind};
use crate::{ErrorKind, artifact::ArtifactRef};

check! {
    "what is read back has the digest returned";
    async fn an_artifact_is_read_back(subject: Subject) {
        let id = subject.run().await;
        for (path, bytes) in [("a.txt", "alpha"), ("folder/b", ""), ("folder/c", "alpha")] {
            let written = subject.write(&id, path, bytes).await;
            assert_eq!(written, ArtifactRef::of(bytes));
            assert_eq!(subject.bytes(&id, path).await.expect("bytes"), bytes.as_bytes());
        }
        assert_eq!(kind(subject.bytes(&id, "nothing").await), ErrorKind::NotFound);
        assert_eq!(kind(subject.bytes(&NOBODY, "a.txt").await), ErrorKind::NotFound);
    }
}

check! {
    "a path written again holds the new bytes";
    async fn an_artifact_is_written_again(subject: Subject) {
        let id = subject.run().await;
        for bytes in ["first", "second and longer", "3rd"] {
            let written = subject.write(&id, "a.txt", bytes).await;
            assert_eq!(written, ArtifactRef::of(bytes));
            assert_eq!(subject.bytes(&id, "a.txt").await.expect("bytes"), bytes.as_bytes());
        }
    }
}

check! {
    "the stream ends with `Corrupt` if they are not what was written";
    async fn damage_is_found_on_reading(subject: Subject) {
        let id = subject.run().await;
        let written = subject.write(&id, "a.txt", "some bytes of an artifact").await;
        let damage = subject.damage.as_ref().expect("a way to damage bytes: `with_damage`");
        damage(&id, &at("a.txt"), &written);
        assert_eq!(kind(subject.bytes(&id, "a.txt").await), ErrorKind::Corrupt);
    }
}

check! {
    "what lies directly under a path of the run, folders and files in the order of their names";
    async fn artifacts_are_listed(subject: Subject) {
        let (id, other) = (subject.run().await, subject.run().await);
        for path in ["b.txt", "a/y/z", "a/x", "a/y/w", "c"] {
            subject.write(&id, path, "12345").await;
        }
        subject.write(&other, "d", "").await;
        let under = async |path: &str| -> Vec<(String, Option<u64>)> {
            let page = subject.tracker.artifacts(&id, &at(path)).await.expect("a list");
            page.items.iter().map(|entry| (entry.path.to_string(), entry.size)).collect()
        };
        let entry = |path: &str, size| (path.to_owned(), size);
        assert_eq!(under("").await, [entry("a", None), entry("b.txt", Some(5)), entry("c", Some(5))]);
        assert_eq!(under("a").await, [entry("a/x", Some(5)), entry("a/y", None)]);
        assert_eq!(under("nothing").await, []);
        assert_eq!(kind(subject.tracker.artifacts(&NOBODY, &at("")).await), ErrorKind::NotFound);
    }
}
