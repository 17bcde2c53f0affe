//! How far transfers are, for whoever wants to know.

use super::ArtifactStore;
use futures_util::TryStreamExt;
use mlops_core::artifact::ByteStream;
use std::sync::Arc;

/// Whoever is told, if anybody.
#[derive(Clone, Default)]
pub(super) struct Told(Option<Arc<dyn Fn(u64) + Send + Sync>>);

impl Told {
    pub(super) fn tell(&self, bytes: u64) {
        if let Some(told) = &self.0 {
            told(bytes);
        }
    }

    /// The same bytes; each piece is told of as it passes.
    pub(super) fn listen(&self, body: ByteStream) -> ByteStream {
        if self.0.is_none() {
            return body;
        }
        let own = self.clone();
        Box::pin(body.inspect_ok(move |piece| own.tell(piece.len() as u64)))
    }
}

impl ArtifactStore {
    /// A handle to the same objects that says how far its transfers are: with each piece, how many bytes more.
    ///
    /// # Behavior
    /// - over a transfer that succeeds the pieces add up to its size; what was there already counts as moved
    /// - of a [`put`](Self::put) a piece is told of when it is stored, of a [`get`](Self::get) when it is read
    /// - it is called from within the transfer, which waits for it, and for every transfer of the handle
    ///
    /// ```
    /// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
    /// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
    /// # let folder = tempfile::tempdir().unwrap();
    ///
    /// let store = mlops_registry::ArtifactStore::open_dir(folder.path().join("artifacts")).await?;
    /// let moved = Arc::new(AtomicU64::new(0));
    /// let bar = Arc::clone(&moved);
    /// let told = store.with_progress(move |bytes| { bar.fetch_add(bytes, Ordering::Relaxed); });
    /// # let package = folder.path().join("package");
    /// # std::fs::create_dir(&package).unwrap();
    /// # std::fs::write(package.join("weights.bin"), [0; 1000]).unwrap();
    /// told.put_dir(&package).await?;
    /// assert_eq!(moved.load(Ordering::Relaxed), 1000);
    /// # Ok::<(), mlops_core::Error>(()) }).unwrap();
    /// ```
    #[must_use]
    pub fn with_progress(&self, told: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self { told: Told(Some(Arc::new(told))), ..self.clone() }
    }
}
