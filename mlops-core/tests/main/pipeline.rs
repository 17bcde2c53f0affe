//! The local pipeline: executes, remembers, records what it was made of.

#[path = "pipeline/saboteurs.rs"]
mod saboteurs;

use crate::active_run::book::Book;
use mlops_core::{
    Digest, Error, ErrorKind, Pipeline, Result, RunId,
    conformance::pipeline::Subject,
    pipeline::{
        ExecuteOptions, ExecutionEvent, ExecutionManifest, Graph, GraphBuilder, LocalPipeline,
        LocalPipelineConfig, Step, StepContext, Stored,
    },
    tracker::{DatasetInput, FAILURE_TAG, RunStatus},
};
use std::{
    fs,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

fn subject() -> Subject {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    let make = move |graph| open(graph, &path, &Arc::new(Book::default()));
    Subject::new(make).keeping(folder)
}

mlops_core::pipeline_conformance!(local, subject());

fn open(graph: Graph, folder: &Path, book: &Arc<Book>) -> LocalPipeline {
    let config = LocalPipelineConfig::new().with_source(folder).with_experiment("pipelines");
    LocalPipeline::open(graph, folder.join("store"), Arc::clone(book) as Arc<_>, config).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// Rows that say what they are, as a dataset does.
#[derive(Debug, PartialEq)]
struct Rows(Vec<u8>);

impl Stored for Rows {
    const TYPE: &'static str = "dataset.train";
    fn save(&self, into: &Path) -> Result<()> {
        fs::create_dir(into).map_err(|source| Error::io("rows", source))?;
        let about = DatasetInput::new("rows", Digest::of(&self.0), "train").with_rows(3_u64);
        serde_json::to_string(&about).unwrap().save(&into.join("dataset.json"))?;
        self.0.save(&into.join("rows"))
    }
    fn load(from: &Path) -> Result<Self> {
        Vec::load(&from.join("rows")).map(Self)
    }
}

/// How often each step of a [`graph`] was executed.
type Counts = Arc<[AtomicUsize; 3]>;

#[derive(Debug)]
struct Ingest(Counts, &'static str);
impl Step for Ingest {
    type Input = ();
    type Output = (Rows, String);
    fn version(&self) -> &'static str {
        self.1
    }
    async fn execute(&self, context: &StepContext, (): ()) -> Result<(Rows, String)> {
        self.0[0].fetch_add(1, SeqCst);
        assert!(context.scratch.is_dir());
        // Another version reads the same rows in another way.
        Ok((Rows(vec![1, 2, 3]), "notes".to_owned()))
    }
}

#[derive(Debug)]
struct Fit(Counts, i64);
impl Step for Fit {
    type Input = (Rows, String);
    type Output = f64;
    fn version(&self) -> &'static str {
        "1"
    }
    fn params(&self) -> serde_json::Value {
        serde_json::json!({"epochs": self.1})
    }
    async fn execute(&self, _: &StepContext, (rows, notes): (Rows, String)) -> Result<f64> {
        self.0[1].fetch_add(1, SeqCst);
        assert_eq!((rows.0.len(), notes.as_str()), (3, "notes"));
        match self.1 {
            13 => panic!("thirteen"),
            14 => Err(Error::invalid("fourteen")),
            epochs => Ok(1.0 / f64::from(i32::try_from(epochs).unwrap())),
        }
    }
}

#[derive(Debug)]
struct Report(Counts);
impl Step for Report {
    type Input = f64;
    type Output = String;
    fn version(&self) -> &'static str {
        "1"
    }
    async fn execute(&self, context: &StepContext, loss: f64) -> Result<String> {
        self.0[2].fetch_add(1, SeqCst);
        Ok(format!("{loss} {}", context.seed))
    }
}

fn graph(counts: &Counts, version: &'static str, epochs: i64) -> Graph {
    let mut graph = GraphBuilder::new("income");
    let read = graph.step("ingest", Ingest(Arc::clone(counts), version), ());
    let loss = graph.step("fit", Fit(Arc::clone(counts), epochs), read);
    graph.step("report", Report(Arc::clone(counts)), loss);
    graph.build().unwrap()
}

fn counted(counts: &Counts) -> [usize; 3] {
    [0, 1, 2].map(|at| counts[at].load(SeqCst))
}

fn execute(pipeline: &LocalPipeline, seed: u64) -> (RunId, Vec<ExecutionEvent>) {
    let id = wait(pipeline.execute(ExecuteOptions::new().with_seed(seed))).unwrap();
    (id, wait(pipeline.wait(&id)).unwrap())
}

