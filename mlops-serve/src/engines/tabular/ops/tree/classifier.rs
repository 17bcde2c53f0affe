//! `TreeEnsembleClassifier`. Where the specification is silent (two classes with one column of
//! weights, or with base values), ONNX Runtime's reading is followed, since models are checked
//! against it when they are exported. Not followed: for two classes with weights of both it gives
//! the labels 0 and 1, whatever numbers the file lists as labels; here they are those of the file.

use super::{
    super::{
        super::forest::{BLOCK, Forest, Rows, Weight},
        Build, Inputs, Kernel, Lowered, Scope,
        labels::Labels,
        post,
        post::PostTransform,
    },
    FEW, ROW_TYPES, RowType, Score, Scores, check_rows,
    read::{WeightNames, base_values, ensemble},
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};
use smallvec::{SmallVec, smallvec};

const WEIGHTS: WeightNames = WeightNames {
    trees: "class_treeids",
    nodes: "class_nodeids",
    targets: "class_ids",
    values: "class_weights",
    values_as_tensor: "class_weights_as_tensor",
};

#[derive(Debug)]
struct Classifier<S: RowType> {
    forest: Forest<S>,
    labels: Labels,
    base: Vec<S>,
    post: PostTransform,
    /// Two classes, and all weights speak for one and the same.
    one_column: bool,
    /// No weight is negative, so that one column of them is taken for probabilities.
    probabilities: bool,
}

/// What the missing half of a score that stands for two classes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Second {
    /// One less the probability.
    Complement,
    /// The margin with the other sign.
    Opposite,
    /// Nothing: it stays zero.
    Absent,
}

pub(crate) fn classifier(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    match build.dtype_among(0, ROW_TYPES)? {
        DType::F64 => lower::<f64>(build),
        _ => lower::<f32>(build),
    }
}

fn lower<S: RowType>(build: &mut Build<'_>) -> Result<Lowered> {
    let labels = Labels::read(build, "classlabels_int64s", "classlabels_strings")?;
    let classes = labels.len();
    if classes < 2 {
        return Err(build.unsupported(format!("a classifier of {classes} classes")));
    }
    let post = PostTransform::read(build)?;
    let base = base_values::<S>(build)?;
    if classes == 2 && post == PostTransform::Probit && base.len() < 2 {
        // ONNX Runtime leaves the second score of such a row unwritten.
        return Err(build.unsupported("post_transform PROBIT of two classes"));
    }
    if !base.is_empty() && base.len() != classes && !(classes == 2 && base.len() == 1) {
        return Err(build.invalid(format!("{} base values for {classes} classes", base.len())));
    }
    let ensemble = ensemble::<S>(build, &WEIGHTS, classes)?;
    let (one_column, probabilities) = (classes == 2 && ensemble.one_target, !ensemble.negative);
    let (forest, outputs) = (ensemble.forest, [labels.dtype(), DType::F32]);
    let kernel = Classifier { forest, labels, base, post, one_column, probabilities };
    Ok(Lowered::new(kernel, outputs))
}

impl<S: RowType> Kernel for Classifier<S> {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let (rows, columns) = check_rows(tensor, self.forest.features(), scope)?;
        let classes = self.labels.len();
        let shape = [rows, classes];
        let mut output = vec![0_f32; scope.count(&shape, DType::F32)?];
        let values = S::rows(tensor)?;
        let all = Rows { values: &values, columns, count: rows };
        let mut scores: Scores<S> = smallvec![Score::default(); classes * BLOCK.min(rows)];
        let mut winners = SmallVec::<[usize; FEW]>::with_capacity(rows);
        for ((first, block), output) in all.blocks().zip(output.chunks_mut(BLOCK * classes)) {
            scope.at_row(first)?;
            scores.fill(Score::default());
            if !self.forest.add_up(block, classes, &mut scores) {
                self.forest.visit(block, |row, leaf| add(leaf, &mut scores[row * classes..]));
            }
            let rows = scores.chunks_exact_mut(classes).zip(output.chunks_exact_mut(classes));
            winners.extend(rows.map(|(scores, output)| match scores {
                [first, second] => self.finish_two(*first, *second, output),
                several => self.finish_several(several, output),
            }));
        }
        let labels = self.labels.tensor(&winners)?;
        Ok(vec![labels, Tensor::from_vec(shape, output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.forest.bytes()
    }
}

/// Adds what one tree says of a row.
fn add<S: RowType>(leaf: &[Weight<S>], scores: &mut [Score<S>]) {
    for Weight { target, value } in leaf {
        let sum = &mut scores[*target as usize];
        sum.value += *value;
        sum.seen = true;
    }
}

impl<S: RowType> Classifier<S> {
    /// Writes the scores of three classes or more; gives the place of the winner, the first of
    /// those that no other beats.
    fn finish_several(&self, scores: &mut [Score<S>], output: &mut [f32]) -> usize {
        for (score, base) in scores.iter_mut().zip(&self.base) {
            score.value += *base;
            score.seen = true;
        }
        let mut winner: Option<(usize, S)> = None;
        for (at, score) in scores.iter().enumerate().filter(|(_, score)| score.seen) {
            if winner.is_none_or(|(_, most)| score.value > most) {
                winner = Some((at, score.value));
            }
        }
        for (output, score) in output.iter_mut().zip(scores) {
            *output = score.get().narrow();
        }
        self.post.apply(output);
        winner.map_or(0, |(at, _)| at)
    }

    /// Writes the scores of two classes; gives the place of the winner.
    fn finish_two(&self, mut first: Score<S>, mut second: Score<S>, output: &mut [f32]) -> usize {
        match self.base[..] {
            [_, base] if second.seen => {
                second.value = base + first.value;
                first.value = -second.value;
            }
            [base, other] => {
                first.value += base;
                second.value += other;
            }
            [base] => first.value += base,
            _ => {}
        }
        let alone = !second.seen && self.base.len() < 2;
        let positive = if second.seen { second.get() } else { first.get() };
        let winner = if self.one_column && self.probabilities {
            positive > S::of(0.5)
        } else {
            positive > S::default()
        };
        if alone {
            self.write_one(first.get(), output);
        } else {
            output.copy_from_slice(&[first.get().narrow(), second.get().narrow()]);
            self.post.apply(output);
        }
        usize::from(winner)
    }

    /// Writes both scores where the trees gave only one.
    fn write_one(&self, score: S, output: &mut [f32]) {
        let second = match (self.one_column, self.probabilities) {
            (true, true) => Second::Complement,
            (true, false) => Second::Opposite,
            (false, _) if self.base.is_empty() => Second::Opposite,
            (false, _) => Second::Absent,
        };
        let pair = match second {
            Second::Complement => [(S::of(1.0) + -score).narrow(), score.narrow()],
            Second::Opposite if self.post == PostTransform::Logistic => {
                [post::logistic((-score).narrow()), post::logistic(score.narrow())]
            }
            Second::Opposite => [(-score).narrow(), score.narrow()],
            Second::Absent => [score.narrow(), 0.0],
        };
        output.copy_from_slice(&pair);
    }
}
