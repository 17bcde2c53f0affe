//! Whose bytes a path of MLflow's artifact proxy is about.
//!
//! Clients are told `mlflow-artifacts:/EXPERIMENT/RUN/artifacts` and ask for paths below it. Such a path
//! leads to the run, the logged model or the trace that has it; any other is a client's own folder. No
//! path is ever a path of this machine.

use super::{
    SqlStore,
    connection::{Connection, values},
    paths::{self, Owner},
    versions,
};
use mlops_core::{
    Error, Result, ResultExt, RunId, VersionId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::Page,
    registry::ModelUri,
    tracker::ArtifactEntry,
};

/// Where every path of the proxy begins.
const SCHEME: &str = "mlflow-artifacts:";

/// Whose bytes, and the path at their owner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) owner: Owner,
    pub(crate) path: ArtifactPath,
}

/// A path that would be an owner's, if the record knows the owner and keeps its bytes there.
#[derive(Debug, PartialEq, Eq)]
struct Guess {
    owner: Owner,
    /// What comes before the owner: the experiment's place.
    above: String,
    path: ArtifactPath,
}

impl SqlStore {
    /// Whose bytes lie under a path of the proxy.
    pub(crate) async fn place(&self, path: ArtifactPath) -> Result<Place> {
        if let Some((owner, path)) = paths::in_version(&path) {
            return Ok(Place { owner, path });
        }
        let found = self.shared.thread.read(async move |db| {
            for guess in guesses(&path)? {
                if kept_there(db, &guess).await? {
                    return Ok(Place { owner: guess.owner, path: guess.path });
                }
            }
            Ok(Place { owner: Owner::Folder, path })
        });
        found.await
    }

    /// Files and folders directly under a path.
    pub(crate) async fn list_place(&self, place: Place) -> Result<Page<ArtifactEntry>> {
        let Place { owner, path } = place;
        self.shared.thread.read(async move |db| paths::list(db, &owner, &path).await).await
    }

    /// Forgets a file or everything below a folder.
    pub(crate) async fn remove_place(&self, place: Place) -> Result<u64> {
        let Place { owner, path } = place;
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| paths::remove(tx, &owner, &path).await).await
    }

    /// The bytes of a file, and what they must hash to.
    pub(crate) async fn read_place(&self, place: Place) -> Result<(ArtifactRef, ByteStream)> {
        paths::read(self, place.owner, place.path).await
    }

    /// The bytes of a file of a registered version, and what they must hash to.
    pub(crate) async fn read_version_file(
        &self,
        id: &VersionId,
        path: &ArtifactPath,
    ) -> Result<(ArtifactRef, ByteStream)> {
        let uri = ModelUri::version(id.model.clone(), id.version);
        let thread = &self.shared.thread;
        let version = thread.read(async move |db| versions::resolve(db, &uri).await).await?;
        let missing = || Error::not_found(format!("version {id} has no file {:?}", path.as_str()));
        let artifact = *version.manifest.get(path).ok_or_else(missing)?;
        let bytes = paths::open(self, artifact).await.context(|| path.to_string())?;
        Ok((artifact, bytes))
    }
}

/// The owners that a path may name, the one nearest to its beginning first.
fn guesses(path: &ArtifactPath) -> Result<Vec<Guess>> {
    let parts: Vec<&str> = path.as_str().split('/').collect();
    let mut guesses = Vec::new();
    for (at, part) in parts.iter().enumerate().skip(2) {
        if *part != "artifacts" {
            continue;
        }
        let (name, kind) = (parts[at - 1], parts[at - 2]);
        // Old clients' traces have the ids of runs.
        let (owner, above) = match kind {
            "models" => (Owner::Model(name.into()), &parts[..at - 2]),
            "traces" => (Owner::Trace(name.into()), &parts[..at - 2]),
            _ => match name.parse::<RunId>() {
                Ok(run) => (Owner::Run(run), &parts[..at - 1]),
                Err(_) => continue,
            },
        };
        let path = ArtifactPath::new(parts[at + 1..].join("/"))?;
        guesses.push(Guess { owner, above: above.join("/"), path });
    }
    Ok(guesses)
}

/// Whether the owner is there and its experiment's artifacts lie where the path begins.
async fn kept_there(db: &mut Connection, guess: &Guess) -> Result<bool> {
    let (table, id) = match &guess.owner {
        Owner::Run(id) => ("runs", id.to_string()),
        Owner::Model(id) => ("logged_models", id.to_string()),
        Owner::Trace(id) => ("traces", id.to_string()),
        Owner::Version(_) | Owner::Folder => return Ok(false),
    };
    let sql = format!(
        "select experiment.id, experiment.artifact_location from {table} item
         join experiments experiment on experiment.id = item.experiment where item.id = $1"
    );
    let Some(row) = db.row(sql, &values![id]).await? else { return Ok(false) };
    let kept = match row.optional_text(1)? {
        Some(place) => match place.strip_prefix(SCHEME) {
            Some(place) => place.trim_matches('/').to_owned(),
            None => return Ok(false),
        },
        None => row.int(0)?.to_string(),
    };
    Ok(kept == guess.above)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessed(path: &str) -> Vec<(String, String, String)> {
        let guesses = guesses(&ArtifactPath::new(path).unwrap()).unwrap();
        let shown = |guess: Guess| (guess.owner.to_string(), guess.above, guess.path.to_string());
        guesses.into_iter().map(shown).collect()
    }

    #[test]
    fn paths_name_owners() {
        let run = "0123456789abcdef0123456789abcdef";
        let found = guessed(&format!("7/{run}/artifacts/model/MLmodel"));
        assert_eq!(found, [(format!("run {run}"), "7".to_owned(), "model/MLmodel".to_owned())]);
        let found = guessed("7/models/m-1/artifacts");
        assert_eq!(found, [("logged model m-1".to_owned(), "7".to_owned(), String::new())]);
        let found = guessed("a/b/traces/tr-1/artifacts/traces.json");
        let wanted = ("trace tr-1".to_owned(), "a/b".to_owned(), "traces.json".to_owned());
        assert_eq!(found, [wanted]);
        assert_eq!(guessed("7/other/artifacts/x"), []);
        assert_eq!(guessed("models/m-1/x"), []);
    }
}
