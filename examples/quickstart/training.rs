//! From the file to a trained model, as a pipeline of typed steps: what was done before is not done
//! again, and each execution is a run of the record with its manifest.

use crate::{
    census::{self, FEATURES},
    home::Home,
};
use futures_util::TryStreamExt;
use mlops::{
    Digest, Error, Pipeline, Result, RunId, Tracker,
    artifact::ArtifactPath,
    data::{
        DataSchema, Dataset, FittedTransform, Rule, Test, Train, TransformSpec, Valid,
        ValidationOptions,
    },
    model::{ModelPackage, PackageBuilder, names},
    pipeline::{
        ExecuteOptions, ExecutionEvent, ExecutionManifest, GraphBuilder, LocalPipeline,
        LocalPipelineConfig, Step, StepContext, Stored,
    },
    serve::{
        LoadOptions, Session, Stop,
        engines::{
            candle::{MlpConfig, Task, TrainOptions, train},
            tabular::TabularEngine,
        },
    },
    signature::ModelSignature,
    tensor::{Tensor, Tensors},
    watch::{Profile, ProfileOptions},
};
use serde_json::{Value, json};

/// Everything that one execution made.
#[derive(Debug)]
pub(crate) struct Trained {
    pub(crate) run: RunId,
    pub(crate) manifest: ExecutionManifest,
    pub(crate) people: Dataset,
    pub(crate) train: Dataset<Train>,
    pub(crate) valid: Dataset<Valid>,
    pub(crate) test: Dataset<Test>,
    pub(crate) transform: FittedTransform,
    pub(crate) package: ModelPackage,
    /// The mean loss over each epoch.
    pub(crate) losses: Vec<f64>,
}

/// Trains a model on the survey of a year; waits until it is done.
pub(crate) async fn execute(home: &Home, year: i64, plan: Plan) -> Result<Trained> {
    let mut graph = GraphBuilder::new("train");
    let people = graph.step("ingest", Ingest::new()?, ());
    let (train, _valid, _test) = graph.step("split", Split { year }, people);
    let transform = graph.step("fit", Fit, train);
    // `graph.step("train", plan, (_test, transform))` would not compile.
    let _model = graph.step("train", plan, (train, transform));

    let config =
        LocalPipelineConfig::new().with_source(env!("CARGO_MANIFEST_DIR")).with_clock(home.clock());
    let folder = home.folder.join("pipeline");
    let pipeline = LocalPipeline::open(graph.build()?, folder, home.tracker(), config)?;
    let run = pipeline.execute(ExecuteOptions::new().with_seed(2015)).await?;
    for event in pipeline.wait(&run).await? {
        if let ExecutionEvent::Failed { step, reason } = event {
            return Err(Error::internal(format!("step {step:?} of run {run}: {reason}")));
        }
    }
    collect(home, &pipeline, run).await
}

/// Reads what an execution made.
async fn collect(home: &Home, pipeline: &LocalPipeline, run: RunId) -> Result<Trained> {
    let path = ArtifactPath::new("manifest.json")?;
    let body = home.store.read_artifact(&run, &path).await?;
    let bytes = body.try_collect::<Vec<_>>().await?.concat();
    let manifest: ExecutionManifest = serde_json::from_slice(&bytes)
        .map_err(|cause| Error::corrupt("the execution's manifest").with_source(cause))?;
    let values = manifest.values();
    let place = |name: &str| {
        let value = values.get(name).map(|value| pipeline.path_of(value));
        value.ok_or_else(|| Error::internal(format!("run {run} made no {name}")))
    };
    let losses = String::load(&place("train.1")?)?;
    let losses = serde_json::from_str(&losses)
        .map_err(|cause| Error::corrupt("the losses").with_source(cause))?;
    Ok(Trained {
        run,
        people: Stored::load(&place("ingest.0")?)?,
        train: Stored::load(&place("split.0")?)?,
        valid: Stored::load(&place("split.1")?)?,
        test: Stored::load(&place("split.2")?)?,
        transform: Stored::load(&place("fit.0")?)?,
        package: Stored::load(&place("train.0")?)?,
        losses,
        manifest,
    })
}

/// Reads the rows.
#[derive(Debug)]
struct Ingest {
    file: Digest,
}

impl Ingest {
    fn new() -> Result<Self> {
        Ok(Self { file: Digest::of_file(&census::file("employment_ma.parquet"))? })
    }
}

impl Step for Ingest {
    type Input = ();
    type Output = Dataset;

    fn version(&self) -> &'static str {
        "1"
    }

    /// Other bytes in the file are another step.
    fn params(&self) -> Value {
        json!({ "file": self.file.to_string() })
    }

    async fn execute(&self, _: &StepContext, (): ()) -> Result<Dataset> {
        census::read()
    }
}

