//! `SVMClassifier`: a machine for each pair of classes, which votes, or one linear score a class.

use super::{
    super::{
        Build, Inputs, Kernel, Lowered, Scope,
        cast::as_f32,
        labels::Labels,
        post::{PostTransform, logistic},
    },
    KernelFunction, Vectors, check_length,
    coupling::Coupling,
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

/// Probabilities of pairs are no nearer to 0 and 1 than this.
const LEAST_PROBABILITY: f32 = 1e-7;

pub(in super::super) fn classifier(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32, DType::F64, DType::I64, DType::I32])?;
    let labels = Labels::read(build, "classlabels_ints", "classlabels_strings")?;
    let classes = labels.len();
    if !(2..=usize::from(u16::MAX)).contains(&classes) {
        return Err(build.unsupported(format!("a classifier of {classes} classes")));
    }
    let outputs = [labels.dtype(), DType::F32];
    let function = KernelFunction::read(build)?;
    let per_class = build.ints("vectors_per_class")?;
    let starts = starts(build, &per_class, classes)?;
    if starts.last().is_none_or(|&supports| supports == 0) {
        return linear(build, labels).map(|kernel| Lowered::new(kernel, outputs));
    }
    pairwise(build, function, labels, starts).map(|kernel| Lowered::new(kernel, outputs))
}

/// A machine of at least one vector; where those of each class start is known.
fn pairwise(
    build: &mut Build<'_>,
    function: KernelFunction,
    labels: Labels,
    starts: Vec<usize>,
) -> Result<Classifier> {
    let (classes, supports) = (labels.len(), starts.last().copied().unwrap_or_default());
    let pairs = classes * (classes - 1) / 2;
    let (vectors, coefficients) = (build.floats("support_vectors")?, build.floats("coefficients")?);
    check_length(build, "coefficients", coefficients.len(), supports.checked_mul(classes - 1))?;
    let vectors = Vectors::new(build, "support_vectors", vectors, supports)?;
    let (rho, post) = (build.floats("rho")?, PostTransform::read(build)?);
    check_length(build, "rho", rho.len(), Some(pairs))?;
    let (prob_a, prob_b) = (build.floats("prob_a")?, build.floats("prob_b")?);
    check_length(build, "prob_b", prob_b.len(), Some(prob_a.len()))?;
    if !prob_a.is_empty() {
        check_length(build, "prob_a", prob_a.len(), Some(pairs))?;
    }
    if classes == 2 && prob_a.is_empty() && post != PostTransform::None {
        // The specification wants it, ONNX Runtime leaves it out: no answer would be right.
        return Err(build.unsupported(format!("post_transform {post:?} of a single score")));
    }
    let sigmoids = prob_a.into_iter().zip(prob_b).collect();
    Ok(Classifier { function, vectors, starts, coefficients, rho, sigmoids, labels, post })
}

/// Where the vectors of each class start, and, last, how many there are; empty for none.
fn starts(build: &Build<'_>, per_class: &[i64], classes: usize) -> Result<Vec<usize>> {
    if per_class.is_empty() {
        return Ok(Vec::new());
    }
    check_length(build, "vectors_per_class", per_class.len(), Some(classes))?;
    let mut starts = vec![0_usize];
    let mut end = 0_usize;
    for &count in per_class {
        let next = usize::try_from(count).ok().and_then(|count| end.checked_add(count));
        end = next.ok_or_else(|| build.invalid(format!("vectors_per_class holds {count}")))?;
        starts.push(end);
    }
    Ok(starts)
}

/// A machine for each pair of classes.
#[derive(Debug)]
struct Classifier {
    function: KernelFunction,
    /// Those of the first class, then those of the next.
    vectors: Vectors,
    starts: Vec<usize>,
    /// A line of all vectors for each class but one: for a vector, what it says against each other class.
    coefficients: Vec<f32>,
    /// One a pair.
    rho: Vec<f32>,
    /// Platt's A and B of each pair; empty if scores are to be given, not probabilities.
    sigmoids: Vec<(f32, f32)>,
    labels: Labels,
    post: PostTransform,
}

/// What a row needs, kept from row to row.
struct Room {
    /// One a vector.
    alike: Vec<f32>,
    /// One a pair.
    scores: Vec<f32>,
    votes: Vec<usize>,
    coupling: Coupling,
}