fn manifest(book: &Book, id: RunId) -> ExecutionManifest {
    serde_json::from_slice(&book.artifact(id, "manifest.json").unwrap()).unwrap()
}

#[test]
fn only_what_changed_is_executed_also_by_another_process() {
    let (folder, book, counts) = (tempfile::tempdir().unwrap(), Arc::default(), Counts::default());
    let run = |version, epochs, seed| {
        let pipeline = open(graph(&counts, version, epochs), folder.path(), &book);
        let (id, events) = execute(&pipeline, seed);
        assert_eq!(events.last(), Some(&ExecutionEvent::Ended { status: RunStatus::Finished }));
        // A later process knows how it ended.
        drop(pipeline);
        let again = open(graph(&counts, version, epochs), folder.path(), &book);
        assert_eq!(wait(again.wait(&id)).unwrap(), events);
        id
    };
    let first = run("1", 4, 7);
    assert_eq!(counted(&counts), [1, 1, 1]);
    run("1", 4, 7);
    assert_eq!(counted(&counts), [1, 1, 1], "nothing changed");
    run("1", 5, 7);
    assert_eq!(counted(&counts), [1, 2, 2], "settings of one step changed");
    run("2", 4, 7);
    assert_eq!(counted(&counts), [2, 2, 2], "new code made the same bytes: the rest is known");
    let other = run("1", 4, 8);
    assert_eq!(counted(&counts), [3, 3, 3], "other randomness");

    // The seed that each step got is in the manifest, and what the step made of it in its output.
    for id in [first, other] {
        let manifest = manifest(&book, id);
        let pipeline = open(graph(&counts, "1", 4), folder.path(), &book);
        let report = String::load(&pipeline.path_of(manifest.values()["report.0"])).unwrap();
        assert_eq!(report, format!("0.25 {}", manifest.steps[2].seed));
    }
}

#[test]
fn a_damaged_value_is_made_again() {
    let (folder, book, counts) = (tempfile::tempdir().unwrap(), Arc::default(), Counts::default());
    let pipeline = open(graph(&counts, "1", 4), folder.path(), &book);
    let (id, _) = execute(&pipeline, 0);
    let values = manifest(&book, id);
    let rows = pipeline.path_of(values.values()["ingest.0"]).join("rows");
    fs::write(&rows, [1, 2, 4]).unwrap();
    execute(&pipeline, 0);
    assert_eq!((counted(&counts), fs::read(&rows).unwrap()), ([2, 1, 1], vec![1, 2, 3]));
    fs::remove_file(pipeline.path_of(values.values()["fit.0"])).unwrap();
    let (again, _) = execute(&pipeline, 0);
    assert_eq!(counted(&counts), [2, 2, 1]);
    let digests = |manifest: &ExecutionManifest| {
        manifest.values().into_iter().map(|(name, value)| (name, value.digest)).collect::<Vec<_>>()
    };
    assert_eq!(digests(&manifest(&book, again)), digests(&values));
}

#[test]
fn an_execution_is_a_run_that_says_what_it_was_made_of() {
    let (folder, book, counts) = (tempfile::tempdir().unwrap(), Arc::default(), Counts::default());
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        let mut command = Command::new("git");
        let command = command.current_dir(folder.path()).args(identity).args(arguments);
        let output = command.output().expect("git is there");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "--quiet", "--initial-branch", "trunk"]);
    fs::write(folder.path().join("Cargo.lock"), "version = 4\n").unwrap();
    fs::write(folder.path().join(".gitignore"), "/store\n").unwrap();
    git(&["add", "."]);
    git(&["commit", "--quiet", "-m", "first"]);
    let pipeline = open(graph(&counts, "1", 4), folder.path(), &book);
    let (id, _) = execute(&pipeline, 7);

    let run = book.runs().pop().unwrap();
    assert_eq!((run.id, run.status, run.name.as_ref()), (id, RunStatus::Finished, "income"));
    assert_eq!(run.tags["mlops.pipeline.graph"], pipeline.graph().digest().to_string());
    let data = &run.inputs[0];
    assert_eq!((data.name.as_ref(), data.digest.clone()), ("rows", Digest::of([1, 2, 3]).into()));
    assert_eq!(book.points(id, "steps/fit/duration_s").len(), 1);

    let clean = manifest(&book, id);
    let found = clean.source.git.as_ref().unwrap();
    assert_eq!(found.commit.as_ref(), git(&["rev-parse", "HEAD"]));
    assert_eq!((found.branch.as_deref(), found.changes, found.untracked), (Some("trunk"), None, 0));
    assert_eq!(clean.source.cargo_lock, Some(Digest::of("version = 4\n")));
    assert_eq!((clean.seed, clean.graph), (7, pipeline.graph().digest()));
    let names: Vec<_> = clean.steps.iter().map(|step| step.spec.name.as_ref()).collect();
    assert_eq!(names, ["ingest", "fit", "report"]);
    assert_eq!(clean.values()["ingest.0"].dataset.as_ref(), Some(data));
    assert_eq!(clean.values()["fit.0"].digest, Digest::of("0.25"));
    assert!(clean.ended.is_some());

    fs::write(folder.path().join("Cargo.lock"), "version = 5\n").unwrap();
    fs::write(folder.path().join("new"), "").unwrap();
    let changed = manifest(&book, execute(&pipeline, 7).0);
    let found = changed.source.git.unwrap();
    assert!(found.changes.is_some() && found.untracked == 1);
    assert!(changed.steps.iter().all(|step| step.cached));
}

