//! Trees laid out for a fast walk: one kind of comparison, the two children of a node side by side, and
//! several walks at once. A step down waits for the node that it reads; walks that go side by side wait
//! together (`scripts/bench tabular`).

use super::{
    Real, Rows,
    forest::{Node, Test, Weight},
};

/// How many walks go side by side.
const LANES: usize = 8;
/// How many steps they make between two looks whether all have arrived.
const STEPS: u32 = 4;
/// The bit of a feature that says that a missing value stays.
const MISSING: u32 = 1 << 31;

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
    /// Where the weights of each node begin; they end where the next one's do. Only leaves have some.
    says: Vec<u32>,
    weights: Vec<Weight<S>>,
    trees: Vec<Tree>,
}

impl<S: Real> Laid<S> {
    /// Lays out trees; `None` if a branch is shared or tests for equality. Nothing leads back in them.
    pub(super) fn of(nodes: &[Node<S>], roots: &[u32], weights: &[Weight<S>]) -> Option<Self> {
        let (steps, trees) = (Vec::with_capacity(nodes.len()), Vec::with_capacity(roots.len()));
        let says = Vec::with_capacity(nodes.len() + 1);
        let weights_laid = Vec::with_capacity(weights.len());
        let mut laid = Self { steps, says, weights: weights_laid, trees };
        let mut left = nodes.len();
        for &root in roots {
            laid.tree(nodes, root, weights, &mut left)?;
        }
        laid.says.push(place(laid.weights.len())?);
        Some(laid)
    }

    /// Level by level, so that the steps that most rows make lie together. `left` is how many nodes there
    /// are that no walk has come by: only a shared one is come by twice.
    fn tree(
        &mut self,
        nodes: &[Node<S>],
        root: u32,
        weights: &[Weight<S>],
        left: &mut usize,
    ) -> Option<()> {
        let first = place(self.steps.len())?;
        let (mut level, mut depth, mut end) = (vec![root], 0, first + 1);
        loop {
            let mut below = Vec::with_capacity(2 * level.len());
            for at in level {
                *left = left.checked_sub(1)?;
                self.says.push(place(self.weights.len())?);
                let node = &nodes[at as usize];
                let step = if node.test == Test::Leaf {
                    self.weights.extend(&weights[node.yes as usize..node.no as usize]);
                    let (threshold, next) = (S::INFINITY, place(self.steps.len())?);
                    Step { threshold, feature: MISSING, next }
                } else {
                    let (threshold, swapped) = at_most(node)?;
                    let missing = node.missing_yes != swapped;
                    let feature = node.feature | if missing { MISSING } else { 0 };
                    below.extend(if swapped { [node.no, node.yes] } else { [node.yes, node.no] });
                    end += 2;
                    Step { threshold, feature, next: end - 2 }
                };
                self.steps.push(step);
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

    fn step(&self, at: u32, row: &[S]) -> u32 {
        let Step { threshold, feature, next } = self.steps[at as usize];
        let value = row[(feature & !MISSING) as usize];
        // Both are computed: a branch that depends on the row would be guessed wrong half the time.
        let stays = (value <= threshold) | (value.is_nan() & (feature & MISSING != 0));
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

/// The same test as one for at most a threshold, and whether its children change places for that.
fn at_most<S: Real>(node: &Node<S>) -> Option<(S, bool)> {
    let threshold = node.threshold;
    let below = threshold.largest_below();
    Some(match node.test {
        Test::AtMost => (threshold, false),
        Test::Below => (below, false),
        // Nothing is at least or above what is no number, and nothing is below it either.
        Test::AtLeast if !threshold.is_nan() => (below, true),
        Test::Above if !threshold.is_nan() => (threshold, true),
        _ => return None,
    })
}
