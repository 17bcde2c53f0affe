//! What a server has, as it travels: an import keeps more of it than the traits speak of.

use super::{
    RestStore,
    experiments::most,
    models,
    proxy::Folder,
    request::Request,
    runs,
    search::{equals, next},
    transfer::Incoming,
    versions,
};
use crate::mlflow::wire::{
    Double, Int, experiments as wire_experiments, models as wire_models, runs as wire_runs,
};
use mlops_core::{
    ErrorKind, ModelName, Result, RunId, VersionId,
    artifact::{ArtifactPath, ByteStream},
};
use reqwest::Method;
use serde_json::{Value, json};

/// How many of each are asked for at once.
const EXPERIMENTS: usize = 1_000;
const RUNS: usize = 500;
const POINTS: usize = 25_000;
const LOGGED_MODELS: usize = 50;
const MODELS: usize = 100;
const VERSIONS: usize = 1_000;

/// Some items, and the token of the next page.
type Part<T> = (Vec<T>, Option<String>);

impl RestStore {
    /// What a number of the server's is. Ours keeps infinities and writes them as MLflow does, as the largest
    /// finite numbers; MLflow has kept nothing else, so that they are what its database says.
    pub(crate) fn source_number(&self, number: Double) -> f64 {
        if self.is_ours() { number.meant() } else { number.0 }
    }

    /// Every experiment, dead or alive.
    pub(crate) async fn source_experiments(&self) -> Result<Vec<wire_experiments::Experiment>> {
        self.call(|session| async move {
            let (mut found, mut page_token) = (Vec::new(), None);
            loop {
                let body = wire_experiments::SearchExperiments {
                    max_results: Some(most(EXPERIMENTS)?),
                    page_token,
                    order_by: vec!["experiment_id ASC".to_owned()],
                    view_type: Some("ALL".to_owned()),
                    ..Default::default()
                };
                let request = Request::post("experiments/search", &body)?.repeatable();
                let page: wire_experiments::Experiments = session.ask(&request).await?;
                found.extend(page.experiments);
                page_token = next(page.next_page_token);
                if page_token.is_none() {
                    return Ok(found);
                }
            }
        })
        .await
    }

    /// Identities of runs of an experiment, dead or alive.
    pub(crate) async fn source_runs(
        &self,
        experiment: String,
        page_token: Option<String>,
    ) -> Result<Part<String>> {
        let body = wire_runs::SearchRuns {
            experiment_ids: vec![experiment],
            run_view_type: Some("ALL".to_owned()),
            max_results: Some(most(RUNS)?),
            order_by: vec!["start_time ASC".to_owned()],
            page_token,
            ..Default::default()
        };
        let request = Request::post("runs/search", &body)?.repeatable();
        self.call(|session| async move {
            let found: wire_runs::Runs = session.ask(&request).await?;
            let ids = found.runs.into_iter().map(|run| run.info.run_id).collect();
            Ok((ids, next(found.next_page_token)))
        })
        .await
    }

    pub(crate) async fn source_run(&self, id: RunId) -> Result<wire_runs::Run> {
        self.call(|session| async move { runs::wired(&session, id).await }).await
    }

    /// Points of a metric, in the server's order.
    pub(crate) async fn source_points(
        &self,
        run: RunId,
        metric: String,
        page: Option<String>,
    ) -> Result<Part<wire_runs::Metric>> {
        self.call(|session| async move {
            let request = Request::get("metrics/get-history")
                .with("run_id", run)
                .with("metric_key", metric)
                .with("max_results", POINTS)
                .with_some("page_token", page);
            let found: wire_runs::History = session.ask(&request).await?;
            Ok((found.metrics, next(found.next_page_token)))
        })
        .await
    }

