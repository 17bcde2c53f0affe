//! Which forests can be walked in lockstep, and where their nodes stand.

use super::{
    super::{Real, Test, Weight, trees::Node},
    Bank, Group, LANES, PLACES, Page, Paged, SLOTS, Side, Targets,
};

/// The nodes of a forest, checked, as [`super::super::Forest`] has them.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Source<'a, S> {
    pub(in super::super) nodes: &'a [Node<S>],
    pub(in super::super) roots: &'a [u32],
    pub(in super::super) weights: &'a [Weight<S>],
    pub(in super::super) features: usize,
}

impl<S: Real> Paged<S> {
    /// The same forest in pages, if every node compares with a threshold, every tree speaks for one class
    /// or target and has no more nodes than a page holds, and a byte can name the features.
    ///
    /// A page is opened only when the last one is full, so that this takes about twice the memory of the plain
    /// nodes at most.
    pub(in super::super) fn new(source: Source<'_, S>) -> Option<Self> {
        let mut layout = Layout { source, banks: Vec::new(), targets: Vec::new() };
        let (mut pages, mut draft) = (Vec::new(), Draft::default());
        let mut trees = LANES;
        while layout.targets.len() < source.roots.len() {
            let left = source.roots.len() - layout.targets.len();
            trees = trees.min(1 << left.ilog2());
            if layout.group(&mut draft, trees).is_some() {
                trees = LANES;
            } else if !draft.page.groups.is_empty() {
                pages.push(std::mem::take(&mut draft).page);
            } else if trees > 1 {
                trees /= 2;
            } else {
                return None;
            }
        }
        pages.push(draft.page);
        pages.shrink_to_fit();
        let Layout { banks, targets, .. } = layout;
        let &first = targets.first()?;
        let one = targets.iter().all(|&target| target == first);
        let targets = if one { Targets::All(first) } else { Targets::Each(targets) };
        Some(Self { pages, banks, features: source.features, targets })
    }
}

/// A page that is being filled.
#[derive(Debug)]
struct Draft<S: Real> {
    page: Page<S>,
    used: Used,
}

/// What of a page is taken.
#[derive(Clone, Copy, Debug)]
struct Used {
    /// Places of nodes before this one.
    nodes: usize,
    leaves: [bool; PLACES],
}

impl<S: Real> Default for Draft<S> {
    fn default() -> Self {
        let (nodes, leaves) = ([S::Node::default(); PLACES], [S::default(); PLACES]);
        let page = Page { nodes, leaves, groups: Vec::new() };
        Self { page, used: Used { nodes: 0, leaves: [false; PLACES] } }
    }
}

impl Used {
    /// The next place for a node. The last one can only be named as a sibling, so it is none.
    fn node(&mut self, leaf: bool) -> Option<usize> {
        let place = self.nodes;
        if place + 1 >= PLACES || leaf && std::mem::replace(&mut self.leaves[place], true) {
            return None;
        }
        self.nodes += 1;
        Some(place)
    }

    /// Two places beside each other for leaves that are no nodes: far from where nodes go on.
    fn leaves(&mut self) -> Option<usize> {
        let place = (0..PLACES - 1).rev().find(|&at| self.leaves[at..at + 2] == [false; 2])?;
        self.leaves[place..place + 2].fill(true);
        Some(place)
    }
}

/// A node whose children are leaves that are reached with the last step. Those take any place, so they have
/// to wait for the leaves that are nodes.
#[derive(Clone, Copy, Debug)]
struct Last {
    place: usize,
    threshold: u64,
    slot: u8,
    leaves: [u32; 2],
}

#[derive(Debug)]
struct Layout<'a, S> {
    source: Source<'a, S>,
    banks: Vec<Bank>,
    /// Of each tree that has its place.
    targets: Vec<usize>,
}

