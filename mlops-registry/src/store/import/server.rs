//! Another record behind MLflow's REST API: `mlflow server` of 2.22 to 3.17, or ours.

use super::{
    super::words::case,
    Imported,
    found::{
        FoundExperiment, FoundModel, FoundPoint, FoundRegistered, FoundRun, FoundVersion, Said,
    },
    unknown_status,
    write::IMPORTED,
};
use crate::mlflow::{
    RestStore,
    wire::{Int, Pair, datasets, described::Described, models, reserved, runs},
};
use mlops_core::{
    Error, ErrorKind, ModelName, Result, ResultExt, RunId, Timestamp,
    artifact::{ArtifactPath, ByteStream},
    tracker::{Metric, RunStatus, Tags},
};

/// A server that is asked, and how far the points of a run have been read.
pub(super) struct Server {
    store: RestStore,
    experiments: Vec<String>,
    metrics: Vec<String>,
    at: usize,
    page: Option<String>,
}

impl Server {
    pub(super) fn new(store: RestStore) -> Self {
        Self { store, experiments: Vec::new(), metrics: Vec::new(), at: 0, page: None }
    }

    /// Reports what there is that is never taken; asked after the experiments.
    pub(super) async fn unknown(&self, done: &mut Imported) -> Result<()> {
        if self.store.source_traces(self.experiments.clone()).await? {
            done.left("traces", "traces are not imported");
        }
        Ok(())
    }

    pub(super) async fn experiments(&mut self) -> Result<Vec<FoundExperiment>> {
        let found = self.store.source_experiments().await?;
        self.experiments = found.iter().map(|found| found.experiment_id.clone()).collect();
        let found = found.into_iter().map(|found| FoundExperiment {
            deleted: found.lifecycle_stage == "deleted",
            created: time(found.creation_time),
            updated: time(found.last_update_time.or(found.creation_time)),
            tags: tags(found.tags),
            key: found.experiment_id,
            name: found.name,
            place: found.artifact_location,
        });
        Ok(found.collect())
    }

    pub(super) async fn runs(
        &self,
        experiment: &FoundExperiment,
        done: &mut Imported,
    ) -> Result<Vec<RunId>> {
        let (mut found, mut page) = (Vec::new(), None);
        loop {
            let (ids, next) = self.store.source_runs(experiment.key.clone(), page).await?;
            for id in ids {
                if let Ok(id) = id.parse() {
                    found.push(id);
                } else {
                    let why = "its identity is not 32 hexadecimal digits";
                    done.left(format!("run {id:?}"), why);
                }
            }
            match next {
                None => return Ok(found),
                next => page = next,
            }
        }
    }

    pub(super) async fn run(&mut self, id: RunId) -> Result<FoundRun> {
        let runs::Run { info, data, inputs, outputs } = self.store.source_run(id).await?;
        self.metrics = data.metrics.into_iter().map(|metric| metric.key).collect();
        (self.at, self.page) = (0, None);
        let mut tags = tags(data.tags);
        // Of an import into that record, not of this one.
        tags.remove(IMPORTED);
        let name = info.run_name.or_else(|| tags.get(reserved::RUN_NAME).cloned());
        let read = inputs.model_inputs.into_iter().map(|model| (false, model.model_id, 0));
        let made = outputs.model_outputs.into_iter();
        Ok(FoundRun {
            id,
            name: name.unwrap_or_default(),
            status: status(info.status.as_deref())?,
            deleted: info.lifecycle_stage.as_deref() == Some("deleted"),
            deleted_at: None,
            actor: info.user_id.unwrap_or_default(),
            started: time(info.start_time),
            ended: info.end_time.filter(|time| time.0 != 0).map(|millis| time(Some(millis))),
            params: self::tags(data.params),
            tags,
            inputs: inputs.dataset_inputs.iter().map(datasets::from_wire).collect(),
            models: read.chain(made.map(|model| (true, model.model_id, model.step.0))).collect(),
            place: info.artifact_uri.unwrap_or_default(),
        })
    }

    /// Some points of the run that was asked for last.
    pub(super) async fn points(
        &mut self,
        id: RunId,
        after: u64,
    ) -> Result<(Vec<Metric>, Option<u64>)> {
        let Some(metric) = self.metrics.get(self.at) else { return Ok((Vec::new(), None)) };
        let found = self.store.source_points(id, metric.clone(), self.page.take()).await;
        let (points, next) = found.context(|| format!("run {id}, metric {metric:?}"))?;
        if next.is_none() {
            self.at += 1;
        }
        self.page = next;
        let points = points.into_iter().map(|point| {
            Metric::new(
                metric_name(&point, metric),
                self.store.source_number(point.value),
                point.step.0,
                time(Some(point.timestamp)),
            )
        });
        let points = points.collect();
        Ok((points, (self.at < self.metrics.len()).then_some(after + 1)))
    }

