//! `TreeEnsemble`, which replaces the other two since version 5: branches and leaves in lists of their own,
//! and tests for being one of a set of numbers. Rows of `f32` only.

use super::{
    super::{
        super::forest::{Forest, RawNode, RawWeight, Test},
        Build, Lowered,
        post::PostTransform,
    },
    regressor::{Aggregate, lowered},
};
use mlops_core::{
    Result,
    tensor::{DType, Tensor},
};

pub(crate) fn ensemble(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32])?;
    let targets = build.int("n_targets")?.unwrap_or(0);
    let targets = u16::try_from(targets).ok().map(usize::from).filter(|&targets| targets > 0);
    let targets = targets.ok_or_else(|| build.invalid("n_targets is not 1 to 65535"))?;
    let aggregate = match build.int("aggregate_function")? {
        Some(0) => Aggregate::Average,
        None | Some(1) => Aggregate::Sum,
        Some(2) => Aggregate::Min,
        Some(3) => Aggregate::Max,
        Some(other) => return Err(build.invalid(format!("aggregate_function {other}"))),
    };
    let post = match build.int("post_transform")? {
        None | Some(0) => PostTransform::None,
        // The specification and ONNX Runtime each take one for the other: no answer would be right.
        Some(code @ (1 | 2)) => return Err(build.unsupported(format!("post_transform {code}"))),
        Some(3) => PostTransform::SoftmaxZero,
        Some(4) => PostTransform::Probit,
        Some(other) => return Err(build.invalid(format!("post_transform {other}"))),
    };
    // How often training rows came by: nothing that an inference needs.
    build.attributes.ignore("nodes_hitrates");
    let roots = build.ints("tree_roots")?;
    let (branches, leaves) = (Branches::read(build)?, Leaves::read(build, targets)?);
    let Walk { nodes, weights, .. } = Walk::new(build, &branches, &leaves).trees(&roots)?;
    let forest = Forest::new(&nodes, weights, Vec::new(), &|why| build.invalid(why))?;
    lowered(build, forest, targets, Vec::new(), aggregate, post)
}

/// What a branch asks.
#[derive(Debug)]
enum Question {
    Compare(Test, f32),
    /// Whether the feature is one of these.
    Member(Vec<f32>),
}

/// The branches as the file lists them.
#[derive(Debug)]
struct Branches {
    features: Vec<i64>,
    questions: Vec<Question>,
    /// Where each leads if the answer is yes, and if it is no: to a leaf, or to another branch.
    yes: Vec<Child>,
    no: Vec<Child>,
    missing_yes: Vec<i64>,
}

#[derive(Clone, Copy, Debug)]
enum Child {
    Leaf(usize),
    Branch(usize),
}

impl Branches {
    fn read(build: &mut Build<'_>) -> Result<Self> {
        let features = build.ints("nodes_featureids")?;
        let count = features.len();
        let questions = questions(build, count)?;
        let yes = children(build, "nodes_truenodeids", "nodes_trueleafs", count)?;
        let no = children(build, "nodes_falsenodeids", "nodes_falseleafs", count)?;
        let missing_yes = build.ints("nodes_missing_value_tracks_true")?;
        if !missing_yes.is_empty() {
            check(build, "nodes_missing_value_tracks_true", missing_yes.len(), count)?;
        }
        Ok(Self { features, questions, yes, no, missing_yes })
    }
}