impl<S: Real> Layout<'_, S> {
    /// Puts the next trees onto the page, if there is room for them.
    fn group(&mut self, draft: &mut Draft<S>, trees: usize) -> Option<()> {
        let (first, used) = (self.targets.len(), draft.used);
        let placed = self.trees(draft, first, trees);
        if placed.is_none() {
            // What was written there is written over.
            draft.used = used;
            self.targets.truncate(first);
        }
        draft.page.groups.push(placed?);
        Some(())
    }

    fn trees(&mut self, draft: &mut Draft<S>, first: usize, trees: usize) -> Option<Group> {
        let depths = (first..first + trees).map(|tree| self.depth(tree));
        let depth = depths.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        let (mut roots, mut last) = ([0; LANES], Vec::new());
        for (root, tree) in roots.iter_mut().zip(first..first + trees) {
            *root = self.tree(draft, tree, depth, &mut last)?;
        }
        for Last { place, threshold, slot, leaves } in last {
            let child = draft.used.leaves()?;
            draft.page.nodes[place] = S::node(threshold, slot, u8::try_from(child).ok()?);
            for (place, at) in (child..).zip(leaves) {
                draft.page.leaves[place] = self.weight(at)?.value;
            }
        }
        Some(Group { roots, trees, first, depth })
    }

    /// The longest way to a leaf; none if there are more nodes than nodes and leaves of a page, or if branches
    /// are shared, which this layout would multiply.
    fn depth(&self, tree: usize) -> Option<u32> {
        let Source { nodes, roots, .. } = self.source;
        let end = roots.get(tree + 1).map_or(nodes.len(), |&next| next as usize);
        let mut ways_left = end - roots[tree] as usize;
        if ways_left >= 2 * PLACES {
            return None;
        }
        let (mut ways, mut deepest) = (vec![(roots[tree], 0)], 0);
        while let Some((at, depth)) = ways.pop() {
            ways_left = ways_left.checked_sub(1)?;
            let node = &nodes[at as usize];
            deepest = deepest.max(depth);
            if node.test != Test::Leaf {
                ways.extend([(node.yes, depth + 1), (node.no, depth + 1)]);
            }
        }
        Some(deepest)
    }

    /// Gives every node its place; `depth` is that of the group. The place of the root.
    fn tree(
        &mut self,
        draft: &mut Draft<S>,
        tree: usize,
        depth: u32,
        last: &mut Vec<Last>,
    ) -> Option<u8> {
        let root = self.source.roots[tree];
        let place = draft.used.node(self.is_leaf(root))?;
        let (mut targets, mut to_do) = (Vec::new(), vec![(root, place, depth)]);
        while let Some((at, place, steps)) = to_do.pop() {
            if self.is_leaf(at) {
                let Weight { target, value } = self.weight(at)?;
                targets.push(target);
                draft.page.nodes[place] = S::node(S::LAST, 0, u8::try_from(place).ok()?);
                draft.page.leaves[place] = value;
                continue;
            }
            let (threshold, slot, children) = self.question(at)?;
            if steps == 1 {
                for leaf in children {
                    targets.push(self.weight(leaf)?.target);
                }
                last.push(Last { place, threshold, slot, leaves: children });
                continue;
            }
            let [child, sibling] = children.map(|child| draft.used.node(self.is_leaf(child)));
            let (child, sibling) = (child?, sibling?);
            draft.page.nodes[place] = S::node(threshold, slot, u8::try_from(child).ok()?);
            to_do.extend([(children[0], child, steps - 1), (children[1], sibling, steps - 1)]);
        }
        let &target = targets.first()?;
        self.targets.push(target as usize);
        targets.iter().all(|&other| other == target).then_some(u8::try_from(place).ok()?)
    }

    fn is_leaf(&self, at: u32) -> bool {
        self.source.nodes[at as usize].test == Test::Leaf
    }

    /// What a leaf says, if that is one number.
    fn weight(&self, at: u32) -> Option<Weight<S>> {
        let node = &self.source.nodes[at as usize];
        let weights = &self.source.weights[node.yes as usize..node.no as usize];
        if let [weight] = weights { Some(*weight) } else { None }
    }

    /// The threshold, the slot, and the two children: where what is at most the threshold goes, and where
    /// what is above it goes.
    fn question(&mut self, at: u32) -> Option<(u64, u8, [u32; 2])> {
        let node = self.source.nodes[at as usize];
        let (rising, inclusive, zero) = match node.test {
            Test::AtMost => (true, true, None),
            Test::Below => (true, false, None),
            Test::AtLeast => (false, false, None),
            Test::Above => (false, true, None),
            Test::AtMostOrZero => (true, true, Some(Side::Low)),
            Test::AtMostNotZero => (true, true, Some(Side::High)),
            Test::Equal | Test::Unequal | Test::Among(_) | Test::Leaf => return None,
        };
        let threshold = match (node.threshold.is_nan(), inclusive) {
            (false, true) => node.threshold.cell(),
            (false, false) => node.threshold.cell() - S::STEP,
            // Nothing passes but what is missing, if it does: its cell is beyond all others.
            (true, _) if rising => Side::Low.cell::<S>(),
            (true, _) => Side::High.cell::<S>() - S::STEP,
        };
        let missing = if node.missing_yes == rising { Side::Low } else { Side::High };
        let slot = self.bank(Bank { missing, zero }) * self.source.features + node.feature as usize;
        let slot = u8::try_from(slot).ok().filter(|&slot| usize::from(slot) < SLOTS)?;
        let children = if rising { [node.yes, node.no] } else { [node.no, node.yes] };
        Some((threshold, slot, children))
    }

    fn bank(&mut self, bank: Bank) -> usize {
        self.banks.iter().position(|own| *own == bank).unwrap_or_else(|| {
            self.banks.push(bank);
            self.banks.len() - 1
        })
    }
}
