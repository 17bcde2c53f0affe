//! Aliases: compared, judged, set.

use super::{http::Session, models, request::Request, runs, versions};
use crate::mlflow::wire::{extension::Refused, models::SetAlias};
use mlops_core::{
    Error, ErrorKind, Result, ResultExt, VersionId,
    registry::{AliasMove, Expected, ModelVersion, MoveAlias, Unmet},
};
use reqwest::Method;
use std::sync::Arc;

const ALIAS: &str = "registered-models/alias";
/// How often a move without an opinion about where the alias points is judged anew, because it moved.
const ROUNDS: usize = 5;

pub(super) async fn move_alias(session: Arc<Session>, request: MoveAlias) -> Result<AliasMove> {
    // Of two callers here one waits; two clients are told apart by our server only.
    let _turn = session.aliases.lock().await;
    for _ in 1..ROUNDS {
        match moved(&session, &request).await {
            Err(error) if error.kind() == ErrorKind::Conflict && request.from == Expected::Any => {}
            outcome => return outcome,
        }
    }
    moved(&session, &request).await
}

async fn moved(session: &Session, request: &MoveAlias) -> Result<AliasMove> {
    let model = models::get(session, &request.model).await?;
    let from = model.aliases.get(&request.alias).copied();
    expected(request, from)?;
    let moved = AliasMove::Moved { from, to: request.to };
    if from == request.to {
        return Ok(moved);
    }
    if let Some(to) = request.to {
        let unmet = unmet(session, request, to, from).await?;
        if !unmet.is_empty() {
            refused(session, request, &unmet).await?;
            return Ok(AliasMove::Refused { unmet });
        }
    }
    set(session, request, from).await.map(|()| moved)
}

fn expected(request: &MoveAlias, found: Option<u64>) -> Result<()> {
    let as_expected = match request.from {
        Expected::Any => true,
        Expected::Absent => found.is_none(),
        Expected::Version(version) => found == Some(version),
        _ => return Err(Error::unsupported("this client does not know the expectation")),
    };
    if as_expected {
        return Ok(());
    }
    let alias = format!("{}@{}", request.model, request.alias);
    Err(Error::conflict(match found {
        Some(version) => format!("alias {alias} points at version {version}"),
        None => format!("alias {alias} does not exist"),
    }))
}

async fn found(session: &Session, request: &MoveAlias, number: u64) -> Result<ModelVersion> {
    versions::get(session, &VersionId::new(request.model.clone(), number)).await
}

/// Every condition that is not met. Removing an alias has none: gates judge a candidate.
async fn unmet(
    session: &Session,
    request: &MoveAlias,
    to: u64,
    from: Option<u64>,
) -> Result<Vec<Unmet>> {
    if request.gates.is_empty() {
        // The server says whether the version is there.
        return versions::given(&VersionId::new(request.model.clone(), to)).map(|()| Vec::new());
    }
    let candidate = judged(session, found(session, request, to).await?).await?;
    let champion = match from {
        Some(from) => Some(judged(session, found(session, request, from).await?).await?),
        None => None,
    };
    let mut unmet = Vec::new();
    for gate in &request.gates {
        let found = gate.unmet(&candidate, champion.as_ref());
        unmet.extend(found.context(|| format!("gate \"{gate}\""))?);
    }
    Ok(unmet)
}

/// A version as gates see it: beside what was measured when it was made, the latest metrics of its run.
async fn judged(session: &Session, mut version: ModelVersion) -> Result<ModelVersion> {
    let Some(run) = version.run else { return Ok(version) };
    match runs::get(session, run).await {
        Ok(run) => {
            for (metric, point) in run.metrics {
                version.metrics.entry(metric).or_insert(point.value);
            }
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(version)
}

/// Sets or removes it. Ours does so only if it still points where it was seen; who was not sure and
/// asked twice finds it there already.
async fn set(session: &Session, request: &MoveAlias, from: Option<u64>) -> Result<()> {
    let seen = from.map_or_else(|| "absent".to_owned(), |version| version.to_string());
    let body = SetAlias {
        name: request.model.to_string(),
        alias: request.alias.to_string(),
        version: request.to.map(|version| version.to_string()),
        mlops_expected: session.is_ours().then_some(seen),
        mlops_reason: session.is_ours().then(|| request.reason.to_string()),
    };
    let method = if request.to.is_some() { Method::POST } else { Method::DELETE };
    session.tell(&Request::send(method, ALIAS, &body)?).await
}

/// Has our server note what kept the alias where it is; MLflow keeps no history.
async fn refused(session: &Session, request: &MoveAlias, unmet: &[Unmet]) -> Result<()> {
    if !session.is_ours() {
        return Ok(());
    }
    let body = Refused {
        name: request.model.to_string(),
        alias: request.alias.to_string(),
        version: request.to.map(|version| version.to_string()).unwrap_or_default(),
        reason: request.reason.to_string(),
        unmet: unmet.to_vec(),
    };
    session.tell(&Request::send_at(Method::POST, "api/2.0/mlops/aliases/refused", &body)?).await
}
