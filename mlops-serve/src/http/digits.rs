//! A prediction's id as it is written into an answer, without the machinery of formatting.

use mlops_core::PredictionId;

/// The 32 hexadecimal digits that `Display` writes, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits([u8; 32]);

impl Digits {
    pub(crate) fn of(prediction: PredictionId) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; 32];
        let bytes = prediction.as_u128().to_be_bytes();
        for (pair, byte) in digits.chunks_exact_mut(2).zip(bytes) {
            pair[0] = HEX[usize::from(byte >> 4)];
            pair[1] = HEX[usize::from(byte & 15)];
        }
        Self(digits)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_writes_what_display_does() {
        for bits in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210] {
            let id = PredictionId::from_u128(bits);
            assert_eq!(Digits::of(id).as_bytes(), id.to_string().as_bytes());
        }
    }
}
