//! The operators: what each file of this folder can compute, and the one table of them.

mod along;
mod broadcast;
mod build;
mod cast;
mod category;
mod combine;
mod elementwise;
mod encode;
mod labels;
mod linear;
mod matmul;
mod normalize;
mod pick;
mod pieces;
mod post;
mod reduce;
mod scan;
mod scope;
mod select;
mod shape;
mod svm;
mod tree;
mod unary;

pub(crate) use build::{Build, Lowered};
pub(crate) use scope::{Inputs, Scope, nominal_bytes};

use super::onnx::{CLASSICAL, STANDARD};
use mlops_core::{Result, tensor::Tensor};
use std::fmt::Debug;

/// One operator with its attributes and weights, ready to compute.
pub(crate) trait Kernel: Debug + Send + Sync {
    /// Computes its outputs, in the order of the operator's definition.
    ///
    /// Types were checked when it was built; shapes and values are checked here.
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>>;

    /// Whether its one output always is its one input.
    fn gives_input(&self) -> bool {
        false
    }

    /// Memory that its weights take.
    fn weights_bytes(&self) -> usize {
        0
    }
}

/// Makes the kernel of a node; refuses attributes and types that it does not support.
type Builder = fn(&mut Build<'_>) -> Result<Lowered>;

/// An operator that is supported.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Operator {
    pub(crate) domain: &'static str,
    pub(crate) name: &'static str,
    build: Builder,
}

/// The operator of this name, if it is supported.
pub(crate) fn operator(domain: &str, name: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.domain == domain && operator.name == name)
}

impl Operator {
    /// Makes the kernel of a node; an attribute that nobody read is `Unsupported`.
    pub(crate) fn build(&self, build: &mut Build<'_>) -> Result<Lowered> {
        let lowered = (self.build)(build)?;
        build.finish()?;
        Ok(lowered)
    }
}

/// Every operator that is supported; the README shows the same list, and a test compares them.
pub(crate) const OPERATORS: &[Operator] = &[
    classical("ArrayFeatureExtractor", select::array_feature_extractor),
    classical("Binarizer", normalize::binarizer),
    classical("CategoryMapper", category::category_mapper),
    classical("FeatureVectorizer", combine::feature_vectorizer),
    classical("Imputer", normalize::imputer),
    classical("LabelEncoder", encode::label_encoder),
    classical("LinearClassifier", linear::classifier),
    classical("LinearRegressor", linear::regressor),
    classical("Normalizer", normalize::normalizer),
    classical("OneHotEncoder", encode::one_hot_encoder),
    classical("Scaler", normalize::scaler),
    classical("SVMClassifier", svm::classifier),
    classical("SVMRegressor", svm::regressor),
    classical("TreeEnsemble", tree::ensemble),
    classical("TreeEnsembleClassifier", tree::classifier),
    classical("TreeEnsembleRegressor", tree::regressor),
    classical("ZipMap", shape::zip_map),
    standard("Abs", unary::abs),
    standard("Add", elementwise::add),
    standard("And", elementwise::and),
    standard("ArgMax", reduce::arg_max),
    standard("ArgMin", reduce::arg_min),
    standard("Cast", cast::cast),
    standard("Clip", unary::clip),
    standard("Concat", combine::concat),
    standard("Constant", build::constant),
    standard("ConstantOfShape", shape::constant_of_shape),
    standard("CumSum", along::cum_sum),
    standard("Div", elementwise::div),
    standard("Equal", elementwise::equal),
    standard("Exp", unary::exp),
    standard("Flatten", shape::flatten),
    standard("Floor", unary::floor),
    standard("Gather", select::gather),
    standard("GatherElements", pick::gather_elements),
    standard("Gemm", matmul::gemm),
    standard("Greater", elementwise::greater),
    standard("GreaterOrEqual", elementwise::greater_or_equal),
    standard("Identity", shape::identity),
    standard("IsNaN", unary::is_nan),
    standard("Less", elementwise::less),
    standard("LessOrEqual", elementwise::less_or_equal),
    standard("Log", unary::log),
    standard("LpNormalization", along::lp_normalization),
    standard("MatMul", matmul::matmul),
    standard("Max", elementwise::max),
    standard("Min", elementwise::min),
    standard("Mul", elementwise::mul),
    standard("Neg", unary::neg),
    standard("Not", unary::not),
    standard("Or", elementwise::or),
    standard("Pow", elementwise::pow),
    standard("Reciprocal", unary::reciprocal),
    standard("ReduceL1", reduce::l1),
    standard("ReduceL2", reduce::l2),
    standard("ReduceLogSumExp", reduce::log_sum_exp),
    standard("ReduceMax", reduce::max),
    standard("ReduceMean", reduce::mean),
    standard("ReduceMin", reduce::min),
    standard("ReduceProd", reduce::product),
    standard("ReduceSum", reduce::sum),
    standard("ReduceSumSquare", reduce::sum_square),
    standard("Relu", unary::relu),
    standard("Reshape", shape::reshape),
    standard("Scan", scan::scan),
    standard("Shape", shape::shape),
    standard("Sigmoid", unary::sigmoid),
    standard("Sign", unary::sign),
    standard("Slice", select::slice),
    standard("Softmax", along::softmax),
    standard("Split", select::split),
    standard("Sqrt", unary::sqrt),
    standard("Squeeze", shape::squeeze),
    standard("Sub", elementwise::sub),
    standard("Sum", elementwise::sum),
    standard("Tanh", unary::tanh),
    standard("TopK", pick::top_k),
    standard("Transpose", select::transpose),
    standard("Unsqueeze", shape::unsqueeze),
    standard("Where", combine::select),
];

const fn classical(name: &'static str, build: Builder) -> Operator {
    Operator { domain: CLASSICAL, name, build }
}

const fn standard(name: &'static str, build: Builder) -> Operator {
    Operator { domain: STANDARD, name, build }
}
