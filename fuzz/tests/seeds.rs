//! Every target bears its seeds, and thousands of mutations of them: a look on stable at what
//! `cargo +nightly fuzz run TARGET` does for hours.

use mlops_fuzz::{TARGETS, seeds};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Mutations of one target, shared by its seeds.
const MUTATIONS: usize = 2_000;
/// Longer seeds are mutated less often, for they take longer to read.
const BYTES: usize = 20_000_000;

/// SplitMix64: the same mutations each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) >> 32).expect("32 bits fit")
    }

    fn below(&mut self, bound: usize) -> usize {
        self.next() % bound.max(1)
    }

    /// One to four changes: a bit, a byte, a word of extremes, a piece cut out, doubled or moved.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let (from, to) = (self.below(bytes.len() + 1), self.below(bytes.len() + 1));
            let piece = from.min(to)..from.max(to).min(from.min(to) + 64);
            match (self.below(7), bytes.get(from).copied()) {
                (0, Some(byte)) => bytes[from] = byte ^ (1 << self.below(8)),
                (1, Some(_)) => bytes[from] = [0, 1, 0x7f, 0x80, 0xff, b'"'][self.below(6)],
                (2, Some(byte)) => bytes[from] = byte.wrapping_add(1),
                (3, _) => bytes.truncate(from),
                (4, _) => drop(bytes.drain(piece)),
                (5, _) => {
                    let copy = bytes[piece.clone()].to_vec();
                    bytes.splice(piece.start..piece.start, copy);
                }
                _ => {
                    let end = (from + 8).min(bytes.len());
                    bytes[from..end].fill([0, 0xff][self.below(2)]);
                }
            }
        }
    }
}

#[test]
fn targets_bear_their_seeds_and_mutations_of_them() {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        let mut random = Random(7);
        let bear = |bytes: &[u8]| {
            let bore = catch_unwind(AssertUnwindSafe(|| target(bytes)));
            let shown = &bytes[..bytes.len().min(4096)];
            assert!(bore.is_ok(), "{name} panicked on {} bytes: {}", bytes.len(), hex(shown));
        };
        let mut count = 0;
        for seed in &seeds {
            bear(seed);
            let bytes = BYTES / seeds.len() / seed.len().max(1);
            for _ in 0..(MUTATIONS / seeds.len()).min(bytes) {
                let mut bytes = seed.clone();
                random.mutate(&mut bytes);
                bear(&bytes);
                count += 1;
            }
        }
        println!("{name}: {} seeds, {count} mutations", seeds.len());
    }
}

/// Bytes that have nothing to do with what a target reads.
#[test]
fn targets_bear_what_is_meant_for_others() {
    for (own, target) in TARGETS {
        for (_, other) in TARGETS.iter().map(|(name, _)| (name, seeds(name))) {
            let short = other.iter().filter(|seed| seed.len() < 100_000);
            short.take(3).for_each(|seed| target(seed));
        }
        [b"".as_slice(), b"\0", &[0xff; 64]].into_iter().for_each(target);
        println!("{own}: done");
    }
}
