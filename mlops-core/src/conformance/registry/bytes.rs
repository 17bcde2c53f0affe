//! What a registry promises about the bytes of a version.

use super::{Subject, check, name, refused};
use crate::{
    ErrorKind, VersionId, artifact::Manifest, conformance::waiting::poll_once, model::ModelPackage,
};

check! {
    "every byte is verified before the folder appears";
    async fn every_byte_is_fetched(subject: Subject) {
        let new = subject.new_version("risk", "weights of the first");
        let original = ModelPackage::open(new.package.clone()).expect("a package");
        let made = subject.registry.create_version(new).await.expect("a version");
        subject.create("risk").await;
        std::fs::remove_dir_all(original.folder()).expect("the original is removed");
        for _ in 0..2 {
            let into = subject.path();
            let fetched = subject.registry.fetch(&made.id, &into).await.expect("it is fetched");
            assert_eq!((fetched.folder(), fetched.manifest()), (into.as_path(), &made.manifest));
            assert_eq!(fetched.manifest(), original.manifest());
            made.manifest.verify_dir(&into).expect("the folder holds exactly the version");
        }
        let unknown = VersionId::new(name("risk"), 404);
        let into = subject.path();
        refused(subject.registry.fetch(&unknown, &into).await, ErrorKind::NotFound, &["404"]);
        assert!(!into.exists(), "a folder appeared for a version that is not there");
    }
}

check! {
    "bytes that differ are `Corrupt`, are named, and no folder appears";
    async fn damaged_bytes_are_never_fetched(subject: Subject) {
        let made = subject.create("risk").await;
        let (path, _) = made.manifest.iter().find(|(path, _)| path.as_str().contains('/')).expect("a path");
        let into = subject.path();
        subject.registry.fetch(&made.id, &into).await.expect("nothing is damaged yet");
        let damage = subject.damage.as_ref().expect("a way to damage bytes: `with_damage`");
        damage(&made, path);
        let into = subject.path();
        refused(subject.registry.fetch(&made.id, &into).await, ErrorKind::Corrupt, &[path.as_str()]);
        assert!(!into.exists(), "a folder with damaged bytes appeared");
    }
}

check! {
    "a folder that is there already stays as it is: `AlreadyExists`";
    async fn a_folder_that_is_there_stays(subject: Subject) {
        let made = subject.create("risk").await;
        let into = subject.path();
        std::fs::create_dir(&into).expect("a folder is made");
        std::fs::write(into.join("own"), "mine").expect("a file is written");
        let before = Manifest::of_dir(&into).expect("a folder");
        refused(subject.registry.fetch(&made.id, &into).await, ErrorKind::AlreadyExists, &[]);
        assert_eq!(Manifest::of_dir(&into).expect("a folder"), before);
    }
}

check! {
    "a fetch that is given up leaves the whole folder or none";
    async fn an_abandoned_fetch_leaves_all_or_nothing(subject: Subject) {
        let made = subject.create("risk").await;
        for _ in 0..5 {
            let into = subject.path();
            poll_once(subject.registry.fetch(&made.id, &into)).await;
            for _ in 0..3 {
                tokio::task::yield_now().await;
                if into.exists() {
                    made.manifest.verify_dir(&into).expect("the folder holds exactly the version");
                }
            }
        }
    }
}
