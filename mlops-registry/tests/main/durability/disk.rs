//! A disk that loses whatever was not synced: what a power cut leaves, by the system calls that strace saw.
//!
//! As strict as POSIX lets a file system be: an entry of a folder is there after the folder was synced,
//! bytes of a file are those of its last sync, and one says nothing about the other.

use super::strace::Call;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// What lies under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Entry {
    Folder,
    /// Its place among the files.
    File(usize),
}

/// Bytes as programs see them, and as they were when they were last synced.
#[derive(Debug, Default)]
struct Bytes {
    now: Vec<u8>,
    kept: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    files: Vec<Bytes>,
    now: BTreeMap<PathBuf, Entry>,
    kept: BTreeMap<PathBuf, Entry>,
}

impl Disk {
    /// A disk on which nothing is but an empty folder.
    pub(crate) fn new(root: &Path) -> Self {
        let root = root.canonicalize().unwrap();
        let entries = BTreeMap::from([(root.clone(), Entry::Folder)]);
        Self { root, files: Vec::new(), now: entries.clone(), kept: entries }
    }

    /// Does what a call did. Calls about other places than the database and its artifacts do nothing.
    pub(crate) fn apply(&mut self, call: &Call) {
        let Some(path) = self.ours(call) else { return };
        let args = after_strings(&call.args);
        match call.name.trim_end_matches("at") {
            "open" if call.args.contains("O_CREAT") || call.args.contains("O_TRUNC") => {
                let file = self.file(&path);
                if call.args.contains("O_TRUNC") {
                    self.files[file].now.clear();
                }
            }
            "write" => {
                let file = self.file(&path);
                self.files[file].now.extend(strings(&call.args).remove(0));
            }
            "pwrite64" => {
                let (file, bytes) = (self.file(&path), strings(&call.args).remove(0));
                // `, COUNT, OFFSET) = …` follows the bytes.
                let offset = args.split(", ").nth(2).unwrap().split(')').next().unwrap();
                let offset: usize = offset.parse().unwrap();
                let now = &mut self.files[file].now;
                now.resize(now.len().max(offset + bytes.len()), 0);
                now[offset..offset + bytes.len()].copy_from_slice(&bytes);
            }
            "ftruncate" => {
                let file = self.file(&path);
                let size = call.args.split(", ").nth(1).unwrap().split(')').next().unwrap();
                self.files[file].now.resize(size.parse().unwrap(), 0);
            }
            "mkdir" => {
                self.now.insert(path, Entry::Folder);
            }
            "unlink" => {
                self.now.remove(&path);
            }
            "rename" => {
                let to = path_of(strings(&call.args).remove(1));
                let entry = self.now.remove(&path).unwrap();
                self.now.insert(to, entry);
            }
            "fsync" | "fdatasync" => self.sync(&path),
            _ => {}
        }
    }

    /// The path that a call is about, if it is one of those that matter.
    fn ours(&self, call: &Call) -> Option<PathBuf> {
        let path = match call.name.trim_end_matches("at") {
            "open" | "mkdir" | "rename" | "unlink" => {
                path_of(strings(&call.args).into_iter().next()?)
            }
            _ => {
                let path = call.args.split_once('<')?.1.split_once('>')?.0;
                path_of(decoded(path))
            }
        };
        let below = path.strip_prefix(&self.root).ok()?;
        let name = below.to_str()?;
        let matters =
            name.is_empty() || name.starts_with("artifacts") || name.starts_with("mlops.db");
        // The index of the log is memory that processes share: the log alone says what is in it.
        (matters && !name.ends_with("-shm")).then_some(path)
    }

    fn file(&mut self, path: &Path) -> usize {
        if let Some(Entry::File(file)) = self.now.get(path) {
            return *file;
        }
        self.files.push(Bytes::default());
        let file = self.files.len() - 1;
        self.now.insert(path.to_owned(), Entry::File(file));
        file
    }

    fn sync(&mut self, path: &Path) {
        match self.now.get(path) {
            Some(Entry::File(file)) => self.files[*file].kept = self.files[*file].now.clone(),
            Some(Entry::Folder) => {
                let inside = |own: &PathBuf| own.parent() == Some(path);
                self.kept.retain(|own, _| !inside(own));
                let entries = self.now.iter().filter(|(own, _)| inside(own));
                self.kept.extend(entries.map(|(own, entry)| (own.clone(), *entry)));
            }
            // Removed meanwhile.
            None => {}
        }
    }

    /// Writes what a power cut would leave now into another folder.
    pub(crate) fn cut(&self, into: &Path) {
        // A folder comes before what is in it.
        for (path, entry) in &self.kept {
            let path = into.join(path.strip_prefix(&self.root).unwrap());
            if !path.parent().unwrap().is_dir() {
                continue;
            }
            match entry {
                Entry::Folder if path.is_dir() => {}
                Entry::Folder => fs::create_dir(path).unwrap(),
                Entry::File(file) => fs::write(path, &self.files[*file].kept).unwrap(),
            }
        }
    }
}

/// Whether a call says that something is done.
pub(crate) fn acknowledges(call: &Call) -> bool {
    let path = call.args.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    call.is("write") && path.is_some_and(|(path, _)| decoded(path).ends_with(b"/acks"))
}

/// What stands between quotes, as bytes.
fn strings(args: &str) -> Vec<Vec<u8>> {
    args.split('"').skip(1).step_by(2).map(decoded).collect()
}

/// What follows the last quote.
fn after_strings(args: &str) -> &str {
    args.rsplit('"').next().unwrap_or(args)
}

/// strace was told to write every byte as `\x41`.
fn decoded(text: &str) -> Vec<u8> {
    let digits = text.split("\\x").skip(1);
    digits.map(|digits| u8::from_str_radix(digits, 16).unwrap()).collect()
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    PathBuf::from(String::from_utf8(bytes).unwrap())
}
