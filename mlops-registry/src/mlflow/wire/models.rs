//! Registered models, their versions and aliases.

use super::{Double, Int, Pair, messages};

messages! {
    /// A name under which versions are registered.
    RegisteredModel {
        name: String,
        creation_timestamp: Option<Int>,
        last_updated_timestamp: Option<Int>,
        user_id: Option<String>,
        description: Option<String>,
        latest_versions: Vec<ModelVersion>,
        tags: Vec<Pair>,
        aliases: Vec<ModelAlias>,
    }

    /// Where an alias points.
    ModelAlias {
        alias: String,
        version: String,
    }

    /// A version of a model.
    ModelVersion {
        name: String,
        version: String,
        creation_timestamp: Option<Int>,
        last_updated_timestamp: Option<Int>,
        user_id: Option<String>,
        current_stage: Option<String>,
        description: Option<String>,
        source: Option<String>,
        run_id: Option<String>,
        /// `READY`, or how it stands on its way there.
        status: Option<String>,
        run_link: Option<String>,
        model_id: Option<String>,
        tags: Vec<Pair>,
        aliases: Vec<String>,
    }

    /// `POST registered-models/create`.
    CreateModel {
        name: String,
        tags: Vec<Pair>,
        description: Option<String>,
    }

    /// What every act on one model answers.
    OneModel {
        registered_model: RegisteredModel,
    }

    /// What every act on one version answers.
    OneVersion {
        model_version: ModelVersion,
    }

    /// `POST registered-models/rename`, `PATCH registered-models/update`, `DELETE registered-models/delete`.
    ChangeModel {
        name: String,
        new_name: Option<String>,
        description: Option<String>,
    }

    /// `POST registered-models/set-tag`; `DELETE registered-models/delete-tag` without a value.
    ModelTag {
        name: String,
        key: String,
        value: Option<String>,
    }

    /// `POST model-versions/set-tag`; `DELETE model-versions/delete-tag` without a value.
    VersionTag {
        name: String,
        version: String,
        key: String,
        value: Option<String>,
    }

    /// `DELETE model-versions/delete`; `PATCH model-versions/update` with a description.
    NamedVersion {
        name: String,
        version: String,
        description: Option<String>,
    }

    /// `POST model-versions/create`.
    CreateVersion {
        name: String,
        source: String,
        run_id: Option<String>,
        tags: Vec<Pair>,
        description: Option<String>,
        model_id: Option<String>,
    }

    /// What `GET registered-models/search` answers.
    Models {
        registered_models: Vec<RegisteredModel>,
        next_page_token: Option<String>,
    }

    /// What `GET model-versions/search` answers.
    Versions {
        model_versions: Vec<ModelVersion>,
        next_page_token: Option<String>,
    }

    /// `POST registered-models/alias`; `DELETE` without a version. The last three fields are ours
    /// (see [`extension`](super::extension)).
    SetAlias {
        name: String,
        alias: String,
        version: Option<String>,
        mlops_expected: Option<String>,
        mlops_reason: Option<String>,
        mlops_undoes: Option<String>,
    }

    /// What `GET model-versions/get-download-uri` answers.
    DownloadUri {
        artifact_uri: String,
    }
}

messages! {
    /// `POST logged-models`.
    CreateLoggedModel {
        experiment_id: String,
        name: String,
        source_run_id: Option<String>,
    }

    /// `PATCH logged-models/{id}`.
    FinalizeLoggedModel {
        model_id: String,
        /// `LOGGED_MODEL_READY` or `LOGGED_MODEL_UPLOAD_FAILED`.
        status: String,
    }

    /// What both answer.
    OneLoggedModel {
        model: LoggedModel,
    }

    /// A place for the bytes of a model, and what is known of it.
    LoggedModel {
        info: LoggedModelInfo,
        data: LoggedModelData,
    }

    /// What it was made with, and what was measured of it.
    LoggedModelData {
        params: Vec<Pair>,
        metrics: Vec<ModelMetric>,
    }

    /// `POST logged-models/search`.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only an import asks"))]
    SearchLoggedModels {
        experiment_ids: Vec<String>,
        max_results: Option<Int>,
        page_token: Option<String>,
    }

    /// What it answers.
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only an import asks"))]
    LoggedModels {
        models: Vec<LoggedModel>,
        next_page_token: Option<String>,
    }

    /// A value that a run measured of a logged model.
    ModelMetric {
        key: String,
        value: Double,
        timestamp: Int,
        step: Int,
        run_id: String,
        dataset_name: String,
        dataset_digest: String,
    }

    /// Where it is and how it stands.
    LoggedModelInfo {
        model_id: String,
        experiment_id: String,
        name: String,
        model_type: Option<String>,
        artifact_uri: String,
        status: String,
        status_message: Option<String>,
        source_run_id: Option<String>,
        creation_timestamp_ms: Option<Int>,
        last_updated_timestamp_ms: Option<Int>,
        tags: Vec<Pair>,
    }
}