#[test]
fn a_panic_and_an_error_fail_the_run_and_are_named() {
    for (epochs, said) in [(13, "panicked: thirteen"), (14, "fourteen")] {
        let (folder, book) = (tempfile::tempdir().unwrap(), Arc::default());
        let counts = Counts::default();
        let pipeline = open(graph(&counts, "1", epochs), folder.path(), &book);
        let (id, events) = execute(&pipeline, 0);
        let ExecutionEvent::Failed { step, reason } = &events[events.len() - 2] else {
            panic!("{events:?}")
        };
        assert!(step.as_ref() == "fit" && reason.contains(said), "{reason}");
        let run = book.only();
        assert_eq!(run.status, RunStatus::Failed);
        assert!(run.tags[FAILURE_TAG].contains("\"fit\"") && run.tags[FAILURE_TAG].contains(said));
        assert_eq!(manifest(&book, id).steps.len(), 1, "what was done is recorded");
        // Work folders do not pile up, and what succeeded is not repeated.
        assert_eq!(fs::read_dir(folder.path().join("store/work")).unwrap().count(), 0);
        execute(&pipeline, 0);
        assert_eq!(counted(&counts), [1, 2, 0]);
    }
}

#[test]
fn a_folder_has_one_pipeline_and_executions_have_a_bound() {
    let (folder, book, counts) = (tempfile::tempdir().unwrap(), Arc::default(), Counts::default());
    let pipeline = open(graph(&counts, "1", 4), folder.path(), &book);
    let config = LocalPipelineConfig::new();
    let second = LocalPipeline::open(
        graph(&counts, "1", 4),
        folder.path().join("store"),
        Arc::clone(&book) as Arc<_>,
        config.clone(),
    );
    assert_eq!(second.unwrap_err().kind(), ErrorKind::Conflict);
    drop(pipeline);

    let mut waits = GraphBuilder::new("waits");
    waits.step("waits", Waits, ());
    let folder = folder.path().join("other");
    let config = config.with_executions(1_usize);
    let pipeline =
        LocalPipeline::open(waits.build().unwrap(), folder, Arc::clone(&book) as Arc<_>, config);
    let pipeline = pipeline.unwrap();
    let first = wait(pipeline.execute(ExecuteOptions::new())).unwrap();
    let error = wait(pipeline.execute(ExecuteOptions::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert_eq!(book.runs().pop().unwrap().status, RunStatus::Killed);
    wait(pipeline.cancel(&first)).unwrap();
    wait(pipeline.wait(&first)).unwrap();
    let third = wait(pipeline.execute(ExecuteOptions::new())).unwrap();
    wait(pipeline.cancel(&third)).unwrap();
    let events = wait(pipeline.wait(&third)).unwrap();
    assert_eq!(events.last(), Some(&ExecutionEvent::Ended { status: RunStatus::Killed }));
}

/// Computes until it is told to stop.
#[derive(Debug)]
struct Waits;
impl Step for Waits {
    type Input = ();
    type Output = ();
    fn version(&self) -> &'static str {
        "1"
    }
    async fn execute(&self, context: &StepContext, (): ()) -> Result<()> {
        while !context.is_cancelled() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        Ok(())
    }
}
