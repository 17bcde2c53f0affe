//! Sessions, an engine and a registry of known behaviour.

use async_trait::async_trait;
use futures_util::{future, stream};
use mlops_core::{
    Error, ModelName, Registry, Result, Timestamp, VersionId,
    event::{BoxStream, Event},
    model::{ModelPackage, PackageBuilder},
    page::{Page, Search},
    registry::{
        AliasMove, CreateModel, CreateVersion, HistoryQuery, ModelChange, ModelUri, ModelVersion,
        MoveAlias, RegisteredModel, VersionChange, Which,
    },
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::engines::{Engine, InferOptions, LoadOptions, Session, SessionInfo};
use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::ThreadId,
};
use tokio::sync::watch;

type Body = dyn Fn(&InferOptions<'_>) -> Result<()> + Send + Sync;

/// Gives `x` plus an offset as `y`, after whatever a test wants to happen, and remembers where.
pub(crate) struct OffsetSession {
    info: SessionInfo,
    offset: f32,
    body: Box<Body>,
    threads: Mutex<Vec<ThreadId>>,
}

/// `x: float32[-1]` in; `y: float32[-1]` and `x` out.
pub(crate) fn offset_signature() -> ModelSignature {
    let column = |name: &str| TensorSpec::column(name, DType::F32);
    ModelSignature::new(vec![column("x")], vec![column("y"), column("x")]).unwrap()
}

pub(crate) fn offset_inputs(values: &[f32]) -> Tensors {
    Tensors::one("x", Tensor::from_vec([values.len()], values.to_vec()).unwrap())
}

impl OffsetSession {
    pub(crate) fn new(
        offset: f32,
        body: impl Fn(&InferOptions<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let info = SessionInfo::new(offset_signature(), "offset", 4);
        Arc::new(Self { info, offset, body: Box::new(body), threads: Mutex::default() })
    }

    /// The threads that it ran on, one for each call.
    pub(crate) fn threads(&self) -> Vec<ThreadId> {
        self.threads.lock().unwrap().clone()
    }
}

impl fmt::Debug for OffsetSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OffsetSession({})", self.offset)
    }
}

impl Session for OffsetSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        self.threads.lock().unwrap().push(std::thread::current().id());
        (self.body)(options)?;
        let x = inputs.require("x")?;
        let moved = x.as_slice::<f32>()?.iter().map(|x| x + self.offset).collect();
        let all = Tensors::one("y", Tensor::from_vec([x.rows()], moved)?).with("x", x.clone())?;
        let Some(wanted) = options.outputs else { return Ok(all) };
        wanted.iter().try_fold(Tensors::new(), |some, name| {
            some.with(name.clone(), all.require(name)?.clone())
        })
    }
}

/// Loads packages of the flavor `offset`.
#[derive(Debug)]
pub(crate) struct OffsetEngine;

impl Engine for OffsetEngine {
    fn name(&self) -> &'static str {
        "offset"
    }

    fn recognises(&self, package: &ModelPackage) -> bool {
        package.descriptor().flavor("offset").is_some()
    }

    fn load(&self, package: &ModelPackage, _: &LoadOptions) -> Result<Arc<dyn Session>> {
        let bytes = package.read("offset.txt")?;
        let text = String::from_utf8(bytes).unwrap();
        let offset = text.parse().map_err(|_| Error::invalid("no offset"))?;
        let mut session = OffsetSession::new(offset, |_| Ok(()));
        if let Some(signature) = package.signature() {
            Arc::get_mut(&mut session).unwrap().info.signature = signature.clone();
        }
        Ok(session)
    }
}