fn questions(build: &mut Build<'_>, count: usize) -> Result<Vec<Question>> {
    let modes = build.tensor("nodes_modes")?;
    let modes = modes.as_ref().map(Tensor::as_slice::<u8>).transpose()?.unwrap_or_default();
    check(build, "nodes_modes", modes.len(), count)?;
    let splits = floats(build, "nodes_splits")?;
    check(build, "nodes_splits", splits.len(), count)?;
    // Each set ends with NaN, the last one perhaps with the list.
    let members = floats(build, "membership_values")?;
    let mut sets = members.split(|member| member.is_nan());
    let mut list = Vec::with_capacity(count);
    for (&mode, split) in modes.iter().zip(splits) {
        list.push(match mode {
            0 => Question::Compare(Test::AtMost, split),
            1 => Question::Compare(Test::Below, split),
            2 => Question::Compare(Test::AtLeast, split),
            3 => Question::Compare(Test::Above, split),
            4 => Question::Compare(Test::Equal, split),
            5 => Question::Compare(Test::Unequal, split),
            6 => {
                let set = sets.next().filter(|set| !set.is_empty());
                let set = set.ok_or_else(|| build.invalid("membership_values has too few sets"))?;
                Question::Member(set.to_vec())
            }
            other => return Err(build.invalid(format!("node mode {other}"))),
        });
    }
    if sets.any(|set| !set.is_empty()) {
        return Err(build.invalid("membership_values has sets that no node asks for"));
    }
    Ok(list)
}

fn children(build: &mut Build<'_>, ids: &str, leaves: &str, count: usize) -> Result<Vec<Child>> {
    let (places, flags) = (build.ints(ids)?, build.ints(leaves)?);
    check(build, ids, places.len(), count)?;
    check(build, leaves, flags.len(), count)?;
    let child = |(&place, &leaf): (&i64, &i64)| {
        let known = usize::try_from(place).ok();
        let place = known.ok_or_else(|| build.invalid(format!("{ids} holds {place}")))?;
        Ok(if leaf == 0 { Child::Branch(place) } else { Child::Leaf(place) })
    };
    places.iter().zip(&flags).map(child).collect()
}

/// What each leaf says.
#[derive(Debug)]
struct Leaves {
    targets: Vec<u32>,
    weights: Vec<f32>,
}

impl Leaves {
    fn read(build: &mut Build<'_>, targets: usize) -> Result<Self> {
        let (ids, weights) = (build.ints("leaf_targetids")?, floats(build, "leaf_weights")?);
        check(build, "leaf_weights", weights.len(), ids.len())?;
        let known = |&id: &i64| {
            let target = u32::try_from(id).ok().filter(|&target| (target as usize) < targets);
            target.ok_or_else(|| build.invalid(format!("leaf_targetids holds {id} of {targets}")))
        };
        let targets = ids.iter().map(known).collect::<Result<_>>()?;
        Ok(Self { targets, weights })
    }
}

/// The trees as the other two operators list them, taken from the lists of branches and leaves.
#[derive(Debug)]
struct Walk<'a, 'b> {
    build: &'a Build<'b>,
    branches: &'a Branches,
    leaves: &'a Leaves,
    /// The tree that each branch belongs to.
    owner: Vec<Option<usize>>,
    /// The last tree that each leaf was taken into.
    taken: Vec<Option<usize>>,
    /// The number of the next node that is made up.
    next: i64,
    nodes: Vec<RawNode<f32>>,
    weights: Vec<RawWeight<f32>>,
}

impl<'a, 'b> Walk<'a, 'b> {
    fn new(build: &'a Build<'b>, branches: &'a Branches, leaves: &'a Leaves) -> Self {
        let (owner, taken) =
            (vec![None; branches.features.len()], vec![None; leaves.weights.len()]);
        let (nodes, weights) = (Vec::new(), Vec::new());
        let next = number(owner.len() + taken.len());
        Self { build, branches, leaves, owner, taken, next, nodes, weights }
    }

    /// Each tree from its root on; a branch belongs to one tree, so that this takes what the file has.
    fn trees(mut self, roots: &[i64]) -> Result<Self> {
        if roots.is_empty() {
            return Err(self.build.invalid("there are no trees"));
        }
        for (tree, &root) in roots.iter().enumerate() {
            let place = usize::try_from(root).ok().filter(|&root| root < self.owner.len());
            let place =
                place.ok_or_else(|| self.build.invalid(format!("tree_roots holds {root}")))?;
            if self.owner[place].is_some() {
                return Err(self.build.invalid(format!("node {root} belongs to two trees")));
            }
            let mut waiting = vec![Child::Branch(place)];
            while let Some(child) = waiting.pop() {
                match child {
                    Child::Leaf(leaf) => self.leaf(tree, leaf)?,
                    Child::Branch(place) => self.branch(tree, place, &mut waiting)?,
                }
            }
        }
        Ok(self)
    }

