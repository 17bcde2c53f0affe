//! Where ONNX Runtime's library may lie. Folders are looked at; nothing is run.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// Names one library, and no other is tried.
pub(super) const EXPLICIT: &str = "ORT_DYLIB_PATH";

/// What surrounds a process.
#[derive(Clone, Debug, Default)]
pub(super) struct Surroundings {
    /// What `ORT_DYLIB_PATH` says.
    pub(super) explicit: Option<PathBuf>,
    /// The folder of the program.
    pub(super) beside: Option<PathBuf>,
    /// Folders that the system's loader looks into.
    pub(super) system: Vec<PathBuf>,
    /// Roots of Python's environments, the active one first.
    pub(super) python: Vec<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub(super) fn of_this_process() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        let folder = |name: &str| set(name).map(PathBuf::from);
        let listed = |name: &str| -> Vec<PathBuf> {
            set(name)
                .iter()
                .flat_map(env::split_paths)
                .filter(|path| !path.as_os_str().is_empty())
                .collect()
        };
        let own = env::current_exe().ok();
        let mut system = listed("LD_LIBRARY_PATH");
        system.extend(listed("DYLD_LIBRARY_PATH"));
        system.extend(SYSTEM.iter().map(PathBuf::from));
        let arch = env::consts::ARCH;
        system.push(format!("/usr/lib/{arch}-linux-gnu").into());
        let active = ["VIRTUAL_ENV", "CONDA_PREFIX"].into_iter().filter_map(folder);
        let mut python: Vec<PathBuf> = active.collect();
        python.extend(interpreters(&listed("PATH"), env::var("PYENV_VERSION").ok().as_deref()));
        python.extend(folder("HOME").map(|home| home.join(".local")));
        Self {
            explicit: set(EXPLICIT).map(absolute),
            beside: own.and_then(|program| program.parent().map(Path::to_owned)),
            system,
            python,
        }
    }

    /// Libraries that are there, in the order in which they are tried.
    pub(super) fn candidates(&self) -> Vec<PathBuf> {
        if let Some(explicit) = &self.explicit {
            return vec![explicit.clone()];
        }
        let mut found: Vec<PathBuf> = Vec::new();
        let beside = self.beside.iter().flat_map(|folder| [folder.clone(), folder.join("lib")]);
        let packages = self.python.iter().flat_map(|root| packages(root));
        for folder in beside.chain(self.system.iter().cloned()).chain(packages) {
            let new = libraries(&folder).into_iter().filter(|path| !found.contains(path));
            found.extend(new.collect::<Vec<_>>());
        }
        found
    }

    /// What was looked at, for a person.
    pub(super) fn described(&self) -> String {
        let shown = |folders: &[PathBuf]| {
            let shown: Vec<String> =
                folders.iter().map(|path| path.display().to_string()).collect();
            shown.join(", ")
        };
        let beside = self.beside.as_ref().map(|folder| folder.display().to_string());
        let python = if self.python.is_empty() {
            "no Python environment is active".to_owned()
        } else {
            format!("Python's packages below {}", shown(&self.python))
        };
        format!(
            "{EXPLICIT} is not set; looked beside the program ({}), in the system's folders ({}), {python}",
            beside.as_deref().unwrap_or("its folder is not known"),
            shown(&self.system)
        )
    }
}

/// Where systems and people put shared libraries.
const SYSTEM: [&str; 6] = [
    "/usr/local/lib",
    "/usr/lib",
    "/usr/lib64",
    "/lib",
    "/opt/onnxruntime/lib",
    "/opt/homebrew/lib",
];

fn absolute(path: OsString) -> PathBuf {
    let path = PathBuf::from(path);
    std::path::absolute(&path).unwrap_or(path)
}

/// Roots of the environments whose Python the path finds first: as it is named, and where its name leads.
fn interpreters(path: &[PathBuf], pyenv: Option<&str>) -> Vec<PathBuf> {
    let names = if cfg!(windows) { ["python.exe", "python3.exe"] } else { ["python3", "python"] };
    let mut files = path.iter().flat_map(|folder| names.map(|name| folder.join(name)));
    let Some(first) = files.find(|file| file.is_file()) else { return Vec::new() };
    let root = |file: &Path| {
        let folder = file.parent()?;
        // On Windows Python lies in the root of its environment, or in `Scripts` below it.
        let in_root = cfg!(windows) && !folder.ends_with("Scripts");
        if in_root { Some(folder.to_owned()) } else { folder.parent().map(Path::to_owned) }
    };
    let mut roots: Vec<PathBuf> = root(&first).into_iter().collect();
    let real = first.canonicalize().ok().and_then(|file| root(&file));
    let chosen = first.parent().into_iter().flat_map(|folder| behind_shims(folder, pyenv));
    for more in real.into_iter().chain(chosen) {
        if !roots.contains(&more) {
            roots.push(more);
        }
    }
    roots
}