/// Packages in a folder, and aliases. Can go away, and can lie.
#[derive(Clone, Debug)]
pub(crate) struct Shelf(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    folder: tempfile::TempDir,
    versions: Mutex<Vec<ModelVersion>>,
    aliases: watch::Sender<BTreeMap<String, u64>>,
    away: AtomicBool,
    silent: AtomicBool,
    damages: AtomicBool,
    fetches: AtomicU64,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Shared {
            folder: tempfile::tempdir().unwrap(),
            versions: Mutex::default(),
            aliases: watch::Sender::new(BTreeMap::new()),
            away: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            damages: AtomicBool::new(false),
            fetches: AtomicU64::new(0),
        }))
    }

    /// Adds a version of the model `m` and gives its number.
    pub(crate) fn add(&self, builder: PackageBuilder) -> u64 {
        let mut versions = self.0.versions.lock().unwrap();
        let number = versions.len() as u64 + 1;
        let package = builder.write(self.0.folder.path().join(number.to_string())).unwrap();
        let id = VersionId::new(ModelName::new("m").unwrap(), number);
        let mut version = ModelVersion::new(id, package.manifest().clone(), Timestamp::default());
        version.signature = package.signature().cloned();
        versions.push(version);
        number
    }

    pub(crate) fn add_offset(&self, offset: f32, signature: &ModelSignature) -> u64 {
        let builder = PackageBuilder::new().with_flavor("offset", serde_json::json!({})).unwrap();
        let builder = builder.with_signature(signature);
        self.add(builder.with_file("offset.txt", offset.to_string()).unwrap())
    }

    pub(crate) fn point(&self, alias: &str, version: u64) {
        self.0.aliases.send_modify(|aliases| {
            aliases.insert(alias.to_owned(), version);
        });
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.0.away.store(away, Ordering::SeqCst);
        // Wakes those who watch, as a lost connection would.
        self.0.aliases.send_modify(|_| {});
    }

    /// Whether whoever asks from now on waits for ever.
    pub(crate) fn set_silent(&self, silent: bool) {
        self.0.silent.store(silent, Ordering::SeqCst);
    }

    /// Whether what is fetched from now on is damaged on the way.
    pub(crate) fn set_damages(&self, damages: bool) {
        self.0.damages.store(damages, Ordering::SeqCst);
    }

    pub(crate) fn fetches(&self) -> u64 {
        self.0.fetches.load(Ordering::SeqCst)
    }
}

impl Shared {
    async fn here(&self) -> Result<()> {
        if self.silent.load(Ordering::SeqCst) {
            future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable("the registry is away"));
        }
        Ok(())
    }

    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        self.here().await?;
        let versions = self.versions.lock().unwrap();
        let missing = || Error::not_found(format!("{uri} does not exist"));
        let number = match &uri.which {
            Which::Alias(alias) => self.aliases.borrow().get(alias.as_str()).copied(),
            Which::Version(number) => Some(*number),
            _ => versions.last().map(|version| version.id.version),
        };
        let number = number.ok_or_else(missing)?;
        versions.iter().find(|version| version.id.version == number).cloned().ok_or_else(missing)
    }
}

fn unused<T>() -> Result<T> {
    Err(Error::unsupported("not part of this double"))
}

#[async_trait]
impl Registry for Shelf {
    async fn create_model(&self, _: CreateModel) -> Result<RegisteredModel> {
        unused()
    }
    async fn update_model(&self, _: &ModelName, _: ModelChange) -> Result<RegisteredModel> {
        unused()
    }
    async fn delete_model(&self, _: &ModelName) -> Result<()> {
        unused()
    }
    async fn models(&self, _: Search) -> Result<Page<RegisteredModel>> {
        unused()
    }
    async fn create_version(&self, _: CreateVersion) -> Result<ModelVersion> {
        unused()
    }
    async fn update_version(&self, _: &VersionId, _: VersionChange) -> Result<ModelVersion> {
        unused()
    }
    async fn delete_version(&self, _: &VersionId) -> Result<()> {
        unused()
    }
    async fn versions(&self, _: Search) -> Result<Page<ModelVersion>> {
        unused()
    }
    async fn move_alias(&self, _: MoveAlias) -> Result<AliasMove> {
        unused()
    }
    async fn history(&self, _: HistoryQuery) -> Result<Page<Event>> {
        unused()
    }

    async fn resolve(&self, uri: &ModelUri) -> Result<ModelVersion> {
        self.0.resolve(uri).await
    }

    async fn fetch(&self, id: &VersionId, into: &Path) -> Result<ModelPackage> {
        self.0.here().await?;
        self.0.fetches.fetch_add(1, Ordering::SeqCst);
        let from = ModelPackage::open(self.0.folder.path().join(id.version.to_string()))?;
        std::fs::create_dir(into).map_err(|source| Error::io(into.display(), source))?;
        for (path, _) in from.manifest().iter() {
            std::fs::copy(path.under(from.folder()), path.under(into)).unwrap();
        }
        if self.0.damages.load(Ordering::SeqCst) {
            std::fs::write(into.join("MLmodel"), "flavors: {}").unwrap();
        }
        ModelPackage::open(into)
    }

    fn watch(&self, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
        let first = (Arc::clone(&self.0), self.0.aliases.subscribe(), true);
        Box::pin(stream::unfold(first, move |(shared, mut changes, is_first)| {
            let uri = uri.clone();
            async move {
                if !is_first {
                    changes.changed().await.ok()?;
                }
                changes.borrow_and_update();
                let named = shared.resolve(&uri).await;
                Some((named, (shared, changes, false)))
            }
        }))
    }
}

/// Polls a future on this thread, without any runtime.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut std::task::Context::from_waker(&waker)) {
            std::task::Poll::Ready(value) => return value,
            std::task::Poll::Pending => std::thread::park(),
        }
    }
}
