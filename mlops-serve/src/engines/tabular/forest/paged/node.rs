//! Numbers as unsigned integers of the same order, and the nodes that are compared with them.

use std::fmt::Debug;

/// How many numbers a row may be turned into: a node names one in a byte.
pub(in super::super::super) const SLOTS: usize = 256;

/// A number type that a walk in lockstep can compare.
///
/// A cell is a number as an integer: of two numbers the smaller one has the smaller cell, and equal ones
/// (zeros of either sign) have the same. NaN has none; cells below and above those of all numbers are left
/// for it.
pub(in super::super::super) trait Ordered: Copy {
    /// A threshold, the slot that it is compared with, and where the two children stand.
    type Node: Copy + Debug + Default + Send + Sync;

    /// Between the cells of two numbers that are neighbours.
    const STEP: u64;
    /// Above every number.
    const LAST: u64 = u64::MAX / Self::STEP * Self::STEP;

    fn cell(self) -> u64;
    /// This cell for NaN; it has to be one that a number of this type could have.
    fn cell_or(self, missing: u64) -> u64;
    fn node(threshold: u64, slot: u8, child: u8) -> Self::Node;
    /// The place of the child: the first, or the one after it if the slot's cell is above the threshold.
    fn down(node: Self::Node, cells: &[u64; SLOTS]) -> usize;
}

impl Ordered for f32 {
    /// The threshold's cell, and in its lower half the slot (8 bits) and the child (8 bits): one load, and
    /// the whole is compared, since what is below the threshold's last bit cannot make it the smaller one.
    type Node = u64;

    const STEP: u64 = 1 << 32;

    fn cell(self) -> u64 {
        u64::from(half_cell(self)) << 32
    }

    fn cell_or(self, missing: u64) -> u64 {
        // Chosen before it is widened: so the compiler does four at a time.
        u64::from(if self.is_nan() { (missing >> 32) as u32 } else { half_cell(self) }) << 32
    }

    fn node(threshold: u64, slot: u8, child: u8) -> u64 {
        threshold | u64::from(child) << 8 | u64::from(slot)
    }

    fn down(node: u64, cells: &[u64; SLOTS]) -> usize {
        let [slot, child, ..] = node.to_le_bytes();
        usize::from(child) + usize::from(node < cells[usize::from(slot)])
    }
}

fn half_cell(number: f32) -> u32 {
    // Adding zero makes one zero of both.
    let bits = (number + 0.0).to_bits();
    let negative = (bits.cast_signed() >> 31).cast_unsigned();
    bits ^ (negative | 1 << 31)
}

/// A node of `f64`.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super::super) struct Wide {
    threshold: u64,
    slot: u8,
    child: u8,
}

impl Ordered for f64 {
    type Node = Wide;

    const STEP: u64 = 1;

    fn cell(self) -> u64 {
        let bits = (self + 0.0).to_bits();
        let negative = (bits.cast_signed() >> 63).cast_unsigned();
        bits ^ (negative | 1 << 63)
    }

    fn cell_or(self, missing: u64) -> u64 {
        if self.is_nan() { missing } else { self.cell() }
    }

    fn node(threshold: u64, slot: u8, child: u8) -> Wide {
        Wide { threshold, slot, child }
    }

    fn down(node: Wide, cells: &[u64; SLOTS]) -> usize {
        usize::from(node.child) + usize::from(node.threshold < cells[usize::from(node.slot)])
    }
}
