//! Runs the victim under strace and reads what strace wrote.

use super::victim::{self, Story};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    path::Path,
    process::{Command, Stdio},
};

/// The system calls that change what is on the disk. Some machines know only those that end in `at`.
pub(crate) const TRACED: [&str; 12] = [
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "fsync",
    "fdatasync",
    "rename",
    "renameat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
];

/// Where a run is killed: strace counts the calls of each thread on its own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Injection {
    pub(crate) name: &'static str,
    pub(crate) when: usize,
}

/// A call that has returned.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) args: String,
    /// The line at which it began, and the one at which it was done.
    pub(crate) begun: usize,
    pub(crate) done: usize,
    pub(crate) failed: bool,
    /// The how manieth of this name in its thread.
    number: usize,
    ours: bool,
}

impl Call {
    /// Whether it is this call, or its sibling that ends in `at`.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.trim_end_matches("at") == name.trim_end_matches("at")
    }

    /// Whether it waits until a file or folder whose path ends like this is on the disk.
    pub(crate) fn syncs(&self, path: &str) -> bool {
        (self.is("fsync") || self.is("fdatasync")) && self.args.contains(&format!("{path}>"))
    }

    /// Whether it says that something is done.
    pub(crate) fn acknowledges(&self) -> bool {
        self.is("write") && self.args.contains("/acks>")
    }
}

/// Runs a story in a folder, perhaps to be killed; `None` if strace does not work here.
pub(crate) fn run(story: Story, folder: &Path, kill: Option<Injection>) -> Option<Vec<Call>> {
    let mut options = vec!["-s".to_owned(), "32".to_owned()];
    if let Some(Injection { name, when }) = kill {
        options.extend(["-e".to_owned(), format!("inject={name}:signal=KILL:when={when}")]);
    }
    trace(story, folder, &options, kill.is_some())
}

/// Runs a story and sees every byte that it writes: in hexadecimal digits, paths too.
pub(crate) fn run_with_bytes(story: Story, folder: &Path) -> Option<Vec<Call>> {
    trace(story, folder, &["-xx", "-s", "1000000"].map(str::to_owned), false)
}

/// Runs a story on a disk that is full for one call about these paths, and for all after it if so said.
/// Sees only calls about them.
pub(crate) fn run_refusing(
    story: Story,
    folder: &Path,
    paths: &[String],
    refusal: Option<(Injection, bool)>,
) -> Option<Vec<Call>> {
    let folder = folder.canonicalize().unwrap();
    let mut options = vec!["-s".to_owned(), "32".to_owned()];
    for path in paths {
        options.extend(["-P".to_owned(), folder.join(path).to_str().unwrap().to_owned()]);
    }
    if let Some((Injection { name, when }, for_good)) = refusal {
        let all = if for_good { "+" } else { "" };
        options.extend(["-e".to_owned(), format!("inject={name}:error=ENOSPC:when={when}{all}")]);
    }
    trace(story, &folder, &options, false)
}

/// What calls were about, below the story's folder: the database, and whatever of the artifacts is named
/// the same in the next run.
pub(crate) fn paths(calls: &[Call], folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap().to_str().unwrap().to_owned();
    let told = calls.iter().flat_map(|call| call.args.split(['"', '<', '>']));
    let below = told.filter_map(|text| text.strip_prefix(&folder)?.strip_prefix('/'));
    let paths = below.filter(|path| {
        let random = path.starts_with("artifacts/incoming/");
        // 256 of them are made, each like the other.
        let shard = path.strip_prefix("artifacts/sha256/").is_some_and(|name| name.len() == 2);
        let ours = path.starts_with("mlops.db") || path.starts_with("artifacts");
        ours && !random && (!shard || path.ends_with("00"))
    });
    paths.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}

fn trace(story: Story, folder: &Path, options: &[String], dies: bool) -> Option<Vec<Call>> {
    if let Err(why) = works() {
        skipped(&format!("strace: {why}"));
        return None;
    }
    let (names, trace) = (TRACED.map(|name| format!("?{name}")).join(","), folder.join("trace"));
    let mut command = Command::new("strace");
    // Not with `--seccomp-bpf`, which is faster, and under which strace 6.1 kills nobody.
    command.args(["-f", "-y", "-qq", "-e", "signal=none"]).args(options);
    command.arg("-e").arg(format!("trace={names}")).arg("-o").arg(&trace);
    command.arg(std::env::current_exe().unwrap());
    victim::told(&mut command, story, folder);
    let ended = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(ended.success() || dies, "the victim failed by itself: {ended}");
    let text = fs::read_to_string(trace).unwrap();
    Some(read(&text, folder))
}

/// Whether strace is here and may trace.
fn works() -> Result<(), String> {
    let tried = Command::new("strace").args(["-f", "-qq", "-o", "/dev/null", "true"]).output();
    match tried {
        Err(cause) => Err(cause.to_string()),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

#[expect(clippy::print_stdout, reason = "a skipped check says so")]
pub(crate) fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    println!("skipped: {test}: {why}");
}

/// Lines are `PID name(args) = result`; a call that another thread interrupts is told in two. Calls come
/// in the order in which they were done.
fn read(text: &str, folder: &Path) -> Vec<Call> {
    let folder = folder.canonicalize().unwrap().to_str().unwrap().to_owned();
    let (mut calls, mut counts) = (Vec::new(), HashMap::<(String, String), usize>::new());
    let mut unfinished = HashMap::<String, Call>::new();
    for (line, text) in text.lines().enumerate() {
        let Some((pid, rest)) = text.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let failed = rest.rsplit_once(" = ").is_some_and(|(_, result)| result.starts_with('-'));
        if rest.starts_with("<...") {
            if let Some(call) = unfinished.remove(pid) {
                calls.push(Call { done: line, failed, ..call });
            }
            continue;
        }
        let Some((name, args)) = rest.split_once('(') else { continue };
        let count = counts.entry((pid.to_owned(), name.to_owned())).or_default();
        *count += 1;
        let (ours, number) = (args.contains(&folder), *count);
        let (name, args) = (name.to_owned(), args.to_owned());
        let call = Call { name, args, begun: line, done: line, failed, number, ours };
        if rest.ends_with("<unfinished ...>") {
            unfinished.insert(pid.to_owned(), call);
        } else {
            calls.push(call);
        }
    }
    calls
}

/// The how manieth calls of a name, in whichever thread, touch the story's folder.
pub(crate) fn counts(calls: &[Call], name: &str) -> Vec<usize> {
    let ours = calls.iter().filter(|call| call.name == name && call.ours);
    ours.map(|call| call.number).collect::<BTreeSet<_>>().into_iter().collect()
}
