//! A folder `mlruns`: a folder an experiment, in it a folder a run, in it a file a parameter, tag and
//! metric.

use super::{
    Imported,
    found::{FoundExperiment, FoundRun},
    unknown_status,
};
use mlops_core::{
    Error, Result, RunId, Timestamp,
    tracker::{Metric, RunStatus, Tags},
};
use serde_yaml_ng::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where deleted experiments are.
const TRASH: &str = ".trash";
/// Folders beside the experiments that are none.
const OTHERS: [&str; 2] = ["models", TRASH];

pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::not_found(format!("{} is no folder", path.display())));
        }
        Ok(Self(path.to_owned()))
    }

    pub(super) fn unknown(&self, done: &mut Imported) -> Result<()> {
        let models = self.0.join("models");
        if models.is_dir() {
            for model in folders(&models)? {
                let what = format!("registered model {:?}", name(&model));
                done.left(what, "registered models are imported from a database only");
            }
        }
        Ok(())
    }

    pub(super) fn experiments(&self, done: &mut Imported) -> Result<Vec<FoundExperiment>> {
        let mut all = folders(&self.0)?;
        all.retain(|folder| !OTHERS.contains(&name(folder).as_str()));
        if self.0.join(TRASH).is_dir() {
            all.extend(folders(&self.0.join(TRASH))?);
        }
        let mut found = Vec::new();
        for folder in all {
            let Ok(meta) = Meta::read(&folder) else {
                let what = folder.display().to_string();
                done.left(what, "a folder without the note of an experiment");
                continue;
            };
            let what = || format!("experiment in {}", folder.display());
            found.extend(done.given(what, self.experiment(&folder, &meta))?);
        }
        Ok(found)
    }

    fn experiment(&self, folder: &Path, meta: &Meta) -> Result<FoundExperiment> {
        let created = meta.millis("creation_time").unwrap_or_default();
        Ok(FoundExperiment {
            key: relative(&self.0, folder),
            name: meta.text("name").ok_or_else(|| meta.lacks("name"))?,
            deleted: meta.text("lifecycle_stage").as_deref() == Some("deleted"),
            created,
            updated: meta.millis("last_update_time").unwrap_or(created),
            tags: texts(&folder.join("tags"))?,
            place: meta.text("artifact_location").unwrap_or_default(),
        })
    }

    pub(super) fn runs(
        &self,
        experiment: &FoundExperiment,
        done: &mut Imported,
    ) -> Result<Vec<RunId>> {
        let mut found = Vec::new();
        for folder in folders(&self.0.join(&experiment.key))? {
            match name(&folder).parse() {
                Ok(id) if folder.join("meta.yaml").is_file() => found.push(id),
                _ if ["tags", "traces", "datasets"].contains(&name(&folder).as_str()) => {}
                _ if name(&folder) == "models" => {
                    for model in folders(&folder)? {
                        let what = format!("logged model {}", name(&model));
                        done.left(what, "logged models are imported from a database only");
                    }
                }
                _ => done.left(folder.display().to_string(), "not the folder of a run"),
            }
        }
        Ok(found)
    }

    fn place(&self, experiment: &FoundExperiment, id: RunId) -> PathBuf {
        self.0.join(&experiment.key).join(id.to_string())
    }

    pub(super) fn run(&self, experiment: &FoundExperiment, id: RunId) -> Result<FoundRun> {
        let folder = self.place(experiment, id);
        let meta = Meta::read(&folder)?;
        let tags = texts(&folder.join("tags"))?;
        // Older releases wrote the name as a tag only.
        let called = meta.text("run_name").filter(|name| !name.is_empty());
        let called = called.or_else(|| tags.get("mlflow.runName").cloned());
        // Where it lies now counts, wherever it was when it was written, unless the artifacts were elsewhere.
        let own = folder.join("artifacts");
        let said = meta.text("artifact_uri").unwrap_or_default();
        let beside = folder.parent().map(name).unwrap_or_default();
        let place = if own.is_dir() || said.ends_with(&format!("/{beside}/{id}/artifacts")) {
            own.to_string_lossy().into_owned()
        } else {
            said
        };
        Ok(FoundRun {
            id,
            name: called.unwrap_or_default(),
            status: status(&meta.text("status").unwrap_or_default())?,
            deleted: meta.text("lifecycle_stage").as_deref() == Some("deleted"),
            deleted_at: meta.millis("deleted_time"),
            actor: meta.text("user_id").unwrap_or_default(),
            started: meta.millis("start_time").unwrap_or_default(),
            ended: meta.millis("end_time"),
            params: texts(&folder.join("params"))?,
            tags,
            inputs: Vec::new(),
            models: Vec::new(),
            place,
        })
    }

    /// One file of points at a time.
    pub(super) fn points(
        &self,
        experiment: &FoundExperiment,
        id: RunId,
        after: u64,
    ) -> Result<(Vec<Metric>, Option<u64>)> {
        let folder = self.place(experiment, id).join("metrics");
        let files = files(&folder)?;
        let at = usize::try_from(after).unwrap_or(usize::MAX);
        let Some(file) = files.get(at) else { return Ok((Vec::new(), None)) };
        let metric = relative(&folder, file);
        let text = read(file)?;
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let point = |line: &str| {
            point(&metric, line).ok_or_else(|| {
                Error::corrupt(format!("{}: {line:?} is no point of a metric", file.display()))
            })
        };
        Ok((lines.map(point).collect::<Result<_>>()?, Some(after + 1)))
    }
}

