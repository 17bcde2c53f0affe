//! Values that outlive the step, and maybe the process, that made them.

use crate::{Error, Result, artifact::ArtifactPath, model::ModelPackage};
use std::{fs, path::Path};

/// A value that passes between steps, possibly between processes.
pub trait Stored: Sized + Send + 'static {
    /// Names the type in graphs, caches and exports: `dataset.train`.
    const TYPE: &'static str;
    /// Writes the value into a path that does not exist yet: a file or a folder.
    fn save(&self, into: &Path) -> Result<()>;
    /// Reads the value back, equal to what was saved.
    fn load(from: &Path) -> Result<Self>;
}

/// A stored folder that holds this file is data: a [`DatasetInput`](crate::tracker::DatasetInput)
/// as JSON says which, so that whoever keeps values can record it without reading the rows.
#[cfg(any(feature = "data", feature = "pipeline"))]
pub(crate) const DATASET_FILE: &str = "dataset.json";

/// Text, as a file of UTF-8.
impl Stored for String {
    const TYPE: &'static str = "text";
    fn save(&self, into: &Path) -> Result<()> {
        write(into, self.as_bytes())
    }
    fn load(from: &Path) -> Result<Self> {
        Self::from_utf8(Vec::load(from)?)
            .map_err(|cause| Error::corrupt("a stored text is no UTF-8").with_source(cause))
    }
}

/// Bytes, as a file.
impl Stored for Vec<u8> {
    const TYPE: &'static str = "bytes";
    fn save(&self, into: &Path) -> Result<()> {
        write(into, self)
    }
    fn load(from: &Path) -> Result<Self> {
        fs::read(from).map_err(|source| Error::io(from.display(), source))
    }
}

macro_rules! number {
    ($($of:ty),*) => {
        $(/// A number, as the text that names it exactly; every NaN is the same.
        impl Stored for $of {
            const TYPE: &'static str = stringify!($of);
            fn save(&self, into: &Path) -> Result<()> {
                write(into, self.to_string().as_bytes())
            }
            fn load(from: &Path) -> Result<Self> {
                let text = String::load(from)?;
                text.parse().map_err(|_| {
                    Error::corrupt(concat!("a stored value is no ", stringify!($of)))
                })
            }
        })*
    };
}
number!(bool, i64, u64, f64);

/// A model package, as its folder. What is loaded lies where it was stored.
impl Stored for ModelPackage {
    const TYPE: &'static str = "model";
    fn save(&self, into: &Path) -> Result<()> {
        for (path, _) in self.manifest().iter() {
            let file = path.under(into);
            let folder = file.parent().unwrap_or(into);
            fs::create_dir_all(folder).map_err(|source| Error::io(folder.display(), source))?;
            write(&file, &self.read(ArtifactPath::as_str(path))?)?;
        }
        self.manifest().verify_dir(into)
    }
    fn load(from: &Path) -> Result<Self> {
        Self::open(from)
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    fs::write(path, bytes).map_err(|source| Error::io(path.display(), source))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn through<T: Stored>(value: &T) -> T {
        let folder = tempfile::tempdir().unwrap();
        value.save(&folder.path().join("value")).unwrap();
        T::load(&folder.path().join("value")).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn what_is_stored_is_loaded(text: String, bytes: Vec<u8>, float: f64, int: i64, yes: bool) {
            prop_assert_eq!(&through(&text), &text);
            prop_assert_eq!(&through(&bytes), &bytes);
            prop_assert!(through(&float).total_cmp(&float).is_eq() || float.is_nan());
            prop_assert_eq!((through(&int), through(&yes)), (int, yes));
        }
    }
}
