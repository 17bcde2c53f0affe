//! What lies in a run or behind the proxy of artifacts.

use super::{Int, messages};

messages! {
    /// A file or folder.
    FileInfo {
        path: String,
        is_dir: bool,
        file_size: Option<Int>,
    }

    /// What `GET artifacts/list` and `GET mlflow-artifacts/artifacts` answer.
    Files {
        root_uri: Option<String>,
        files: Vec<FileInfo>,
        next_page_token: Option<String>,
    }
}
