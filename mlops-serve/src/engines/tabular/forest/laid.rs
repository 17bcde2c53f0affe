//! Trees laid out for a fast walk: one kind of comparison, the two children of a node side by side, and
//! several walks at once. A step down waits for the node that it reads; walks that go side by side wait
//! together (`scripts/bench tabular`).

use super::{
    Real, Rows, Set, Test, Weight,
    plain::{LAST_FEATURE, Node, Plain, passes},
};

/// How many walks go side by side.
const LANES: usize = 8;
/// How many steps they make between two looks whether all have arrived.
const STEPS: u32 = 4;
/// The bits of a feature that say that a missing value stays, and that the test is another one.
const MISSING: u32 = 1 << 31;
const OTHER: u32 = 1 << 30;

/// A node. A value that is at most the threshold stays on the first of the two children, any other goes to
/// the one after it; at a leaf all stay where they are.
#[derive(Clone, Copy, Debug)]
struct Step<S> {
    threshold: S,
    feature: u32,
    next: u32,
}

#[derive(Clone, Copy, Debug)]
struct Tree {
    root: u32,
    /// How many steps lead to its farthest leaf.
    depth: u32,
}

/// All trees of an ensemble, in the order of the file.
#[derive(Debug)]
pub(super) struct Laid<S> {
    steps: Vec<Step<S>>,
    /// The tests of all nodes, if there are others than for at most a threshold; and their sets.
    others: Vec<Test>,
    sets: Vec<Set>,
    /// Where the weights of each node begin; they end where the next one's do. Only leaves have some.
    says: Vec<u32>,
    weights: Vec<Weight<S>>,
    trees: Vec<Tree>,
}

impl<S: Real> Laid<S> {
    /// Lays out trees; gives them back if a branch is shared. Nothing leads back in them.
    pub(super) fn of(plain: Plain<S>) -> Result<Self, Plain<S>> {
        match Self::lay_out(&plain) {
            Some(laid) => Ok(Self { sets: plain.sets, ..laid }),
            None => Err(plain),
        }
    }

    fn lay_out(plain: &Plain<S>) -> Option<Self> {
        let count = plain.nodes.len();
        let mut laid = Self {
            steps: Vec::with_capacity(count),
            others: Vec::with_capacity(count),
            sets: Vec::new(),
            says: Vec::with_capacity(count + 1),
            weights: Vec::with_capacity(plain.weights.len()),
            trees: Vec::with_capacity(plain.roots.len()),
        };
        for &root in &plain.roots {
            laid.tree(plain, root)?;
        }
        laid.says.push(place(laid.weights.len())?);
        if laid.steps.iter().all(|step| step.feature & OTHER == 0) {
            laid.others = Vec::new();
        }
        Some(laid)
    }

    /// Level by level, so that the steps that most rows make lie together.
    fn tree(&mut self, plain: &Plain<S>, root: u32) -> Option<()> {
        let first = place(self.steps.len())?;
        let (mut level, mut depth, mut end) = (vec![root], 0, first + 1);
        loop {
            let mut below = Vec::with_capacity(2 * level.len());
            for at in level {
                // Only a shared node is come by twice.
                if self.steps.len() == plain.nodes.len() {
                    return None;
                }
                let node = &plain.nodes[at as usize];
                self.says.push(place(self.weights.len())?);
                self.others.push(node.test);
                if node.test == Test::Leaf {
                    self.weights.extend(&plain.weights[node.yes as usize..node.no as usize]);
                    self.steps.push(Step::leaf(place(self.steps.len())?));
                } else {
                    let (step, children) = Step::branch(node, end);
                    below.extend(children);
                    self.steps.push(step);
                    end += 2;
                }
            }
            if below.is_empty() {
                self.trees.push(Tree { root: first, depth });
                return Some(());
            }
            (level, depth) = (below, depth + 1);
        }
    }

    pub(super) fn trees(&self) -> usize {
        self.trees.len()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.steps.as_slice())
            + size_of_val(self.others.as_slice())
            + self.sets.iter().map(|set| size_of_val(&**set)).sum::<usize>()
            + size_of_val(self.says.as_slice())
            + size_of_val(self.weights.as_slice())
            + size_of_val(self.trees.as_slice())
    }

    /// Tells what each tree says of each row: of each in the order of the trees, whatever the others.
    pub(super) fn visit(&self, rows: Rows<'_, S>, mut say: impl FnMut(usize, &[Weight<S>])) {
        let together = rows.count - rows.count % LANES;
        for tree in &self.trees {
            for first in (0..together).step_by(LANES) {
                let mut at = [tree.root; LANES];
                let lanes: [&[S]; LANES] = std::array::from_fn(|lane| rows.row(first + lane));
                self.descend(&mut at, tree.depth, |lane| lanes[lane]);
                for (lane, &at) in at.iter().enumerate() {
                    say(first + lane, self.says(at));
                }
            }
        }
        for row in together..rows.count {
            self.visit_one(rows.row(row), |weights| say(row, weights));
        }
    }

    /// Several trees side by side, for one row.
    fn visit_one(&self, row: &[S], mut say: impl FnMut(&[Weight<S>])) {
        for trees in self.trees.chunks(LANES) {
            // Where there are fewer trees the other lanes walk down the first one once more.
            let mut at = [0; LANES];
            for (at, tree) in at.iter_mut().zip(trees) {
                *at = tree.root;
            }
            let depth = trees.iter().map(|tree| tree.depth).max().unwrap_or(0);
            self.descend(&mut at, depth, |_| row);
            for (&at, _) in at.iter().zip(trees) {
                say(self.says(at));
            }
        }
    }

    fn descend<'a>(&self, at: &mut [u32; LANES], depth: u32, row: impl Fn(usize) -> &'a [S])
    where
        S: 'a,
    {
        for step in 1..=depth {
            let before = *at;
            for (lane, at) in at.iter_mut().enumerate() {
                *at = self.step(*at, row(lane));
            }
            if step % STEPS == 0 && *at == before {
                return;
            }
        }
    }

    #[expect(
        clippy::needless_bitwise_bool,
        reason = "both sides are computed, so as not to branch"
    )]
    fn step(&self, at: u32, row: &[S]) -> u32 {
        let Step { threshold, feature, next } = self.steps[at as usize];
        let value = row[(feature & LAST_FEATURE) as usize];
        let passes = if feature & OTHER == 0 {
            value <= threshold
        } else {
            passes(self.others[at as usize], value, threshold, &self.sets)
        };
        // A branch that depends on the row would be guessed wrong half the time.
        let stays = passes | (value.is_nan() & (feature & MISSING != 0));
        next + u32::from(!stays)
    }

    fn says(&self, leaf: u32) -> &[Weight<S>] {
        let (from, to) = (self.says[leaf as usize], self.says[leaf as usize + 1]);
        &self.weights[from as usize..to as usize]
    }
}

