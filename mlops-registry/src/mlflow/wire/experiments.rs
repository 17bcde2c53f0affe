//! Experiments.

use super::{Int, Pair, messages};

messages! {
    /// Runs that belong together.
    Experiment {
        experiment_id: String,
        name: String,
        artifact_location: String,
        /// `active` or `deleted`.
        lifecycle_stage: String,
        last_update_time: Option<Int>,
        creation_time: Option<Int>,
        tags: Vec<Pair>,
    }

    /// `POST experiments/create`.
    CreateExperiment {
        name: String,
        artifact_location: Option<String>,
        tags: Vec<Pair>,
    }

    /// What creating answers, and what `delete`, `restore` ask.
    ExperimentId {
        experiment_id: String,
    }

    /// `POST experiments/update`.
    UpdateExperiment {
        experiment_id: String,
        new_name: Option<String>,
    }

    /// `POST experiments/set-experiment-tag`, and `delete-experiment-tag` without a value.
    ExperimentTag {
        experiment_id: String,
        key: String,
        value: Option<String>,
    }

    /// `GET experiments/get`.
    OneExperiment {
        experiment: Experiment,
    }

    /// `POST experiments/search`.
    SearchExperiments {
        max_results: Option<Int>,
        page_token: Option<String>,
        filter: Option<String>,
        order_by: Vec<String>,
        /// `ACTIVE_ONLY`, `DELETED_ONLY` or `ALL`.
        view_type: Option<String>,
    }

    /// What a search answers.
    Experiments {
        experiments: Vec<Experiment>,
        next_page_token: Option<String>,
    }
}