/// Pyenv's folder of `shims` has programs that start those of the version that is chosen: for this process, or
/// in a file.
fn behind_shims(folder: &Path, chosen: Option<&str>) -> Vec<PathBuf> {
    let Some(root) = folder.parent().filter(|_| folder.ends_with("shims")) else {
        return Vec::new();
    };
    let in_file = || fs::read_to_string(root.join("version")).unwrap_or_default();
    let chosen = chosen.map_or_else(in_file, str::to_owned);
    let names = chosen.split([':', '\n']).map(str::trim).filter(|name| !name.is_empty());
    names.map(|name| root.join("versions").join(name)).collect()
}

/// The folders below an environment that the package `onnxruntime` keeps its library in.
fn packages(root: &Path) -> Vec<PathBuf> {
    let mut sites = vec![root.join("Lib/site-packages")];
    for lib in ["lib", "lib64", "local/lib"] {
        for version in sorted(&root.join(lib), |name| name.starts_with("python3")) {
            sites.extend(["site-packages", "dist-packages"].map(|site| version.join(site)));
        }
    }
    sites.into_iter().map(|site| site.join("onnxruntime/capi")).collect()
}

/// ONNX Runtime's libraries in a folder.
fn libraries(folder: &Path) -> Vec<PathBuf> {
    sorted(folder, is_library).into_iter().filter(|path| path.is_file()).collect()
}

fn is_library(name: &str) -> bool {
    match env::consts::OS {
        "windows" => name.eq_ignore_ascii_case("onnxruntime.dll"),
        "macos" => {
            let ending = Path::new(name).extension();
            name.starts_with("libonnxruntime.") && ending.is_some_and(|ending| ending == "dylib")
        }
        _ => name.starts_with("libonnxruntime.so"),
    }
}

/// What a folder holds of these names, the longest name first: that is the one with the most of a
/// version in it.
fn sorted(folder: &Path, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let named =
        |path: &PathBuf| path.file_name().and_then(|name| name.to_str()).is_some_and(&wanted);
    let mut found: Vec<PathBuf> = paths.filter(named).collect();
    found.sort_by_key(|path| std::cmp::Reverse((path.as_os_str().len(), path.clone())));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, b"").unwrap();
    }

    fn name(end: &str) -> String {
        match env::consts::OS {
            "windows" => "onnxruntime.dll".to_owned(),
            "macos" => format!("libonnxruntime{end}.dylib"),
            _ => format!("libonnxruntime.so{end}"),
        }
    }

    #[test]
    fn the_order_is_beside_the_program_then_the_system_then_python() {
        let root = tempfile::tempdir().unwrap();
        let below = |path: &str| root.path().join(path);
        let site = if cfg!(windows) { "Lib" } else { "lib/python3.11" };
        let wheel = format!("venv/{site}/site-packages/onnxruntime/capi/{}", name(".1.31.1"));
        let expected =
            [below("bin").join(name("")), below("system").join(name(".1.20.0")), below(&wheel)];
        for path in &expected {
            touch(path);
        }
        touch(&below("system/libonnxruntime_providers_shared.so"));
        let surroundings = Surroundings {
            explicit: None,
            beside: Some(below("bin")),
            system: vec![below("absent"), below("system")],
            python: vec![below("venv")],
        };
        assert_eq!(surroundings.candidates(), expected);
        let named = Surroundings { explicit: Some(below("mine.so")), ..surroundings };
        assert_eq!(named.candidates(), [below("mine.so")]);
    }

    #[cfg(unix)]
    #[test]
    fn an_environment_is_found_by_its_python_on_the_path() {
        let root = tempfile::tempdir().unwrap();
        let below = |path: &str| root.path().join(path);
        touch(&below("base/bin/python3.11"));
        fs::create_dir_all(below("venv/bin")).unwrap();
        std::os::unix::fs::symlink(below("base/bin/python3.11"), below("venv/bin/python3"))
            .unwrap();
        let base = below("base").canonicalize().unwrap();
        assert_eq!(interpreters(&[below("none"), below("venv/bin")], None), [below("venv"), base]);
        assert!(interpreters(&[below("none")], None).is_empty());

        touch(&below("pyenv/shims/python3"));
        fs::write(below("pyenv/version"), "3.11.7\n").unwrap();
        let roots = interpreters(&[below("pyenv/shims")], None);
        assert!(roots.contains(&below("pyenv/versions/3.11.7")), "{roots:?}");
    }
}
