//! The walk in lockstep says what the plain one says, bit for bit.

use super::super::{Forest, RawNode, RawWeight, Real, Rows, Test};
use mlops_core::Error;
use proptest::prelude::*;

/// Thresholds, and what rows are made of together with their neighbours.
const NUMBERS: [f64; 12] = [
    f64::NEG_INFINITY,
    -1.5,
    -1e-35,
    -0.0,
    0.0,
    1e-40,
    1e-35,
    0.1,
    1.5,
    3e38,
    f64::INFINITY,
    f64::NAN,
];
/// What leaves say: a sum in another order has other bits.
const SAID: [f64; 7] = [-0.0, 0.0, 1e-8, 0.1, -0.3, 1.0, 3e7];
/// Those that the plain walk is needed for come last.
const TESTS: [Test; 8] = [
    Test::AtMost,
    Test::Below,
    Test::AtLeast,
    Test::Above,
    Test::AtMostOrZero,
    Test::AtMostNotZero,
    Test::Equal,
    Test::Unequal,
];

/// Decisions, which shrink well: where there are no more, it is always the first choice.
struct Tape<'a>(&'a [u16]);

impl Tape<'_> {
    fn choose<T: Copy>(&mut self, from: &[T]) -> T {
        let Some((first, rest)) = self.0.split_first() else { return from[0] };
        self.0 = rest;
        from[usize::from(*first) % from.len()]
    }
}

trait Near: Real {
    /// The number, or one beside it.
    fn near(self, aside: i8) -> Self;
}

macro_rules! near {
    ($($number:ty),*) => {
        $(impl Near for $number {
            fn near(self, aside: i8) -> Self {
                match aside {
                    0 => self,
                    1 => self.next_up(),
                    _ => self.next_down(),
                }
            }
        })*
    };
}

near!(f32, f64);

/// A forest that is being written as a file lists one.
struct Written<S> {
    nodes: Vec<RawNode<S>>,
    weights: Vec<RawWeight<S>>,
    features: i64,
    tests: usize,
}

impl<S: Near> Written<S> {
    fn new(features: i64, tests: usize) -> Self {
        Self { nodes: Vec::new(), weights: Vec::new(), features, tests }
    }

    /// A subtree; gives the number of its root.
    fn branch(&mut self, tape: &mut Tape<'_>, tree: i64, target: u32, depth: u32) -> i64 {
        let at = self.nodes.len();
        let id = i64::try_from(at).unwrap();
        let leaf = depth == 0 || tape.choose(&[0, 0, 0, 0, 1]) == 1;
        let test = if leaf { Test::Leaf } else { tape.choose(&TESTS[..self.tests]) };
        let features: Vec<i64> = (0..self.features).collect();
        self.nodes.push(RawNode {
            tree,
            id,
            feature: tape.choose(&features),
            threshold: S::nearest(tape.choose(&NUMBERS)),
            test,
            yes: 0,
            no: 0,
            missing_yes: tape.choose(&[false, true]),
        });
        if leaf {
            let value = S::nearest(tape.choose(&SAID));
            self.weights.push(RawWeight { tree, node: id, target, value });
        } else {
            self.nodes[at].yes = self.branch(tape, tree, target, depth - 1);
            self.nodes[at].no = self.branch(tape, tree, target, depth - 1);
        }
        id
    }

    fn forest(self) -> Forest<S> {
        Forest::new(&self.nodes, self.weights, Vec::new(), &Error::invalid).unwrap()
    }
}

/// Some rows of so many features.
fn rows<S: Near>(tape: &mut Tape<'_>, count: usize, columns: usize) -> Vec<S> {
    let number = |_| S::nearest(tape.choose(&NUMBERS)).near(tape.choose(&[0, 1, -1]));
    (0..count * columns).map(number).collect()
}

