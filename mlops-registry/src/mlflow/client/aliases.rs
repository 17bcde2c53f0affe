//! Aliases: compared, judged, set.

use super::{RestStore, http::Session, models, request::Request, versions};
use crate::mlflow::wire::{extension::Refused, models::SetAlias};
use mlops_core::{
    Error, ErrorKind, Result, ResultExt, VersionId,
    registry::{AliasMove, Expected, ModelVersion, MoveAlias, Unmet},
};
use reqwest::Method;
use std::sync::Arc;

const ALIAS: &str = "registered-models/alias";
/// How often a move without an opinion about where the alias points is tried, because it moved meanwhile.
const ROUNDS: usize = 10;

/// Gates judge where the caller is, not on the client's thread: they may take their time, and may call.
pub(super) async fn move_alias(store: &RestStore, request: MoveAlias) -> Result<AliasMove> {
    let session = &store.shared.session;
    if request.undoes.is_some() && !session.is_ours() {
        return Err(Error::unsupported("MLflow keeps no history of which a move could be undone"));
    }
    for _ in 1..ROUNDS {
        match moved(store, &request).await {
            Err(error) if error.kind() == ErrorKind::Conflict && request.from == Expected::Any => {}
            outcome => return outcome,
        }
    }
    moved(store, &request).await
}

async fn moved(store: &RestStore, request: &MoveAlias) -> Result<AliasMove> {
    let own = request.clone();
    let seen = store.call(|session| look(session, own)).await?;
    if seen.from == request.to && seen.found == request.to {
        return Ok(AliasMove::Moved { from: seen.from, to: request.to });
    }
    if let Some(candidate) = &seen.candidate {
        let unmet = unmet(request, candidate, seen.champion.as_ref())?;
        if !unmet.is_empty() {
            let (own, told) = (request.clone(), unmet.clone());
            store.call(|session| refused(session, own, told)).await?;
            return Ok(AliasMove::Refused { unmet });
        }
    }
    let own = request.clone();
    store.call(move |session| set(session, own, seen.from)).await?;
    Ok(AliasMove::Moved { from: seen.from, to: request.to })
}

/// What gates are asked about.
struct Seen {
    /// Where the alias points, as far as the request says.
    from: Option<u64>,
    /// Where it pointed when it was asked.
    found: Option<u64>,
    /// The version that it shall point at, if any gate asks.
    candidate: Option<ModelVersion>,
    champion: Option<ModelVersion>,
}

async fn look(session: Arc<Session>, request: MoveAlias) -> Result<Seen> {
    let from = pointed(&session, &request).await?;
    let mut seen = Seen { from, found: from, candidate: None, champion: None };
    if let Err(conflict) = expected(&request, from) {
        // Our server says who moved it; it is asked, and may find that it moved back.
        let known = !session.is_ours();
        return if known {
            Err(conflict)
        } else {
            Ok(Seen { from: believed(&request, from), ..seen })
        };
    }
    let Some(to) = request.to else { return Ok(seen) };
    let id = VersionId::new(request.model.clone(), to);
    versions::given(&id)?;
    // Without gates the server says whether the version is there.
    if !request.gates.is_empty() && from != request.to {
        seen.candidate = Some(versions::get(&session, &id).await?);
        if let Some(from) = from {
            let id = VersionId::new(request.model, from);
            seen.champion = Some(versions::get(&session, &id).await?);
        }
    }
    Ok(seen)
}

async fn pointed(session: &Session, request: &MoveAlias) -> Result<Option<u64>> {
    let model = models::get(session, &request.model).await?;
    Ok(model.aliases.get(&request.alias).copied())
}

fn believed(request: &MoveAlias, found: Option<u64>) -> Option<u64> {
    match request.from {
        Expected::Version(version) => Some(version),
        Expected::Absent => None,
        _ => found,
    }
}

fn expected(request: &MoveAlias, found: Option<u64>) -> Result<()> {
    match request.from {
        Expected::Any | Expected::Absent | Expected::Version(_) => {}
        _ => return Err(Error::unsupported("this client does not know the expectation")),
    }
    if believed(request, found) == found {
        return Ok(());
    }
    let alias = format!("{}@{}", request.model, request.alias);
    Err(Error::conflict(match found {
        Some(version) => format!("alias {alias} points at version {version}"),
        None => format!("alias {alias} does not exist"),
    }))
}

/// Every condition that is not met. Removing an alias has none: gates judge a candidate.
fn unmet(
    request: &MoveAlias,
    candidate: &ModelVersion,
    champion: Option<&ModelVersion>,
) -> Result<Vec<Unmet>> {
    let mut unmet = Vec::new();
    for gate in &request.gates {
        let found = gate.unmet(candidate, champion);
        unmet.extend(found.context(|| format!("gate \"{gate}\""))?);
    }
    Ok(unmet)
}

/// Sets or removes it, if it still points where it was seen. Ours compares and sets at once; MLflow is
/// asked, then told, while other callers here wait.
async fn set(session: Arc<Session>, request: MoveAlias, seen: Option<u64>) -> Result<()> {
    let _turn = session.aliases.lock().await;
    let ours = session.is_ours();
    if !ours {
        let found = pointed(&session, &request).await?;
        let from = seen.map_or(Expected::Absent, Expected::Version);
        expected(&request.clone().with_from(from), found)?;
    }
    let text = seen.map_or_else(|| "absent".to_owned(), |version| version.to_string());
    let body = SetAlias {
        name: request.model.to_string(),
        alias: request.alias.to_string(),
        version: request.to.map(|version| version.to_string()),
        mlops_expected: ours.then_some(text),
        mlops_reason: ours.then(|| request.reason.to_string()),
        mlops_undoes: request.undoes.map(|event| event.to_string()),
    };
    let method = if request.to.is_some() { Method::POST } else { Method::DELETE };
    session.tell(&Request::send(method, ALIAS, &body)?).await
}

/// Has our server note what kept the alias where it is; MLflow keeps no history.
async fn refused(session: Arc<Session>, request: MoveAlias, unmet: Vec<Unmet>) -> Result<()> {
    if !session.is_ours() {
        return Ok(());
    }
    let body = Refused {
        name: request.model.to_string(),
        alias: request.alias.to_string(),
        version: request.to.map(|version| version.to_string()).unwrap_or_default(),
        reason: request.reason.to_string(),
        unmet,
    };
    session.tell(&Request::send_at(Method::POST, "api/2.0/mlops/aliases/refused", &body)?).await
}
