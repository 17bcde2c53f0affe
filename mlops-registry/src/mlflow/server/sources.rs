//! Where a version's bytes come from, in a client's words: what MLflow takes and what it refuses.
//!
//! A source inside of the record must be of the run or the logged model that the call names; one outside
//! must be no path of this machine and no address that a server would be made to connect to.

use super::{experiments::artifact_location, named::unknown_model};
use crate::{
    SqlStore,
    store::{RegisteredVersion, Source, version_uri},
};
use mlops_core::{
    Alias, Error, ErrorKind, ExperimentId, ModelName, Result, RunId, artifact::ArtifactPath,
    registry::ModelUri,
};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The tag of what MLflow keeps among models and is none.
pub(super) const PROMPT: &str = "mlflow.prompt.is_prompt";
/// What stands where a prompt has no source.
const PLACEHOLDERS: [&str; 2] = ["dummy-source", "prompt-template"];
/// How often a source may be encoded before it is called an attempt at something else.
const ENCODED: usize = 8;
/// Addresses of other machines.
const HOSTS: [&str; 9] = ["ftp", "sftp", "hdfs", "viewfs", "http", "https", "r2", "b2", "abfss"];
/// How many versions may be copies of each other before their origin is given up.
const COPIES: usize = 32;

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) text: &'a str,
    pub(super) run: Option<&'a str>,
    pub(super) logged_model: Option<&'a str>,
    pub(super) is_prompt: bool,
}

/// A source that may be taken.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) source: Source,
    pub(super) text: String,
    pub(super) run: Option<String>,
    pub(super) logged_model: Option<String>,
}

/// Refuses what may not be taken.
pub(super) async fn checked(store: &SqlStore, wanted: Wanted<'_>) -> Result<Checked> {
    let uri = Uri::parse(wanted.text);
    if wanted.is_prompt {
        if PLACEHOLDERS.contains(&wanted.text) {
            return Ok(wanted.from(Source::Elsewhere));
        }
        let text = format!("Invalid prompt source: '{}'.", wanted.text);
        return Err(Error::invalid(format!(
            "{text} Prompt sources must use an MLflow placeholder."
        )));
    }
    if HOSTS.contains(&uri.scheme.as_str()) {
        let scheme = &uri.scheme;
        return Err(Error::invalid(format!(
            "'source' cannot use the '{scheme}' scheme: it addresses a host other than this server's \
             artifact storage"
        )));
    }
    if uri.scheme == "models" && (!uri.host.is_empty() || !uri.is_logged_model()) {
        return registered(store, &uri, wanted).await;
    }
    if matches!(uri.scheme.as_str(), "" | "file") {
        return local(store, &uri, wanted).await;
    }
    no_relative_path(wanted.text, &uri)?;
    match uri.scheme.as_str() {
        "models" => {
            let id = uri.path.trim_start_matches('/');
            if wanted.model() != Some(id) {
                return Err(wanted.not_of("model_id"));
            }
            let source = Source::Logged { id: id.into(), path: ArtifactPath::new("")? };
            Ok(wanted.from(source))
        }
        "runs" => of_runs(&uri, wanted),
        "mlflow-artifacts" => of_proxy(store, &uri, wanted).await,
        _ => Ok(wanted.from(Source::Elsewhere)),
    }
}

impl<'a> Wanted<'a> {
    fn run(self) -> Option<&'a str> {
        self.run.filter(|run| !run.is_empty())
    }

    fn model(self) -> Option<&'a str> {
        self.logged_model.filter(|id| !id.is_empty())
    }

    fn from(self, source: Source) -> Checked {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let (run, logged_model) = (owned(self.run()), owned(self.model()));
        Checked { source, text: self.text.to_owned(), run, logged_model }
    }

    fn not_of(self, field: &str) -> Error {
        Error::invalid(format!(
            "Invalid model version source: '{}'. The {field} request parameter must identify the \
             resource that contains the source.",
            self.text
        ))
    }

    fn refused(self, why: &str) -> Error {
        Error::invalid(format!("Invalid model version source: '{}'. {why}", self.text))
    }
}