/// The sums of the plain walk, and those of the other if there is one.
fn sums<S: Real>(forest: &Forest<S>, rows: Rows<'_, S>, width: usize) -> (Vec<S>, Option<Vec<S>>) {
    // Those of the sum of nothing stay as they are.
    let begin = vec![S::nearest(-0.0); rows.count * width];
    let (mut plain, mut quick) = (begin.clone(), begin);
    forest.visit(rows, |row, leaf| {
        for weight in leaf {
            plain[row * width + weight.target as usize] += weight.value;
        }
    });
    let done = forest.add_up(rows, width, &mut quick);
    (plain, done.then_some(quick))
}

fn agree<S: Near>(tape: &[u16], count: usize, targets: u32, tests: usize) -> bool {
    let (mut tape, columns) = (Tape(tape), 5);
    let mut written = Written::<S>::new(columns, tests);
    let trees = tape.choose(&[1, 2, 7, 8, 9, 20, 33]);
    let depth = tape.choose(&[3, 0, 1, 2, 5, 6, 7]);
    for tree in 0..trees {
        let target = u32::try_from(tree).unwrap() % targets;
        written.branch(&mut tape, tree, target, depth);
    }
    let columns = usize::try_from(columns).unwrap();
    let (forest, values) = (written.forest(), rows::<S>(&mut tape, count, columns));
    let all = Rows { values: &values, columns, count };
    let (plain, quick) = sums(&forest, all, targets as usize);
    let bits = |sums: &[S]| sums.iter().map(|sum| sum.wide().to_bits()).collect::<Vec<_>>();
    if let Some(quick) = &quick {
        assert_eq!(bits(&plain), bits(quick));
    }
    quick.is_some()
}

proptest! {
    #[test]
    fn both_walks_say_the_same(
        tape in proptest::collection::vec(any::<u16>(), 0..3000),
        count in prop_oneof![Just(1_usize), 2..9_usize, Just(64)],
        targets in 1..4_u32,
    ) {
        // With these tests and at most 255 nodes a tree, every forest has pages.
        prop_assert!(agree::<f32>(&tape, count, targets, 6));
        prop_assert!(agree::<f64>(&tape, count, targets, 6));
        agree::<f32>(&tape, count, targets, TESTS.len());
    }
}

/// Trees of this depth, all of whose nodes are there.
fn full(depth: u32, trees: i64, features: i64) -> Written<f32> {
    let mut written = Written::new(features, 1);
    for tree in 0..trees {
        written.branch(&mut Tape(&[]), tree, 0, depth);
    }
    written
}

/// Whether the forest is walked in lockstep.
fn is_quick(forest: &Forest<f32>, columns: usize) -> bool {
    let values = vec![0.5; columns];
    let (plain, quick) = sums(forest, Rows { values: &values, columns, count: 1 }, 1);
    assert!(quick.is_none_or(|quick| quick == plain));
    forest.add_up(Rows { values: &values, columns, count: 1 }, 1, &mut [0.0_f32])
}

#[test]
fn the_plain_walk_is_kept_for_what_fits_no_page() {
    assert!(is_quick(&full(5, 100, 30).forest(), 30));
    assert!(is_quick(&full(8, 3, 256).forest(), 256));
    assert!(!is_quick(&full(9, 3, 30).forest(), 30), "511 nodes that compare");

    let mut wide = full(2, 3, 30);
    wide.nodes[0].feature = 256;
    assert!(!is_quick(&wide.forest(), 257), "no byte can name the feature");

    let mut equal = full(2, 3, 30);
    equal.nodes[0].test = Test::Equal;
    assert!(!is_quick(&equal.forest(), 30), "no threshold");

    let mut shared = full(2, 1, 30);
    shared.nodes[0].no = shared.nodes[0].yes;
    shared.nodes.truncate(4);
    shared.weights.truncate(2);
    assert!(!is_quick(&shared.forest(), 30), "a branch that is shared");

    let mut several = full(2, 3, 30);
    let RawWeight { tree, node, target, value } = several.weights[0];
    several.weights.push(RawWeight { tree, node, target, value });
    assert!(!is_quick(&several.forest(), 30), "a leaf that says two things");
}