/// `time value step`; the oldest releases wrote no step.
fn point(metric: &str, line: &str) -> Option<Metric> {
    let mut parts = line.split_whitespace();
    let time: i64 = parts.next()?.parse().ok()?;
    let value: f64 = parts.next()?.parse().ok()?;
    let step = parts.next().map_or(Some(0), |step| step.parse().ok())?;
    parts
        .next()
        .is_none()
        .then(|| Metric::new(metric, value, step, Timestamp::from_unix_millis(time)))
}

/// MLflow's numbers of statuses, and their words.
fn status(text: &str) -> Result<RunStatus> {
    match text {
        "1" | "RUNNING" => Ok(RunStatus::Running),
        "2" | "SCHEDULED" => Ok(RunStatus::Scheduled),
        "3" | "FINISHED" => Ok(RunStatus::Finished),
        "4" | "FAILED" => Ok(RunStatus::Failed),
        "5" | "KILLED" => Ok(RunStatus::Killed),
        other => Err(unknown_status(other)),
    }
}

/// A `meta.yaml`.
struct Meta {
    path: PathBuf,
    value: Value,
}

impl Meta {
    fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("meta.yaml");
        let text = read(&path)?;
        let value = serde_yaml_ng::from_str(&text).map_err(|cause| {
            Error::corrupt(format!("{}: no YAML", path.display())).with_source(cause)
        })?;
        Ok(Self { path, value })
    }

    fn lacks(&self, field: &str) -> Error {
        Error::corrupt(format!("{}: no {field}", self.path.display()))
    }

    fn text(&self, field: &str) -> Option<String> {
        match self.value.get(field)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    fn millis(&self, field: &str) -> Option<Timestamp> {
        self.value.get(field)?.as_i64().map(Timestamp::from_unix_millis)
    }
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|source| Error::io(path.display(), source))
}

/// Keys and values: a file each, in folders where a key has slashes.
fn texts(folder: &Path) -> Result<Tags> {
    files(folder)?.iter().map(|file| Ok((relative(folder, file), read(file)?))).collect()
}

/// Every file below a folder, in order; none if there is no folder.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut open) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = open.pop() {
        if !folder.is_dir() {
            continue;
        }
        for path in entries(&folder)? {
            let kind =
                path.symlink_metadata().map_err(|source| Error::io(path.display(), source))?;
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = entries(folder)?;
    found.retain(|path| path.is_dir());
    found.sort();
    Ok(found)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let failed = |source| Error::io(folder.display(), source);
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The path of a file from a folder, with slashes.
pub(super) fn relative(folder: &Path, file: &Path) -> String {
    let rest = file.strip_prefix(folder).unwrap_or(file);
    let parts: Vec<_> = rest.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("/")
}
