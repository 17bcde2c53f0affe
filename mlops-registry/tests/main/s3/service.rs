//! An S3 server of our own, s3s-fs, whose buckets are folders of a temporary folder.

use mlops_core::artifact::ArtifactRef;
use mlops_registry::{
    ArtifactPlace, ArtifactStore, Bucket, S3Config, S3Keys, SqlStore, StoreConfig,
};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub(crate) const KEY: &str = "AKIAOFTHETEST";
pub(crate) const SECRET: &str = "a-secret-that-nobody-may-see";

/// A server that is running, or was killed.
pub(crate) struct Service {
    program: PathBuf,
    root: TempDir,
    port: u16,
    child: Mutex<Option<Child>>,
}

impl Service {
    /// Starts one with a bucket `models`; nothing where it is not installed.
    #[expect(clippy::print_stdout, reason = "what is skipped is named")]
    pub(crate) fn start() -> Option<Self> {
        let Some(program) = program() else {
            println!("skipped: s3: s3s-fs is not installed");
            return None;
        };
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("models")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let service = Self { program, root, port, child: Mutex::default() };
        service.again();
        Some(service)
    }

    /// Starts it again where it was.
    pub(crate) fn again(&self) {
        let child = Command::new(&self.program)
            .args(["--host", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--access-key", KEY, "--secret-key", SECRET])
            .arg(self.root.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        *self.child.lock().unwrap() = Some(child);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(begun.elapsed() < Duration::from_secs(20), "s3s-fs does not start");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Kills it in whatever it does.
    pub(crate) fn kill(&self) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut child) = child {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where the bucket lies on this machine.
    pub(crate) fn bucket(&self) -> PathBuf {
        self.root.path().join("models")
    }

    /// The file of an object below the prefix `artifacts`.
    pub(crate) fn object(&self, artifact: &ArtifactRef) -> PathBuf {
        let hex = artifact.digest.to_hex();
        self.bucket().join("artifacts/sha256").join(&hex[..2]).join(hex)
    }

    /// Everything that anybody has stored, finished or not; without the server's own notes.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(self.root.path(), &mut found);
        found.retain(|path| path.extension().is_none_or(|end| end != "json"));
        found
    }

    pub(crate) fn store(&self) -> ArtifactStore {
        store_with(&config(self.port))
    }

    /// A record whose artifacts are here.
    pub(crate) async fn record(&self, folder: &Path) -> SqlStore {
        SqlStore::open(folder.join("mlops.db"), self.record_config()).await.unwrap()
    }

    pub(crate) fn record_config(&self) -> StoreConfig {
        record_config(self.port)
    }
}

/// A record with its artifacts in the bucket `models` of whoever listens there.
pub(crate) fn record_config(port: u16) -> StoreConfig {
    let place: ArtifactPlace = "s3://models/artifacts".parse().unwrap();
    let config = StoreConfig::default().with_poll_interval(Duration::from_millis(10));
    config.with_artifacts(place).with_s3(self::config(port))
}

/// The artifacts in the bucket `models`, reached like this.
pub(crate) fn store_with(config: &S3Config) -> ArtifactStore {
    ArtifactStore::open_bucket(&Bucket::new("models", "artifacts").unwrap(), config).unwrap()
}

/// Reaches a service on this port, and does not try for long.
pub(crate) fn config(port: u16) -> S3Config {
    S3Config::default()
        .with_endpoint(format!("http://127.0.0.1:{port}"))
        .with_keys(keys(KEY, SECRET))
        .with_timeout(Duration::from_secs(20))
        .with_patience(Duration::from_secs(20))
}

/// Keys as a program has them from its environment.
pub(crate) fn keys(id: &str, secret: &str) -> S3Keys {
    let (id, secret) = (id.to_owned(), secret.to_owned());
    let found = |name: &str| match name {
        "AWS_ACCESS_KEY_ID" => Some(id.clone()),
        "AWS_SECRET_ACCESS_KEY" => Some(secret.clone()),
        _ => None,
    };
    S3Config::from_env(found).unwrap().keys.unwrap()
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let home = std::env::home_dir().unwrap_or_default().join(".cargo/bin");
    let folders = std::env::split_paths(&path).chain([home]);
    folders.map(|folder| folder.join("s3s-fs")).find(|program| program.is_file())
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(&path, found) } else { found.push(path) }
    }
}
