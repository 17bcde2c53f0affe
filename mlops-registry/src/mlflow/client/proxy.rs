//! Where artifacts lie behind the server's proxy.

use super::{
    http::Session,
    request::{Request, below},
};
use crate::mlflow::wire::artifacts::{FileInfo, Files};
use mlops_core::{Error, Result, artifact::ArtifactPath};
use reqwest::Url;

const PROXY: &str = "api/2.0/mlflow-artifacts/artifacts";
/// The most files of one folder that are looked at.
const MOST: usize = 100_000;

/// A folder behind the proxy.
#[derive(Clone, Debug)]
pub(super) struct Folder {
    /// Below the proxy's root, without slashes at the ends.
    path: String,
}

impl Folder {
    /// The folder that an artifact URI of the server means.
    ///
    /// Only what the server hands out itself can be reached: where it sends clients to a bucket of
    /// their own, credentials for that bucket would be needed here.
    pub(super) fn of(session: &Session, uri: &str) -> Result<Self> {
        let own = session.base.as_str().trim_end_matches('/');
        let path = if let Some(rest) = uri.strip_prefix("mlflow-artifacts://") {
            // An authority, which must be the server that gave the URI.
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let same =
                authority.is_empty() || Some(authority) == authority_of(&session.base).as_deref();
            same.then_some(path)
        } else if let Some(rest) = uri.strip_prefix("mlflow-artifacts:") {
            Some(rest)
        } else {
            let rest = uri.strip_prefix(own).and_then(|rest| rest.strip_prefix('/'));
            rest.and_then(|rest| rest.strip_prefix(PROXY))
        };
        let path = path.map(|path| path.trim_matches('/').to_owned()).ok_or_else(|| {
            let scheme = uri.split(':').next().unwrap_or_default();
            Error::unsupported(format!(
                "{} keeps these artifacts at a {scheme:?} address of its own; \
                 only those behind its proxy (--serve-artifacts) can be reached",
                session.server()
            ))
        })?;
        // What a server says is no reason to leave its proxy.
        ArtifactPath::new(path.as_str())?;
        Ok(Self { path })
    }

    /// The address of a file.
    pub(super) fn file(&self, session: &Session, path: &ArtifactPath) -> Url {
        let parts = [PROXY, self.path.as_str(), path.as_str()];
        let parts = parts.into_iter().flat_map(|part| part.split('/'));
        below(&session.base, parts.filter(|part| !part.is_empty()))
    }

    /// Every file below, in no order.
    pub(super) async fn walk(&self, session: &Session) -> Result<Vec<ArtifactPath>> {
        self.names(session).await?.into_iter().map(ArtifactPath::new).collect()
    }

    /// Every file below as the server names it, in no order.
    pub(super) async fn names(&self, session: &Session) -> Result<Vec<String>> {
        let (mut files, mut folders, mut seen) = (Vec::new(), vec![String::new()], 0);
        while let Some(folder) = folders.pop() {
            // A server that names a folder as its own part would never end.
            seen += 1;
            for entry in self.entries(session, &folder).await? {
                let path = joined(&folder, &entry.path);
                if entry.is_dir {
                    folders.push(path);
                } else {
                    files.push(path);
                }
                if files.len() + folders.len() + seen > MOST {
                    return Err(Error::too_large(format!("more than {MOST} files in one folder")));
                }
            }
        }
        Ok(files)
    }

    async fn entries(&self, session: &Session, folder: &str) -> Result<Vec<FileInfo>> {
        let request = Request::get_at(PROXY).with("path", joined(&self.path, folder));
        session.ask::<Files>(&request).await.map(|found| found.files)
    }
}

fn joined(folder: &str, name: &str) -> String {
    match (folder, name) {
        ("", rest) | (rest, "") => rest.to_owned(),
        _ => format!("{folder}/{name}"),
    }
}

fn authority_of(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
