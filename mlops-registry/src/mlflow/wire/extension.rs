//! What our server understands beyond MLflow's API, so that a [`RestStore`](crate::RestStore) keeps every
//! promise of the traits. Nothing of it changes what another client sees.
//!
//! | where | what |
//! |---|---|
//! | `GET /api/3.0/mlflow/server-info` | the answer's field `mlops`: [`Extension`]; without it a server is a plain MLflow |
//! | `POST runs/create`, `POST model-versions/create` | header `Idempotency-Key`: the same key again gives the same answer |
//! | `POST runs/log-batch` | field `mlops_inputs`: `datasets` of `log-inputs`, in the same transaction |
//! | datasets | an input's tag `mlops.digest` holds the whole digest (MLflow's `digest` its first 32 digits), both ways |
//! | `GET metrics/get-history` | `mlops_order=step`: by (step, time) instead of (time, step, value) |
//! | `GET mlflow-artifacts/artifacts/…` | answer's header `Repr-Digest: sha-256=:BASE64:` (RFC 9530), verified by the client; with the request's header `mlops-verifies` damaged bytes come to their end |
//! | `POST`, `DELETE registered-models/alias` | `mlops_expected` (`absent` or a version's number) makes it a compare-and-swap: else 409 `RESOURCE_CONFLICT`, whose message names where it points; `mlops_reason` says why, `mlops_undoes` which move it takes back |
//! | versions | tags `mlops.digest`, `mlops.manifest`, `mlops.signature`, `mlops.dataset`, `mlops.metrics` describe a version (see [`described`](super::described)): set by the client when it creates one, carried by every answer, also for versions that were made otherwise |
//! | refusals | header `mlops-error: conflict` where MLflow says `INVALID_PARAMETER_VALUE` of a conflict |
//! | `POST /api/2.0/mlops/runs/renew-lease` | [`RenewLease`]; answers `{}` |
//! | `POST /api/2.0/mlops/aliases/refused` | [`Refused`]: notes in the history what kept an alias where it is; answers `{}` |
//! | `GET /api/2.0/mlops/events` | `of=models:/NAME@ALIAS`, `kind=` repeated, `after=`, `max_results=`; answers [`Events`] |

use super::{Int, messages};
use mlops_core::{event::Event, registry::Unmet};

/// The protocol that this build speaks.
pub(crate) const PROTOCOL: u32 = 1;
/// The header of a request that is done once.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The header of a refusal that says what MLflow's code cannot.
pub(crate) const ERROR_KIND: &str = "mlops-error";
/// The header of a request for bytes which says that the client verifies them.
pub(crate) const VERIFIES: &str = "mlops-verifies";
/// The header of an answer that names its bytes.
pub(crate) const REPR_DIGEST: &str = "repr-digest";

messages! {
    /// What `GET /api/3.0/mlflow/server-info` answers.
    ServerInfo {
        store_type: Option<String>,
        mlops: Option<Extension>,
    }

    /// That this is our server.
    Extension {
        protocol: u32,
    }

    /// That a run's process lives.
    RenewLease {
        run_id: String,
        /// Milliseconds until it will renew again.
        lasts_ms: Int,
    }

    /// Conditions that kept an alias where it is.
    Refused {
        name: String,
        alias: String,
        version: String,
        reason: String,
        unmet: Vec<Unmet>,
    }

    /// Some of a model's history.
    Events {
        events: Vec<Event>,
        /// `after` of the next page.
        next: Option<String>,
    }
}
