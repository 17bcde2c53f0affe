//! Rows as a host's own structs: [`Input`] is what a model takes, [`Output`] what it gives.
//!
//! Both are derived (crate `mlops-derive`; `mlops::Input`, `mlops::Output`). Names, types and nulls are
//! checked against the model's signature once, when a [`Typed`] is made, and not at each call.
//!
//! | field | the model's input or output |
//! |---|---|
//! | `f32`, `f64`, integers, `bool`, `String` | of that type, or of one that holds every value of it |
//! | `Option<T>` | one that may be null; of floats also one that may not: NaN stands there |
//! | `Vec<f32>`, `Vec<f64>`, `[f32; N]`, `[f64; N]` | of two axes, a row the whole of the last |
//!
//! A field is found by its name: an input of that name, or a column of a packed one.

mod encode;
mod fit;
mod read;
mod value;

pub use value::{Cell, Kind, Value};

use crate::{
    PredictionId, Predictor, Result,
    predictor::{PredictRequest, PredictResponse},
};
use encode::InputPlan;
use read::OutputPlan;
use std::{fmt, marker::PhantomData, ops::Deref, sync::Arc};

/// A field of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Field {
    /// The model's name of it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
}

impl Field {
    /// A field of this name that holds values of this type.
    pub fn of<T: Value>(name: &'static str) -> Self {
        Self { name, kind: T::kind() }
    }
}

/// A row that a model can be asked about. Derived.
pub trait Input {
    /// Its fields, in order.
    fn fields() -> Vec<Field>;

    /// The value of the field at this place of [`fields`](Self::fields); null beyond them.
    fn cell(&self, field: usize) -> Cell<'_>;
}

/// A row of a model's answer. Derived.
pub trait Output: Sized {
    /// Its fields, in order.
    fn fields() -> Vec<Field>;

    /// Made of a cell for each of its [`fields`](Self::fields); `None` if one does not fit.
    fn read(cells: &[Cell<'_>]) -> Option<Self>;
}

/// A predictor that is asked with rows of one type, and answers with rows of another.
///
/// ```
/// use mlops_core::{signature::{ModelSignature, TensorSpec}, tensor::{DType, Tensors}, testing::FnPredictor};
/// use mlops_core::typed::{Cell, Field, Input, Output, Typed, Value};
///
/// struct Loan { amount: f32 } // what #[derive(mlops::Input)] writes:
/// impl Input for Loan {
///     fn fields() -> Vec<Field> { vec![Field::of::<f32>("amount")] }
///     fn cell(&self, _: usize) -> Cell<'_> { self.amount.cell() }
/// }
/// # struct Risk { p: f64 }
/// # impl Output for Risk {
/// #     fn fields() -> Vec<Field> { vec![Field::of::<f64>("p")] }
/// #     fn read(cells: &[Cell<'_>]) -> Option<Self> { Some(Self { p: Value::read(cells[0])? }) }
/// # }
/// # let spec = |name| vec![TensorSpec::column(name, DType::F32)];
/// # let signature = ModelSignature::new(spec("amount"), spec("p"))?;
/// # let model = FnPredictor::new("risk", signature, |x| Ok(Tensors::one("p", x.require("amount")?.clone())));
/// let risk: Typed<Loan, Risk> = Typed::new(std::sync::Arc::new(model))?; // a mismatch fails here
/// # let asked = async {
/// let answer = risk.predict(&Loan { amount: 0.25 }).await?;
/// assert_eq!((answer.p, answer.version()), (0.25, "1"));
/// # Ok::<(), mlops_core::Error>(()) };
/// # let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(std::pin::pin!(asked).poll(&mut context).map(Result::unwrap).is_ready());
/// # Ok::<(), mlops_core::Error>(())
/// ```
pub struct Typed<I, O> {
    predictor: Arc<dyn Predictor>,
    inputs: Arc<InputPlan>,
    outputs: Arc<OutputPlan>,
    rows: PhantomData<fn(I) -> O>,
}

impl<I: Input, O: Output> Typed<I, O> {
    /// Checks both types against the predictor's signature.
    ///
    /// # Behavior
    /// - every input of the model has a field, and every field of `I` is an input: `InvalidInput`
    ///   names what is missing or too much
    /// - every field of `O` is an output; outputs that it does not name are not asked for
    /// - a type that does not hold every value of the other is refused, and named
    pub fn new(predictor: Arc<dyn Predictor>) -> Result<Self> {
        let info = predictor.info();
        let inputs = Arc::new(InputPlan::new(&info.signature.inputs, &I::fields())?);
        let outputs = Arc::new(OutputPlan::new(&info.signature.outputs, &O::fields())?);
        Ok(Self { predictor, inputs, outputs, rows: PhantomData })
    }

    /// Asks about one row.
    pub async fn predict(&self, row: &I) -> Result<Answer<O>> {
        let request = self.request(std::slice::from_ref(row))?;
        let answer = self.ask(request).await?;
        answer.map(|mut rows: Vec<O>| match (rows.pop(), rows.is_empty()) {
            (Some(row), true) => Ok(row),
            _ => Err(crate::Error::internal("an answer to one row has not one row")),
        })
    }

    /// Asks about several rows; the answers are in their order.
    pub async fn predict_rows(&self, rows: &[I]) -> Result<Answer<Vec<O>>> {
        self.ask(self.request(rows)?).await
    }

    /// The request about these rows, for whoever wants to add a key, a deadline or an id.
    pub fn request(&self, rows: &[I]) -> Result<PredictRequest> {
        let mut request = PredictRequest::new(self.inputs.encode(rows)?);
        request.outputs = Some(self.outputs.names());
        Ok(request)
    }

    /// Sends a [`request`](Self::request), and reads what comes.
    pub async fn ask(&self, request: PredictRequest) -> Result<Answer<Vec<O>>> {
        let response = self.predictor.predict(request).await?;
        let rows = self.outputs.read(&response.outputs)?;
        Ok(Answer { rows, response })
    }
}

impl<I, O> Clone for Typed<I, O> {
    fn clone(&self) -> Self {
        Self {
            predictor: Arc::clone(&self.predictor),
            inputs: Arc::clone(&self.inputs),
            outputs: Arc::clone(&self.outputs),
            rows: PhantomData,
        }
    }
}

impl<I, O> fmt::Debug for Typed<I, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Typed({:?})", self.predictor)
    }
}

/// What a model answered, and who it was: reads like the row or rows themselves.
#[derive(Clone, Debug)]
pub struct Answer<T> {
    rows: T,
    response: PredictResponse,
}

impl<T> Answer<T> {
    /// Names this answer for ever: outcomes and `mlops why` refer to it.
    pub fn id(&self) -> PredictionId {
        self.response.prediction
    }

    /// The model that answered.
    pub fn model(&self) -> &str {
        &self.response.model
    }

    /// Its version.
    pub fn version(&self) -> &str {
        &self.response.version
    }

    /// The arm of a split, canary or ensemble that answered.
    pub fn arm(&self) -> Option<&str> {
        self.response.arm.as_deref()
    }

    /// The row or rows alone.
    pub fn into_inner(self) -> T {
        self.rows
    }

    fn map<U>(self, change: impl FnOnce(T) -> Result<U>) -> Result<Answer<U>> {
        Ok(Answer { rows: change(self.rows)?, response: self.response })
    }
}

impl<T> Deref for Answer<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.rows
    }
}