/// Cuts one survey into parts that are kept apart by their types; invalid rows go no further.
#[derive(Debug)]
struct Split {
    year: i64,
}

impl Step for Split {
    type Input = Dataset;
    type Output = (Dataset<Train>, Dataset<Valid>, Dataset<Test>);

    fn version(&self) -> &'static str {
        "1"
    }

    fn params(&self) -> Value {
        json!({ "year": self.year })
    }

    async fn execute(&self, _: &StepContext, people: Dataset) -> Result<Self::Output> {
        let survey = census::of_year(&people, self.year)?;
        // The year names the cut: the challenger was trained elsewhere on the same rows.
        let split = survey.split_random([0.6, 0.2, 0.2], self.year.unsigned_abs())?;
        DataSchema::infer(&split.train).validate(&split.test, &options()).into_result()?;
        Ok((split.train, split.valid, split.test))
    }
}

/// The time and the year of later rows are new, and have to be.
pub(crate) fn options() -> ValidationOptions {
    ValidationOptions::new().without_column("time").without_column("year")
}

/// Learns from training rows how codes become numbers.
#[derive(Debug)]
struct Fit;

impl Step for Fit {
    type Input = Dataset<Train>;
    type Output = FittedTransform;

    fn version(&self) -> &'static str {
        "1"
    }

    async fn execute(&self, _: &StepContext, train: Dataset<Train>) -> Result<FittedTransform> {
        let codes = FEATURES.into_iter().filter(|name| *name != "AGEP");
        TransformSpec::new()
            .with_column("AGEP", Rule::standardise())
            .with_columns(codes, &Rule::one_hot(32).with_other())
            .fit(&train)
    }
}

/// How large a perceptron and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) hidden: &'static [usize],
    pub(crate) epochs: usize,
}

impl Step for Plan {
    type Input = (Dataset<Train>, FittedTransform);
    type Output = (ModelPackage, String);

    fn version(&self) -> &'static str {
        "1"
    }

    fn params(&self) -> Value {
        json!({ "hidden": self.hidden, "epochs": self.epochs })
    }

    async fn execute(
        &self,
        context: &StepContext,
        (rows, transform): Self::Input,
    ) -> Result<Self::Output> {
        let spec = transform.tensor_spec("x");
        let features = transform.apply_to(&rows)?.batch()?;
        let x = Tensors::from_batch(&features, std::slice::from_ref(&spec))?;
        let labels = census::labels(&rows)?.into_iter().map(i64::from).collect();
        let y = Tensor::from_vec([rows.rows()], labels)?;

        let config = MlpConfig::for_input(&spec, Task::Classes(2))?.with_hidden(self.hidden);
        let options = TrainOptions::new().with_seed(context.seed).with_epochs(self.epochs);
        let trained = train(&config, x.require("x")?, &y, &options, &Stop::new())?;

        // What goes in front of the model, and what it is watched by, travel with it.
        let signature = ModelSignature::new(vec![census::input()], config.signature()?.outputs)?;
        let package = trained
            .package()?
            .with_signature(&signature)
            .with_file(names::TRANSFORM, transform.to_json())?
            .with_file(names::SCHEMA, DataSchema::infer(&rows).to_json())?
            .with_file(names::PROFILE, profile(&rows)?.to_bytes()?)?
            .write(context.scratch.join("package"))?;
        Ok((package, json!(trained.losses()).to_string()))
    }
}

/// What the training rows look like, in counts: later rows are held against it.
pub(crate) fn profile(rows: &Dataset<Train>) -> Result<Profile> {
    Profile::fit(rows.batches(), &ProfileOptions::default().with_columns(FEATURES))
}

/// The challenger: trained by LightGBM on the same rows (`scripts/oracles/employment_lightgbm.py`) and
/// exported to ONNX. Its one packed input gets the names that its training knew.
pub(crate) fn lightgbm(home: &Home, rows: &Dataset<Train>) -> Result<ModelPackage> {
    let file = census::file("employment_lightgbm.onnx");
    let bytes = std::fs::read(&file).map_err(|source| Error::io(file.display(), source))?;
    let session = TabularEngine::new().load_file(&file, &LoadOptions::default())?;
    let outputs = session.info().signature.outputs.clone();
    PackageBuilder::new()
        .with_flavor("onnx", json!({ "data": "model.onnx" }))?
        .with_signature(&ModelSignature::new(vec![census::input()], outputs)?)
        .with_file("model.onnx", bytes)?
        .with_file(names::SCHEMA, DataSchema::infer(rows).to_json())?
        .with_file(names::PROFILE, profile(rows)?.to_bytes()?)?
        .write(home.folder.join("lightgbm"))
}
