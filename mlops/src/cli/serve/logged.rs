//! An endpoint whose answers are logged, with the models that gave them.

use crate::{
    Digest, Error, ErrorKind, Predictor, Registry, Result, VersionId,
    model::ModelPackage,
    predictor::{Observer, PredictRequest, PredictResponse, PredictorInfo},
};
use async_trait::async_trait;
use mlops_core::inference_log::InferenceLog;
use mlops_serve::Endpoint;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// A wrapper that logs every answer of an endpoint, and keeps a copy of each model that answers
/// beside the log: so that `mlops why` can compute an answer again years later.
#[derive(Debug)]
pub(super) struct Logged {
    endpoint: Endpoint,
    log: Arc<InferenceLog>,
    keeper: Arc<Keeper>,
    packages: PathBuf,
    /// The version that was declared to the log last.
    declared: Mutex<Option<(Arc<str>, Arc<str>)>>,
}

/// Where a copy of the model that answers comes from.
#[derive(Debug)]
pub(super) enum Keeper {
    Package(Box<ModelPackage>),
    Registry(Arc<dyn Registry>),
    /// What answers is not on this machine, or no single model: its answers are logged without it.
    Elsewhere,
}

impl Keeper {
    pub(super) fn elsewhere() -> Self {
        Self::Elsewhere
    }

    pub(super) fn of_package(package: ModelPackage) -> Self {
        Self::Package(Box::new(package))
    }

    pub(super) fn of_registry(registry: Arc<dyn Registry>) -> Self {
        Self::Registry(registry)
    }

    /// The digest of what answers, if it is not the endpoint that knows it.
    fn digest(&self) -> Option<Digest> {
        match self {
            Self::Package(package) => Some(package.digest()),
            Self::Registry(_) | Self::Elsewhere => None,
        }
    }

    /// Puts the package into a folder that does not exist yet.
    async fn keep(&self, model: &str, version: &str, into: &Path) -> Result<()> {
        match self {
            Self::Package(package) => copy_whole(package, into),
            Self::Registry(registry) => {
                let number = version.parse().map_err(|_| {
                    Error::internal(format!("version {version:?} of model {model:?} is no number"))
                })?;
                let id = VersionId::new(crate::ModelName::new(model)?, number);
                registry.fetch(&id, into).await.map(drop)
            }
            Self::Elsewhere => Err(Error::unsupported("what answers is not on this machine")),
        }
    }
}

impl Logged {
    pub(super) fn new(
        endpoint: Endpoint,
        log: Arc<InferenceLog>,
        keeper: Keeper,
        folder: &Path,
    ) -> Self {
        let packages = folder.join(crate::cli::why::PACKAGES);
        let (keeper, declared) = (Arc::new(keeper), Mutex::new(None));
        Self { endpoint, log, keeper, packages, declared }
    }

    /// Declares and keeps what answers now. A log that cannot hold it is an error here, before
    /// anybody is answered; a copy that cannot be had is not.
    pub(super) async fn prepared(self) -> Result<Self> {
        let (info, digest) = self.known();
        self.declare(&info, digest)?;
        keep(&self.keeper, &self.packages, &info, digest).await;
        Ok(self)
    }

    /// What answers now, and the digest of its package if both are of one version.
    fn known(&self) -> (Arc<PredictorInfo>, Option<Digest>) {
        let status = self.endpoint.status();
        let info = self.endpoint.info();
        let is_same = (&info.name, &info.version) == (&status.model, &status.version);
        let digest = self.keeper.digest().or(status.digest).filter(|_| is_same);
        (info, digest)
    }

    fn declare(&self, info: &PredictorInfo, digest: Option<Digest>) -> Result<()> {
        let mut declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let own = (Arc::clone(&info.name), Arc::clone(&info.version));
        if declared.as_ref() != Some(&own) {
            self.log.declare(info, digest)?;
            *declared = Some(own);
        }
        Ok(())
    }

    /// Whether the log knows this version already.
    fn knows(&self, response: &PredictResponse) -> bool {
        let declared = self.declared.lock().unwrap_or_else(PoisonError::into_inner);
        let own = declared.as_ref();
        own.is_some_and(|(model, version)| (model, version) == (&response.model, &response.version))
    }

    /// The endpoint went over to another version: the log must know it before its first record.
    fn meet(&self, response: &PredictResponse) {
        let (info, digest) = self.known();
        if digest.is_none() && !matches!(*self.keeper, Keeper::Elsewhere) {
            return;
        }
        if (&info.name, &info.version) != (&response.model, &response.version) {
            // It has gone further meanwhile; this answer is described by itself.
            return;
        }
        if let Err(error) = self.declare(&info, digest) {
            tracing::warn!(%error, "the inference log does not hold this model's columns");
        }
        let (keeper, packages) = (Arc::clone(&self.keeper), self.packages.clone());
        tokio::spawn(async move { keep(&keeper, &packages, &info, digest).await });
    }
}

async fn keep(keeper: &Keeper, packages: &Path, info: &PredictorInfo, digest: Option<Digest>) {
    let Some(digest) = digest else { return };
    let copy = packages.join(digest.to_hex());
    if copy.exists() {
        return;
    }
    let kept = match fs::create_dir_all(packages) {
        Ok(()) => keeper.keep(&info.name, &info.version, &copy).await,
        Err(source) => Err(Error::io(packages.display(), source)),
    };
    // Two requests may meet a version at the same time; one of them keeps it.
    if let Err(error) = kept
        && error.kind() != ErrorKind::AlreadyExists
    {
        tracing::warn!(model = %info.name, version = %info.version, %error,
            "no copy of the model is kept beside the inference log");
    }
}

/// A copy that appears when it is whole.
fn copy_whole(package: &ModelPackage, into: &Path) -> Result<()> {
    let partial = into.with_extension("partial");
    if partial.exists() {
        fs::remove_dir_all(&partial).map_err(|source| Error::io(partial.display(), source))?;
    }
    for (path, _) in package.manifest().iter() {
        let (from, to) = (path.under(package.folder()), path.under(&partial));
        let parent = to.parent().unwrap_or(&partial);
        let copied = fs::create_dir_all(parent).and_then(|()| fs::copy(&from, &to));
        copied.map_err(|source| Error::io(to.display(), source))?;
    }
    package.manifest().verify_dir(&partial)?;
    fs::rename(&partial, into).map_err(|source| Error::io(into.display(), source))
}

#[async_trait]
impl Predictor for Logged {
    fn info(&self) -> Arc<PredictorInfo> {
        self.endpoint.info()
    }

    async fn ready(&self) -> Result<()> {
        self.endpoint.ready().await
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let began = Instant::now();
        // Clones share the tensors' memory.
        let result = self.endpoint.predict(request.clone()).await;
        let took = began.elapsed();
        if let Ok(response) = &result
            && !self.knows(response)
        {
            self.meet(response);
        }
        self.log.observe(&request, result.as_ref(), took);
        result
    }
}
