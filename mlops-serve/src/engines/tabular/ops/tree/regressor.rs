//! `TreeEnsembleRegressor`.

use super::{
    super::{
        super::forest::{BLOCK, Forest, Rows, Weight},
        Build, Inputs, Kernel, Lowered, Scope, post,
        post::PostTransform,
    },
    ROW_TYPES, RowType, Score, Scores, check_rows,
    read::{WeightNames, base_values, ensemble},
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};
use smallvec::smallvec;

const WEIGHTS: WeightNames = WeightNames {
    trees: "target_treeids",
    nodes: "target_nodeids",
    targets: "target_ids",
    values: "target_weights",
    values_as_tensor: "target_weights_as_tensor",
};

/// How the trees' words become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

#[derive(Debug)]
struct Regressor<S: RowType> {
    forest: Forest<S>,
    targets: usize,
    /// One a target, or none.
    base: Vec<S>,
    /// The number of trees, as a divisor.
    trees: S,
    aggregate: Aggregate,
    post: PostTransform,
}

pub(crate) fn regressor(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    match build.dtype_among(0, ROW_TYPES)? {
        DType::F64 => lower::<f64>(build),
        _ => lower::<f32>(build),
    }
}

fn lower<S: RowType>(build: &mut Build<'_>) -> Result<Lowered> {
    let targets = build.int("n_targets")?.unwrap_or(0);
    let targets = u16::try_from(targets).ok().map(usize::from).filter(|&targets| targets > 0);
    let targets = targets.ok_or_else(|| build.invalid("n_targets is not 1 to 65535"))?;
    let aggregate = match build.text("aggregate_function")?.as_deref() {
        None | Some("SUM") => Aggregate::Sum,
        Some("AVERAGE") => Aggregate::Average,
        Some("MIN") => Aggregate::Min,
        Some("MAX") => Aggregate::Max,
        Some(other) => return Err(build.invalid(format!("aggregate_function {other:?}"))),
    };
    let post = PostTransform::read(build)?;
    let base = base_values::<S>(build)?;
    if !base.is_empty() && base.len() != targets {
        return Err(build.invalid(format!("{} base values for {targets} targets", base.len())));
    }
    let forest = ensemble::<S>(build, &WEIGHTS, targets)?.forest;
    lowered(build, forest, targets, base, aggregate, post)
}

/// The kernel of a forest for so many targets, with a base value for each or none.
pub(super) fn lowered<S: RowType>(
    build: &Build<'_>,
    forest: Forest<S>,
    targets: usize,
    base: Vec<S>,
    aggregate: Aggregate,
    post: PostTransform,
) -> Result<Lowered> {
    if targets == 1 && !matches!(post, PostTransform::None | PostTransform::Probit) {
        // The specification wants it, ONNX Runtime leaves it out: no answer would be right.
        return Err(build.unsupported(format!("post_transform {post:?} of a single target")));
    }
    let trees = S::count(forest.trees());
    Ok(Lowered::new(Regressor { forest, targets, base, trees, aggregate, post }, [DType::F32]))
}

impl<S: RowType> Kernel for Regressor<S> {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let (rows, columns) = check_rows(tensor, self.forest.features(), scope)?;
        let shape = [rows, self.targets];
        let mut output = vec![0_f32; scope.count(&shape, DType::F32)?];
        let values = S::rows(tensor)?;
        let all = Rows { values: &values, columns, count: rows };
        let mut scores: Scores<S> = smallvec![Score::default(); self.targets * BLOCK.min(rows)];
        for ((first, block), output) in all.blocks().zip(output.chunks_mut(BLOCK * self.targets)) {
            scope.at_row(first)?;
            scores.fill(Score::default());
            let adds = matches!(self.aggregate, Aggregate::Sum | Aggregate::Average);
            if !(adds && self.forest.add_up(block, self.targets, &mut scores)) {
                let targets = self.targets;
                self.forest.visit(block, |row, leaf| self.add(leaf, &mut scores[row * targets..]));
            }
            let rows = scores.chunks_exact(self.targets).zip(output.chunks_exact_mut(self.targets));
            rows.for_each(|(scores, output)| self.finish(scores, output));
        }
        Ok(vec![Tensor::from_vec(shape, output)?])
    }

    fn weights_bytes(&self) -> usize {
        self.forest.bytes()
    }
}

impl<S: RowType> Regressor<S> {
    /// Adds what one tree says of a row.
    fn add(&self, leaf: &[Weight<S>], scores: &mut [Score<S>]) {
        // With a single target ONNX Runtime reads the first weight of a leaf only.
        let leaf = if self.targets == 1 { &leaf[..1] } else { leaf };
        for Weight { target, value } in leaf {
            let score = &mut scores[*target as usize];
            match self.aggregate {
                Aggregate::Sum | Aggregate::Average => score.value += *value,
                _ if !score.seen => score.value = *value,
                Aggregate::Min if *value < score.value => score.value = *value,
                Aggregate::Max if *value > score.value => score.value = *value,
                Aggregate::Min | Aggregate::Max => {}
            }
            score.seen = true;
        }
    }

    fn finish(&self, scores: &[Score<S>], output: &mut [f32]) {
        for (at, (score, output)) in scores.iter().zip(&mut *output).enumerate() {
            let mut score = *score;
            if self.aggregate == Aggregate::Average {
                score.value = score.value / self.trees;
            }
            score.value += self.base.get(at).copied().unwrap_or_default();
            *output = score.get().narrow();
        }
        match output {
            [single] if self.post == PostTransform::Probit => *single = post::probit(*single),
            [_] => {}
            several => self.post.apply(several),
        }
    }
}
