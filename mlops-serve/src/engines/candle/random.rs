//! Randomness that a stored seed names for ever; candle's own cannot be seeded on a processor.

/// `SplitMix64` (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
#[derive(Debug)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Uniform in [-limit, limit).
    #[expect(clippy::cast_precision_loss, reason = "24 bits are what a float holds")]
    pub(super) fn symmetric(&mut self, limit: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1_u32 << 24) as f32;
        (2.0 * unit - 1.0) * limit
    }

    /// Puts these into a random order (Fisher and Yates). The bias of a remainder of 64 bits is
    /// below 2⁻³² for anything that fits in memory as indices of 32 bits.
    pub(super) fn shuffle(&mut self, items: &mut [u32]) {
        for last in (1..items.len()).rev() {
            let other = self.next() % (last as u64 + 1);
            items.swap(last, usize::try_from(other).unwrap_or(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_keeps_every_item_and_floats_stay_within() {
        let mut random = SplitMix64::new(7);
        let mut items: Vec<u32> = (0..1000).collect();
        random.shuffle(&mut items);
        let moved = items.iter().zip(0..).filter(|(item, at)| **item != *at).count();
        assert!(moved > 900);
        items.sort_unstable();
        assert!(items.into_iter().eq(0..1000));
        let floats: Vec<f32> = (0..1000).map(|_| random.symmetric(0.5)).collect();
        assert!(floats.iter().all(|float| (-0.5..0.5).contains(float)));
        assert!(floats.iter().any(|float| *float > 0.45) && floats.iter().any(|f| *f < -0.45));
    }
}