/// `models:/NAME/3`, `models:/NAME/Production`, `models:/NAME/latest` or `models:/NAME@ALIAS`: a copy.
async fn registered(store: &SqlStore, uri: &Uri, wanted: Wanted<'_>) -> Result<Checked> {
    if !uri.host.is_empty() {
        let why = "Registered model sources must use the active model registry.";
        return Err(wanted.refused(why));
    }
    let (name, which) = uri.registered().ok_or_else(|| wanted.not_of("model_id"))?;
    let name = ModelName::new(name).map_err(|_| unknown_model(name))?;
    let model = store.registered_model(&name).await?;
    if model.model.tags.get(PROMPT).is_some_and(|is| is.eq_ignore_ascii_case("true")) {
        let why = "Prompt versions cannot be used as model version sources.";
        return Err(wanted.refused(why));
    }
    let uri = match which {
        Which::Alias(alias) => {
            let known = Alias::new(alias).ok().filter(|own| model.model.aliases.contains_key(own));
            let unknown = || Error::invalid(format!("Registered model alias {alias} not found."));
            ModelUri::alias(name, known.ok_or_else(unknown)?)
        }
        Which::Number(number) => ModelUri::version(name, number),
        Which::Latest => ModelUri::latest(name),
        Which::Stage(stage) => {
            let stage = stage.parse::<crate::store::Stage>()?;
            let found = model.newest.iter().find(|found| found.stage == stage);
            let none = || {
                Error::not_found(format!(
                    "No versions of model with name '{name}' and stage '{stage}' found"
                ))
            };
            ModelUri::version(name.clone(), found.ok_or_else(none)?.version.id.version)
        }
    };
    let found = store.registered_version(uri).await?;
    let other = |asked: Option<&str>, own: &str| asked.is_some_and(|asked| asked != own);
    // MLflow keeps no logged model with a version, so that naming one never matches.
    if other(wanted.run, found.run.as_deref().unwrap_or_default()) || wanted.model().is_some() {
        let why =
            "The run_id and model_id request parameters must match the referenced model version.";
        return Err(wanted.refused(why));
    }
    let id = found.version.id;
    let text = format!("models:/{}/{}", id.model, id.version);
    let source = Source::Version(ModelUri::version(id.model, id.version));
    let run = found.run.as_deref().map(str::to_owned);
    Ok(Checked { source, text, run, logged_model: None })
}

/// A path of this machine: taken only if it lies where the run's artifacts lie on this machine.
async fn local(store: &SqlStore, uri: &Uri, wanted: Wanted<'_>) -> Result<Checked> {
    let (field, root) = match (wanted.model(), wanted.run()) {
        (Some(id), _) => ("model_id", logged_root(store, id).await?),
        (None, Some(run)) => ("run_id", run_root(store, run).await?),
        (None, None) => ("run_id", None),
    };
    let root = root.map(|root| Uri::parse(&root));
    let is_local = |root: &Uri| matches!(root.scheme.as_str(), "" | "file");
    if let Some(root) = root.filter(is_local)
        && no_relative_path(wanted.text, uri).is_ok()
        && !root.parts().is_empty()
        && uri.parts().starts_with(&root.parts())
    {
        return Ok(wanted.from(Source::Elsewhere));
    }
    Err(wanted.refused(&format!(
        "To use a local path as a model version source, the {field} request parameter has to be \
         specified and the local path has to be contained within the artifact directory of the run \
         specified by the {field}."
    )))
}

fn of_runs(uri: &Uri, wanted: Wanted<'_>) -> Result<Checked> {
    if wanted.model().is_some() {
        return Err(wanted.not_of("model_id"));
    }
    let parts = uri.parts();
    match parts.split_first() {
        Some((run, path)) if uri.host.is_empty() && Some(run.as_str()) == wanted.run() => {
            let path = ArtifactPath::new(path.join("/"))?;
            Ok(wanted.from(match run.parse::<RunId>() {
                Ok(run) => Source::Run { run, path },
                Err(_) => Source::Elsewhere,
            }))
        }
        _ => Err(wanted.not_of("run_id")),
    }
}