    pub(super) async fn logged_models(&self) -> Result<Vec<FoundModel>> {
        let mut found = Vec::new();
        for experiment in &self.experiments {
            let mut page = None;
            loop {
                let (models, next) =
                    self.store.source_logged_models(experiment.clone(), page).await?;
                found.extend(models.into_iter().map(|model| logged(model, &self.store)));
                page = next;
                if page.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    pub(super) async fn registered(&self, done: &mut Imported) -> Result<Vec<FoundRegistered>> {
        let (mut found, mut page) = (Vec::new(), None);
        loop {
            let (models, next) = self.store.source_models(page).await?;
            for model in models {
                let name = match ModelName::new(model.name.as_str()) {
                    Ok(name) => name,
                    Err(error) => {
                        done.left(format!("registered model {:?}", model.name), error.to_string());
                        continue;
                    }
                };
                let aliases = model.aliases.iter();
                let aliases =
                    aliases.filter_map(|to| Some((to.alias.clone(), to.version.parse().ok()?)));
                found.push(FoundRegistered {
                    versions: self.versions(name, done).await?,
                    aliases: aliases.collect(),
                    name: model.name,
                    description: text(model.description),
                    created: time(model.creation_timestamp),
                    updated: time(model.last_updated_timestamp.or(model.creation_timestamp)),
                    tags: tags(model.tags),
                });
            }
            match next {
                None => return Ok(found),
                next => page = next,
            }
        }
    }

    async fn versions(&self, model: ModelName, done: &mut Imported) -> Result<Vec<FoundVersion>> {
        let mut found = Vec::new();
        let what = || format!("versions of {model}");
        let versions = self.store.source_versions(model.clone()).await;
        for version in done.given(what, versions)?.unwrap_or_default() {
            let what = format!("version {} of {}", version.version, version.name);
            let one = self.version(version).await;
            found.extend(done.given(|| what, one)?);
        }
        Ok(found)
    }

    async fn version(&self, version: models::ModelVersion) -> Result<FoundVersion> {
        let said = Described::from_tags(&version.tags)?.map(said_of);
        let (name, number) = (version.name.clone(), version.version.clone());
        let place = self.store.source_place(name, number).await?;
        version_of(version, place, said)
    }

    /// Every file below a place; `None` if the place is not behind the server's proxy.
    pub(super) async fn files(&self, place: &str) -> Result<Option<Vec<String>>> {
        match self.store.source_files(place.to_owned()).await {
            Ok(found) => Ok(Some(found)),
            // Elsewhere, or a server that hands no artifacts out.
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(Vec::new())),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn file(&self, place: &str, path: &ArtifactPath) -> Result<ByteStream> {
        self.store.source_file(place.to_owned(), path.clone()).await
    }
}

/// A server that repeats the name in each point, or leaves it out.
fn metric_name<'a>(point: &'a runs::Metric, asked: &'a str) -> &'a str {
    if point.key.is_empty() { asked } else { &point.key }
}

fn said_of(described: Described) -> Said {
    Said {
        digest: described.manifest.digest(),
        signature: described.signature,
        dataset: described.dataset,
        metrics: described.metrics,
    }
}

fn version_of(
    version: models::ModelVersion,
    place: String,
    said: Option<Said>,
) -> Result<FoundVersion> {
    let number = version.version.parse().map_err(|_| {
        Error::corrupt(format!("the source: a version whose number is {:?}", version.version))
    })?;
    let mut tags = tags(version.tags);
    tags.retain(|key, _| !reserved::of_version(key));
    // What that record calls bytes of its own means others here.
    let source = version.source.filter(|source| !source.starts_with("mlflow-artifacts:/versions/"));
    Ok(FoundVersion {
        number,
        created: time(version.creation_timestamp),
        updated: time(version.last_updated_timestamp.or(version.creation_timestamp)),
        actor: text(version.user_id),
        description: text(version.description),
        stage: text(version.current_stage).unwrap_or_else(|| "None".to_owned()),
        source: source.unwrap_or_default(),
        place: Some(place),
        run: text(version.run_id),
        run_link: text(version.run_link),
        tags,
        said,
    })
}

fn logged(model: models::LoggedModel, store: &RestStore) -> FoundModel {
    let models::LoggedModel { info, data } = model;
    let mut tags = tags(info.tags);
    tags.remove(IMPORTED);
    FoundModel {
        experiment: info.experiment_id,
        name: info.name,
        model_type: text(info.model_type),
        status: match info.status.as_str() {
            "LOGGED_MODEL_PENDING" => "PENDING",
            "LOGGED_MODEL_READY" => "READY",
            "LOGGED_MODEL_UPLOAD_FAILED" => "FAILED",
            _ => "UNSPECIFIED",
        },
        status_message: text(info.status_message),
        source_run: text(info.source_run_id),
        // A server shows only those that live.
        deleted: false,
        created: time(info.creation_timestamp_ms),
        updated: time(info.last_updated_timestamp_ms.or(info.creation_timestamp_ms)),
        tags,
        params: self::tags(data.params),
        metrics: data.metrics.into_iter().map(|metric| point(metric, store)).collect(),
        place: info.artifact_uri,
        id: info.model_id,
    }
}

fn point(metric: models::ModelMetric, store: &RestStore) -> FoundPoint {
    FoundPoint {
        metric: metric.key,
        run: metric.run_id,
        dataset: (metric.dataset_name, metric.dataset_digest),
        step: metric.step.0,
        time: time(Some(metric.timestamp)),
        value: store.source_number(metric.value),
    }
}

fn status(word: Option<&str>) -> Result<RunStatus> {
    let word = word.unwrap_or("RUNNING");
    case(word).map_err(|_| unknown_status(word))
}

fn tags(pairs: Vec<Pair>) -> Tags {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

fn text(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

/// Milliseconds; the beginning of time if nobody noted it.
fn time(millis: Option<Int>) -> Timestamp {
    Timestamp::from_unix_millis(millis.unwrap_or_default().0)
}