    /// Logged models that live; none on a server that is older than they are.
    pub(crate) async fn source_logged_models(
        &self,
        experiment: String,
        page_token: Option<String>,
    ) -> Result<Part<wire_models::LoggedModel>> {
        let body = wire_models::SearchLoggedModels {
            experiment_ids: vec![experiment],
            max_results: Some(most(LOGGED_MODELS)?),
            page_token,
        };
        let request = Request::post("logged-models/search", &body)?.repeatable();
        self.call(|session| async move {
            match session.ask::<wire_models::LoggedModels>(&request).await {
                Ok(found) => Ok((found.models, next(found.next_page_token))),
                Err(error) if unknown(error.kind()) => Ok((Vec::new(), None)),
                Err(error) => Err(error),
            }
        })
        .await
    }

    pub(crate) async fn source_models(
        &self,
        page: Option<String>,
    ) -> Result<Part<wire_models::RegisteredModel>> {
        self.call(|session| async move {
            let request = Request::get("registered-models/search")
                .with("max_results", MODELS)
                .with_some("page_token", page);
            let found: wire_models::Models = session.ask(&request).await?;
            Ok((found.registered_models, next(found.next_page_token)))
        })
        .await
    }

    /// Every version of a model, each as the server describes it alone, in the order of their numbers.
    pub(crate) async fn source_versions(
        &self,
        model: ModelName,
    ) -> Result<Vec<wire_models::ModelVersion>> {
        self.call(|session| async move {
            let (mut numbers, mut page) = (Vec::new(), None);
            loop {
                let request = Request::get("model-versions/search")
                    .with("filter", equals("name", model.as_str())?)
                    .with("max_results", VERSIONS)
                    .with_some("page_token", page);
                let found: wire_models::Versions = session.ask(&request).await?;
                for version in found.model_versions {
                    numbers.push(models::number(&version.version)?);
                }
                page = next(found.next_page_token);
                if page.is_none() {
                    break;
                }
            }
            numbers.sort_unstable();
            let mut found = Vec::with_capacity(numbers.len());
            for number in numbers {
                let id = VersionId::new(model.clone(), number);
                found.push(versions::wired(&session, &id).await?);
            }
            Ok(found)
        })
        .await
    }

    /// Where the bytes of a version lie, as the server says; nowhere if it does not.
    pub(crate) async fn source_place(&self, name: String, number: String) -> Result<String> {
        self.call(|session| async move {
            let request = models::of_version("model-versions/get-download-uri", &name, &number);
            match session.ask::<wire_models::DownloadUri>(&request).await {
                Ok(found) => Ok(found.artifact_uri),
                Err(error) if error.kind() == ErrorKind::Unavailable => Err(error),
                Err(_) => Ok(String::new()),
            }
        })
        .await
    }

    /// Every file below a place, as the server names it; `Unsupported` if the place is not behind its proxy.
    pub(crate) async fn source_files(&self, place: String) -> Result<Vec<String>> {
        self.call(|session| async move { Folder::of(&session, &place)?.names(&session).await })
            .await
    }

    /// The bytes of a file below a place.
    pub(crate) async fn source_file(
        &self,
        place: String,
        path: ArtifactPath,
    ) -> Result<ByteStream> {
        let pieces = self.call(|session| async move {
            let url = Folder::of(&session, &place)?.file(&session, &path);
            Ok(Incoming::open(&session, url).await?.forwarded(session))
        });
        Ok(pieces.await?.keeping(self.clone()))
    }

    /// Whether any of these experiments has a trace; a server that is older than they are has none.
    pub(crate) async fn source_traces(&self, experiments: Vec<String>) -> Result<bool> {
        let locations = experiments.iter().map(|id| {
            json!({ "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": { "experiment_id": id } })
        });
        let body = json!({ "locations": locations.collect::<Vec<_>>(), "max_results": Int(1) });
        let path = "api/3.0/mlflow/traces/search";
        let request = Request::send_at(Method::POST, path, &body)?.repeatable();
        self.call(|session| async move {
            match session.ask::<Value>(&request).await {
                Ok(found) => Ok(found["traces"].as_array().is_some_and(|found| !found.is_empty())),
                Err(error) if unknown(error.kind()) => Ok(false),
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// Whether a server does not know the question.
fn unknown(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::InvalidInput)
}
