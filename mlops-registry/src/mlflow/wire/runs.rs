//! Runs, what is logged into them, and the history of their metrics.

use super::{Double, Int, Pair, datasets::DatasetInput, messages};

messages! {
    /// A run without its parts.
    RunInfo {
        run_id: String,
        /// The same again, for clients of old.
        run_uuid: Option<String>,
        run_name: Option<String>,
        experiment_id: String,
        user_id: Option<String>,
        /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
        status: Option<String>,
        start_time: Option<Int>,
        end_time: Option<Int>,
        artifact_uri: Option<String>,
        /// `active` or `deleted`.
        lifecycle_stage: Option<String>,
    }

    /// The latest of each metric, the parameters and the tags.
    RunData {
        metrics: Vec<Metric>,
        params: Vec<Pair>,
        tags: Vec<Pair>,
    }

    /// What a run read.
    RunInputs {
        dataset_inputs: Vec<DatasetInput>,
        model_inputs: Vec<RunModel>,
    }

    /// What a run made.
    RunOutputs {
        model_outputs: Vec<RunModel>,
    }

    /// A logged model that a run read or made.
    RunModel {
        model_id: String,
        step: Int,
    }

    /// A run.
    Run {
        info: RunInfo,
        data: RunData,
        inputs: RunInputs,
        outputs: RunOutputs,
    }

    /// What creating and getting answer.
    OneRun {
        run: Run,
    }

    /// `POST runs/create`.
    CreateRun {
        experiment_id: String,
        user_id: Option<String>,
        run_name: Option<String>,
        start_time: Option<Int>,
        tags: Vec<Pair>,
    }

    /// `POST runs/update`.
    UpdateRun {
        run_id: String,
        status: Option<String>,
        end_time: Option<Int>,
        run_name: Option<String>,
    }

    /// `POST runs/delete` and `runs/restore`.
    RunId {
        run_id: String,
    }

    /// `POST runs/delete-tag`; `runs/set-tag` with a value.
    RunTag {
        run_id: String,
        key: String,
        value: Option<String>,
    }

    /// `POST runs/search`.
    SearchRuns {
        experiment_ids: Vec<String>,
        filter: Option<String>,
        /// `ACTIVE_ONLY`, `DELETED_ONLY` or `ALL`.
        run_view_type: Option<String>,
        max_results: Option<Int>,
        order_by: Vec<String>,
        page_token: Option<String>,
    }

    /// What a search answers.
    Runs {
        runs: Vec<Run>,
        next_page_token: Option<String>,
    }

    /// `POST runs/log-batch`; the last field is ours (see [`extension`](super::extension)).
    LogBatch {
        run_id: String,
        metrics: Vec<Metric>,
        params: Vec<Pair>,
        tags: Vec<Pair>,
        mlops_inputs: Vec<DatasetInput>,
    }

    /// `POST runs/log-inputs`.
    LogInputs {
        run_id: String,
        datasets: Vec<DatasetInput>,
    }

    /// What `GET metrics/get-history` answers.
    History {
        metrics: Vec<Metric>,
        next_page_token: Option<String>,
    }
}

/// One value of a metric. Written with every field: a value of 0 is a value.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default)]
pub(crate) struct Metric {
    pub(crate) key: String,
    pub(crate) value: Double,
    /// Milliseconds since 1970.
    pub(crate) timestamp: Int,
    pub(crate) step: Int,
}