impl Kernel for Classifier {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rows = self.vectors.check(tensor, scope)?;
        let width = self.width();
        let mut output = vec![0_f32; scope.count(&[rows, width], DType::F32)?];
        let values = as_f32(tensor)?;
        let classes = self.labels.len();
        let mut room = Room {
            alike: Vec::new(),
            scores: Vec::new(),
            votes: vec![0; classes],
            coupling: Coupling::new(if self.sigmoids.is_empty() { 0 } else { classes }),
        };
        let mut winners = Vec::with_capacity(rows);
        let values = values.chunks_exact(self.vectors.features);
        for (at, (row, output)) in values.zip(output.chunks_exact_mut(width)).enumerate() {
            // A row takes a look at every vector.
            scope.at_row(at)?;
            self.score(row, &mut room);
            self.write(&mut room, output);
            winners.push(most(&room.votes));
        }
        Ok(vec![self.labels.tensor(&winners)?, Tensor::from_vec([rows, width], output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.vectors.bytes() + size_of_val(self.coefficients.as_slice())
    }
}

impl Classifier {
    /// How many numbers a row gets: one a class with probabilities or of two, else one a pair.
    fn width(&self) -> usize {
        if self.sigmoids.is_empty() && self.labels.len() > 2 {
            self.rho.len()
        } else {
            self.labels.len()
        }
    }

    /// The score and the vote of each pair.
    #[expect(clippy::cast_possible_truncation, reason = "scores are f32")]
    fn score(&self, row: &[f32], room: &mut Room) {
        room.alike.clear();
        room.alike.extend(self.vectors.iter().map(|vector| self.function.of(row, vector)));
        room.scores.clear();
        room.votes.fill(0);
        for (i, j) in self.pairs() {
            let sum = self.part(room, i, j - 1) + self.part(room, j, i);
            let sum = sum + f64::from(self.rho[room.scores.len()]);
            room.scores.push(sum as f32);
            room.votes[if sum > 0.0 { i } else { j }] += 1;
        }
    }

    /// Every pair of classes, in the order of the file.
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let classes = self.labels.len();
        (0..classes).flat_map(move |i| (i + 1..classes).map(move |j| (i, j)))
    }

    /// What the vectors of a class say with the coefficients of one line.
    fn part(&self, room: &Room, class: usize, line: usize) -> f64 {
        let all = self.starts.last().copied().unwrap_or_default();
        let own = self.starts[class]..self.starts[class + 1];
        let coefficients = &self.coefficients[line * all..][own.clone()];
        let products = coefficients.iter().zip(&room.alike[own]);
        products.fold(0.0, |sum, (factor, alike)| sum + f64::from(factor * alike))
    }

    fn write(&self, room: &mut Room, output: &mut [f32]) {
        if self.sigmoids.is_empty() {
            match (&room.scores[..], &mut *output) {
                ([only], [first, second]) => (*first, *second) = (-only, *only),
                (scores, output) => {
                    output.copy_from_slice(scores);
                    self.post.apply(output);
                }
            }
            return;
        }
        for ((i, j), (score, (a, b))) in self.pairs().zip(room.scores.iter().zip(&self.sigmoids)) {
            let probability = 1.0 - logistic(score * a + b);
            let most = 1.0 - LEAST_PROBABILITY;
            room.coupling.set(i, j, probability.clamp(LEAST_PROBABILITY, most));
        }
        room.coupling.solve(output);
        self.post.apply(output);
    }
}

/// The place of most votes, the first of equals.
fn most(votes: &[usize]) -> usize {
    (1..votes.len()).fold(0, |most, at| if votes[at] > votes[most] { at } else { most })
}

/// One linear score a class.
#[derive(Debug)]
struct Linear {
    function: KernelFunction,
    /// One a class.
    vectors: Vectors,
    rho: f32,
    labels: Labels,
    post: PostTransform,
    /// Of two classes and no coefficient below zero, a score is taken for a probability.
    probabilities: bool,
}

fn linear(build: &mut Build<'_>, labels: Labels) -> Result<Linear> {
    for name in ["prob_a", "prob_b", "support_vectors"] {
        let given = build.floats(name)?.len();
        check_length(build, name, given, Some(0))?;
    }
    let (coefficients, rho) = (build.floats("coefficients")?, build.floats("rho")?);
    let post = PostTransform::read(build)?;
    let Some(&rho) = rho.first() else { return Err(build.invalid("rho is empty")) };
    let probabilities = coefficients.iter().all(|&factor| factor >= 0.0);
    let vectors = Vectors::new(build, "coefficients", coefficients, labels.len())?;
    let function =
        KernelFunction { likeness: super::Likeness::Linear, gamma: 0.0, coef0: 0.0, degree: 0.0 };
    Ok(Linear { function, vectors, rho, labels, post, probabilities })
}

impl Kernel for Linear {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rows = self.vectors.check(tensor, scope)?;
        let classes = self.labels.len();
        let mut output = vec![0_f32; scope.count(&[rows, classes], DType::F32)?];
        let values = as_f32(tensor)?;
        let values = values.chunks_exact(self.vectors.features);
        let mut winners = Vec::with_capacity(rows);
        for (at, (row, scores)) in values.zip(output.chunks_exact_mut(classes)).enumerate() {
            scope.at_row(at)?;
            for (score, vector) in scores.iter_mut().zip(self.vectors.iter()) {
                *score = self.function.of(row, vector) + self.rho;
            }
            winners.push(self.winner(scores));
            self.post.apply(scores);
        }
        Ok(vec![self.labels.tensor(&winners)?, Tensor::from_vec([rows, classes], output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.vectors.bytes()
    }
}

impl Linear {
    /// The greatest score, the first of equals; of two classes the second also if that is high enough,
    /// whosesoever it is: so ONNX Runtime reads it.
    fn winner(&self, scores: &[f32]) -> usize {
        let best =
            (1..scores.len()).fold(0, |most, at| if scores[at] > scores[most] { at } else { most });
        let high = if self.probabilities { scores[best] >= 0.5 } else { scores[best] > 0.0 };
        if scores.len() == 2 && high { 1 } else { best }
    }
}
