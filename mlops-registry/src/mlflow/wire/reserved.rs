//! Names of tags that mean something already. Those of ours begin with `mlops.` and are neither set by
//! callers nor shown to them; any other program may read them.

/// The key that made a run or a version, where the server knows no idempotency.
pub(crate) const KEY: &str = "mlops.idempotency_key";
/// SHA-256 of a dataset, or of a version's manifest: `sha256:` and 64 digits.
pub(crate) const DIGEST: &str = "mlops.digest";
/// How many rows a dataset has.
pub(crate) const ROWS: &str = "mlops.rows";
/// Canonical JSON of a version's manifest, in pieces.
pub(crate) const MANIFEST: &str = "mlops.manifest";
/// JSON of a version's signature, in pieces.
pub(crate) const SIGNATURE: &str = "mlops.signature";
/// Digest of the data that a version was trained on.
pub(crate) const DATASET: &str = "mlops.dataset";
/// JSON of what a version measured, in pieces.
pub(crate) const METRICS: &str = "mlops.metrics";
/// The tag of a run that holds its name.
pub(crate) const RUN_NAME: &str = "mlflow.runName";
/// The tag of a run that is part of another.
pub(crate) const PARENT: &str = "mlflow.parentRunId";

/// Whether a tag of a run or an experiment is the wire's own business.
pub(crate) fn of_run(key: &str) -> bool {
    matches!(key, KEY | RUN_NAME)
}

/// Whether a tag of a version is the wire's own business. Pieces after the first have a number at the end.
pub(crate) fn of_version(key: &str) -> bool {
    let piece = |name: &str| {
        let rest = key.strip_prefix(name).map(|rest| rest.strip_prefix('.').unwrap_or(rest));
        rest.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    matches!(key, KEY | DIGEST | DATASET) || [MANIFEST, SIGNATURE, METRICS].into_iter().any(piece)
}
