//! Artifacts from where a source keeps them.

use super::{
    super::{SqlStore, paths, paths::Owner},
    ImportOptions, Imported, Source,
    folder::{files, relative},
};
use crate::artifacts::blocking;
use bytes::Bytes;
use futures_util::stream;
use mlops_core::{
    Error, ErrorKind, Result, ResultExt,
    artifact::{ArtifactPath, ByteStream, Manifest},
};
use percent_encoding::percent_decode_str;
use std::{fs::File, io::Read, path::PathBuf};

/// How much of a file is read at once.
const PIECE: u64 = 1 << 20;

impl ImportOptions {
    /// The folder of this machine that a place means; nothing if it lies elsewhere.
    pub(super) fn folder(&self, place: &str) -> Option<PathBuf> {
        for (from, to) in &self.moved {
            if let Some(rest) = place.strip_prefix(from.as_str()) {
                return Some(to.join(decoded(rest).trim_start_matches('/')));
            }
        }
        match place.split_once(':') {
            Some(("file", rest)) => {
                let path = rest.strip_prefix("//localhost").or(rest.strip_prefix("//"));
                Some(PathBuf::from(decoded(path.unwrap_or(rest))))
            }
            Some((scheme, _)) if scheme.len() > 1 => None,
            _ if place.is_empty() => None,
            _ => Some(PathBuf::from(place)),
        }
    }
}

/// `%20` is a space: places are URIs.
fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

impl SqlStore {
    /// Takes every file below a place.
    pub(super) async fn import_files(
        &self,
        source: &Source,
        owner: &Owner,
        place: &str,
        options: &ImportOptions,
        done: &mut Imported,
    ) -> Result<()> {
        if let Some(names) = source.files(place).await? {
            return self.import_served(source, owner, (place, names), done).await;
        }
        let Some(folder) = options.folder(place) else {
            if !place.is_empty() {
                done.left(format!("artifacts of {owner}"), format!("{place:?} is no folder here"));
            }
            return Ok(());
        };
        let own = folder.clone();
        for file in blocking::run(move || files(&own)).await? {
            let text = relative(&folder, &file);
            let path = match ArtifactPath::new(text.as_str()) {
                Ok(path) => path,
                Err(error) => {
                    done.left(format!("artifact {text:?} of {owner}"), error.to_string());
                    continue;
                }
            };
            let body = body(file.clone()).await?;
            let artifact = paths::write(self, owner.clone(), path, body).await?;
            done.artifacts += 1;
            done.bytes += artifact.size;
        }
        Ok(())
    }

    /// Takes files that the source hands out.
    async fn import_served(
        &self,
        source: &Source,
        owner: &Owner,
        (place, names): (&str, Vec<String>),
        done: &mut Imported,
    ) -> Result<()> {
        for name in names {
            let what = || format!("artifact {name:?} of {owner}");
            let path = match ArtifactPath::new(name.as_str()) {
                Ok(path) => path,
                Err(error) => {
                    done.left(what(), error.to_string());
                    continue;
                }
            };
            let body = match source.file(place, &path).await {
                Ok(body) => body,
                // Removed since it was listed, or a name that the server itself does not find again.
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    done.left(what(), error.to_string());
                    continue;
                }
                Err(error) => return Err(error).context(what),
            };
            let artifact = paths::write(self, owner.clone(), path, body).await.context(what)?;
            done.artifacts += 1;
            done.bytes += artifact.size;
        }
        Ok(())
    }

    /// Every file below a place that the source hands out, stored under its digest; empty if there is none.
    pub(super) async fn import_package(&self, source: &Source, place: &str) -> Result<Manifest> {
        let mut manifest = Manifest::default();
        for name in source.files(place).await?.unwrap_or_default() {
            let path = ArtifactPath::new(name)?;
            let body = source.file(place, &path).await?;
            let artifacts = self.shared.artifacts.clone();
            let put = self.shared.thread.task(async move { artifacts.put(body).await });
            let artifact = put.await.context(|| path.to_string())?;
            manifest.insert(path, artifact);
        }
        Ok(manifest)
    }
}

/// A file as a stream.
async fn body(path: PathBuf) -> Result<ByteStream> {
    let open = path.clone();
    let file = blocking::run(move || {
        File::open(&open).map_err(|source| Error::io(open.display(), source))
    });
    let pieces = stream::try_unfold((file.await?, path), |(mut file, path)| {
        blocking::run(move || {
            let mut piece = Vec::new();
            let read = file.by_ref().take(PIECE).read_to_end(&mut piece);
            read.map_err(|source| Error::io(path.display(), source))?;
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, path))))
        })
    });
    Ok(Box::pin(pieces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_folders_of_this_machine_or_none() {
        let options = ImportOptions::default().with_moved("mlflow-artifacts:/", "/data");
        for (place, folder) in [
            ("file:///a/b%20c", Some("/a/b c")),
            ("file:/a", Some("/a")),
            ("/a/b", Some("/a/b")),
            ("mlflow-artifacts:/1/r/artifacts", Some("/data/1/r/artifacts")),
            ("s3://bucket/a", None),
            ("", None),
        ] {
            assert_eq!(options.folder(place), folder.map(PathBuf::from), "{place}");
        }
    }
}