/// A place, if that many can be counted.
fn place(at: usize) -> Option<u32> {
    u32::try_from(at).ok().filter(|&at| at < MISSING)
}

impl<S: Real> Step<S> {
    /// At a place of its own.
    fn leaf(place: u32) -> Self {
        Self { threshold: S::INFINITY, feature: MISSING, next: place }
    }

    /// A branch whose children come to lie from a place on, and these children in their order there.
    fn branch(node: &Node<S>, next: u32) -> (Self, [u32; 2]) {
        let (threshold, below) = (node.threshold, node.threshold.largest_below());
        let number = !threshold.is_nan();
        let (threshold, other, swapped) = match node.test {
            Test::AtMost => (threshold, 0, false),
            Test::Below => (below, 0, false),
            // Nothing is at least or above what is no number, and nothing is below it either.
            Test::AtLeast if number => (below, 0, true),
            Test::Above if number => (threshold, 0, true),
            _ => (threshold, OTHER, false),
        };
        let missing = if node.missing_yes == swapped { 0 } else { MISSING };
        let children = if swapped { [node.no, node.yes] } else { [node.yes, node.no] };
        (Self { threshold, feature: node.feature | missing | other, next }, children)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{RawNode, RawWeight},
        *,
    };
    use mlops_core::Error;
    use proptest::prelude::*;

    const NUMBERS: [f32; 9] = [
        f32::NAN,
        f32::NEG_INFINITY,
        -1.5,
        -0.0,
        0.0,
        f32::MIN_POSITIVE,
        1.0,
        1.000_000_1,
        f32::INFINITY,
    ];

    fn number() -> impl Strategy<Value = f32> {
        prop::sample::select(&NUMBERS[..])
    }

    /// Trees of up to 31 nodes, each with its place as its weight. Child `n` of a full tree is `2n + 1`.
    fn tree(id: i64) -> impl Strategy<Value = Vec<RawNode<f32>>> {
        let test = prop::sample::select(vec![
            Test::AtMost,
            Test::Below,
            Test::AtLeast,
            Test::Above,
            Test::Equal,
            Test::Unequal,
            Test::AtMostOrZero,
            Test::AtMostNotZero,
            Test::Among(0),
            Test::Leaf,
        ]);
        let node = (test, 0..3_i64, number(), any::<bool>());
        prop::collection::vec(node, 31).prop_map(move |nodes| {
            let node = |(at, (test, feature, threshold, missing_yes))| {
                let test = if at >= 15 { Test::Leaf } else { test };
                let (yes, no) = (2 * at + 1, 2 * at + 2);
                RawNode { tree: id, id: at, feature, threshold, test, yes, no, missing_yes }
            };
            (0..).zip(nodes).map(node).collect()
        })
    }

    fn said(
        visit: impl FnOnce(&mut dyn FnMut(usize, &[Weight<f32>])),
        rows: usize,
    ) -> Vec<Vec<f32>> {
        let mut said = vec![Vec::new(); rows];
        visit(&mut |row, weights| said[row].extend(weights.iter().map(|weight| weight.value)));
        said
    }

    proptest! {
        #[test]
        fn laid_trees_say_what_plain_ones_do(
            trees in (tree(0), tree(1), tree(2), tree(3), tree(4), tree(5), tree(6), tree(7), tree(8)),
            some in 1..9_usize,
            values in prop::collection::vec(number(), 3 * 21),
        ) {
            let (a, b, c, d, e, f, g, h, i) = trees;
            let nodes: Vec<_> = [a, b, c, d, e, f, g, h, i].into_iter().take(some).flatten().collect();
            let weight = |(value, node): (u16, &RawNode<f32>)| RawWeight {
                tree: node.tree,
                node: node.id,
                target: 0,
                value: f32::from(value),
            };
            let weights: Vec<_> = (0..).zip(&nodes).map(weight).collect();
            let sets = vec![Set::from([0b10])];
            let plain = Plain::new(&nodes, weights, sets, &Error::invalid).unwrap();
            let laid = Laid::of(plain.clone()).unwrap();
            let rows = Rows { values: &values, columns: 3, count: 21 };
            let wanted = said(|say| plain.visit(rows, say), 21);
            prop_assert_eq!(said(|say| laid.visit(rows, say), 21), wanted);
        }
    }
}