/// A path of the artifact proxy, of this server whatever it is called.
async fn of_proxy(store: &SqlStore, uri: &Uri, wanted: Wanted<'_>) -> Result<Checked> {
    let (field, root) = match (wanted.model(), wanted.run()) {
        (Some(id), _) => ("model_id", logged_root(store, id).await?),
        (None, Some(run)) => ("run_id", run_root(store, run).await?),
        (None, None) => ("run_id", None),
    };
    let root = root.map(|root| Uri::parse(&root)).filter(|root| root.scheme == uri.scheme);
    let (parts, root) = (uri.parts(), root.map(|root| root.parts()).unwrap_or_default());
    let Some(path) = parts.strip_prefix(&root[..]).filter(|_| !root.is_empty()) else {
        return Err(wanted.not_of(field));
    };
    let path = ArtifactPath::new(path.join("/"))?;
    Ok(wanted.from(match (wanted.model(), wanted.run().map(str::parse::<RunId>)) {
        (Some(id), _) => Source::Logged { id: id.into(), path },
        (None, Some(Ok(run))) => Source::Run { run, path },
        _ => Source::Elsewhere,
    }))
}

/// Where a run's artifacts lie for clients, if it is there.
async fn run_root(store: &SqlStore, run: &str) -> Result<Option<String>> {
    let Ok(id) = run.parse::<RunId>() else { return Ok(None) };
    match store.run(&id).await {
        Ok(run) => {
            let place = location(store, &run.experiment).await?;
            Ok(Some(format!("{}/{}/artifacts", place.trim_end_matches('/'), run.id)))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where a logged model's artifacts lie for clients, if it is there.
async fn logged_root(store: &SqlStore, id: &str) -> Result<Option<String>> {
    match store.experiment_of_logged_model(id).await {
        Ok(experiment) => {
            let place = location(store, &experiment).await?;
            Ok(Some(format!("{}/models/{id}/artifacts", place.trim_end_matches('/'))))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn location(store: &SqlStore, id: &ExperimentId) -> Result<String> {
    Ok(artifact_location(&store.experiment(id).await?))
}

/// Where clients read a version's bytes: from the version itself if the record holds them, so that nothing
/// written to its run afterwards matters; else from where MLflow would send them.
pub(super) async fn download_uri(store: &SqlStore, found: &RegisteredVersion) -> Result<String> {
    if found.version.manifest.iter().len() > 0 {
        return Ok(version_uri(found.row));
    }
    let mut text = found.version.source.as_deref().unwrap_or_default().to_owned();
    for _ in 0..COPIES {
        let uri = Uri::parse(&text);
        if uri.scheme != "models" {
            break;
        }
        if uri.is_logged_model() {
            let root = logged_root(store, uri.path.trim_start_matches('/')).await?;
            return Ok(root.unwrap_or(text));
        }
        let Some((name, Which::Number(number))) = uri.registered() else { break };
        let uri = ModelUri::version(ModelName::new(name)?, number);
        match store.registered_version(uri).await {
            Ok(origin) => {
                origin.version.source.as_deref().unwrap_or_default().clone_into(&mut text);
            }
            // Gone since, and with it what it said.
            Err(_) => break,
        }
    }
    Ok(text)
}

/// Refuses a path that leads upwards or is not absolute, in whatever disguise.
fn no_relative_path(text: &str, uri: &Uri) -> Result<()> {
    let mut plain = Cow::Borrowed(text);
    let mut settled = false;
    for _ in 0..ENCODED {
        let next = unquoted(&plain.replace('+', " "));
        settled = next == plain;
        if settled {
            break;
        }
        plain = Cow::Owned(next);
    }
    let path =
        if matches!(plain, Cow::Borrowed(_)) { uri.path.clone() } else { Uri::parse(&plain).path };
    let path = path.trim_end_matches('/');
    let upwards = plain.split('/').any(|part| part == "..");
    let odd = path.contains('\0') || path.split('/').any(|part| part == ".");
    if !settled || upwards || odd || !path.starts_with('/') {
        return Err(Error::invalid(format!(
            "Invalid model version source: '{text}'. If supplying a source as an http, https, local \
             file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided \
             without relative path references present. Please provide an absolute path."
        )));
    }
    Ok(())
}

/// Once decoded from per cent.
fn unquoted(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The parts of a URI as Python's `urlparse` sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Uri {
    scheme: String,
    host: String,
    path: String,
}

/// Which version of a registered model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which<'a> {
    Number(u64),
    Latest,
    Stage(&'a str),
    Alias(&'a str),
}

impl Uri {
    fn parse(text: &str) -> Self {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let scheme = text.split_once(':').filter(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(word)
        });
        let (scheme, rest) = scheme.unwrap_or(("", text));
        let rest = rest.split(['?', '#']).next().unwrap_or_default();
        let (host, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let scheme = scheme.to_ascii_lowercase();
        Self { scheme, host: host.to_ascii_lowercase(), path: path.to_owned() }
    }

    /// The parts of the path, decoded until nothing is left to decode: for what [`no_relative_path`] lets pass.
    fn parts(&self) -> Vec<String> {
        let parts = self.path.split('/').filter(|part| !part.is_empty());
        let decoded = parts.map(|part| {
            let mut part = part.to_owned();
            loop {
                let next = unquoted(&part);
                if next == part {
                    return part;
                }
                part = next;
            }
        });
        decoded.collect()
    }

    /// `models:/ID`.
    fn is_logged_model(&self) -> bool {
        let id = self.path.trim_start_matches('/');
        self.path.starts_with('/') && !id.trim().is_empty() && !id.contains(['/', '@'])
    }

    /// The name and what comes after it.
    fn registered(&self) -> Option<(&str, Which<'_>)> {
        let path = self.path.strip_prefix('/')?.trim_start_matches('/');
        let Some((name, rest)) = path.split_once('/') else {
            let (name, alias) = path.rsplit_once('@')?;
            let there = !name.trim().is_empty() && !alias.trim().is_empty();
            return there.then_some((name, Which::Alias(alias)));
        };
        if name.trim().is_empty() || rest.trim().is_empty() || rest.contains('/') {
            return None;
        }
        Some((
            name,
            match rest.parse() {
                Ok(number) if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
                    Which::Number(number)
                }
                _ if rest.eq_ignore_ascii_case("latest") => Which::Latest,
                _ => Which::Stage(rest),
            },
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for (text, fits) in [
            ("s3://bucket/model", true),
            ("dbfs:/x/y", true),
            ("s3://b/a//b/", true),
            ("s3://bucket", false),
            ("s3://b/../m", false),
            ("s3://b/%2e%2e/m", false),
            ("s3://b/%252e%252e/m", false),
            ("s3://b/./m", false),
            ("s3:model", false),
            ("s3://b/m%00", false),
            ("mlflow-artifacts:/1/../../etc", false),
        ] {
            assert_eq!(no_relative_path(text, &Uri::parse(text)).is_ok(), fits, "{text}");
        }
        // Each round would be as long as the text.
        let endless = format!("s3://b/%{}41", "25".repeat(1_000_000));
        assert!(no_relative_path(&endless, &Uri::parse(&endless)).is_err());
    }

    #[test]
    fn models_are_named_in_five_ways() {
        let named = |text: &str| {
            Uri::parse(text)
                .registered()
                .map(|(name, which)| (name.to_owned(), format!("{which:?}")))
        };
        let is = |name: &str, which: &str| Some((name.to_owned(), which.to_owned()));
        assert_eq!(named("models:/a/3"), is("a", "Number(3)"));
        assert_eq!(named("models:/a/Latest"), is("a", "Latest"));
        assert_eq!(named("models:/a/production"), is("a", "Stage(\"production\")"));
        assert_eq!(named("models:/a@best"), is("a", "Alias(\"best\")"));
        assert_eq!(named("models:/a/b/c"), None);
        assert!(Uri::parse("models:/m-1").is_logged_model());
        assert!(!Uri::parse("models:m-1").is_logged_model());
    }
}