    fn leaf(&mut self, tree: usize, leaf: usize) -> Result<()> {
        let missing = || self.build.invalid(format!("leaf {leaf} is missing"));
        let taken = self.taken.get_mut(leaf).ok_or_else(missing)?;
        if taken.replace(tree) == Some(tree) {
            return Ok(());
        }
        let (id, tree) = (number(self.owner.len() + leaf), number(tree));
        self.nodes.push(node(tree, id, 0, (Test::Leaf, 0.0)));
        let (target, value) = (self.leaves.targets[leaf], self.leaves.weights[leaf]);
        self.weights.push(RawWeight { tree, node: id, target, value });
        Ok(())
    }

    fn branch(&mut self, tree: usize, place: usize, waiting: &mut Vec<Child>) -> Result<()> {
        match self.owner.get_mut(place) {
            None => return Err(self.build.invalid(format!("node {place} is missing"))),
            // A branch of this tree that several lead to.
            Some(Some(owner)) if *owner == tree => return Ok(()),
            Some(Some(_)) => {
                return Err(self.build.invalid(format!("node {place} belongs to two trees")));
            }
            Some(owner) => *owner = Some(tree),
        }
        let (yes, no) = (self.branches.yes[place], self.branches.no[place]);
        waiting.extend([no, yes]);
        let questions = match &self.branches.questions[place] {
            Question::Compare(test, split) => vec![(*test, *split)],
            // Asked number by number; every yes leads to the same place.
            Question::Member(set) => set.iter().map(|&member| (Test::Equal, member)).collect(),
        };
        let missing_yes = self.branches.missing_yes.get(place).is_some_and(|&flag| flag == 1);
        let mut id = number(place);
        let last = questions.len() - 1;
        for (at, question) in questions.into_iter().enumerate() {
            let mut node = node(number(tree), id, self.branches.features[place], question);
            node.missing_yes = missing_yes;
            node.yes = self.id(yes);
            node.no = if at == last { self.id(no) } else { self.next };
            self.nodes.push(node);
            if at < last {
                id = self.next;
                self.next += 1;
            }
        }
        Ok(())
    }

    fn id(&self, child: Child) -> i64 {
        match child {
            Child::Branch(place) => number(place),
            Child::Leaf(leaf) => number(self.owner.len().saturating_add(leaf)),
        }
    }
}

fn node(tree: i64, id: i64, feature: i64, (test, threshold): (Test, f32)) -> RawNode<f32> {
    RawNode { tree, id, feature, threshold, test, yes: 0, no: 0, missing_yes: false }
}

/// A place in a list, as a number of a node.
fn number(place: usize) -> i64 {
    i64::try_from(place).unwrap_or(i64::MAX)
}

/// The numbers of a tensor of `f32`; none if it is absent.
fn floats(build: &mut Build<'_>, name: &str) -> Result<Vec<f32>> {
    match build.tensor(name)? {
        None => Ok(Vec::new()),
        Some(tensor) if tensor.dtype() == DType::F32 => Ok(tensor.as_slice::<f32>()?.to_vec()),
        Some(tensor) => {
            let given = tensor.dtype();
            Err(build.unsupported(format!("{name} of type {given} over rows of float32")))
        }
    }
}

fn check(build: &Build<'_>, name: &str, given: usize, wanted: usize) -> Result<()> {
    if given == wanted {
        return Ok(());
    }
    Err(build.invalid(format!("{name} has {given} entries, where {wanted} belong")))
}
