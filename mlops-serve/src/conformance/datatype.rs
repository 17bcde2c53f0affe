//! The protocol's types of elements, and elements as the bytes that both encodings carry.

use half::{bf16, f16};
use serde_json::{Value, json};

/// A type of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Datatype {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Uint64,
    Int8,
    Int16,
    Int32,
    Int64,
    Fp16,
    Bf16,
    Fp32,
    Fp64,
    Bytes,
}

pub(super) const ALL: [(Datatype, &str); 14] = [
    (Datatype::Bool, "BOOL"),
    (Datatype::Uint8, "UINT8"),
    (Datatype::Uint16, "UINT16"),
    (Datatype::Uint32, "UINT32"),
    (Datatype::Uint64, "UINT64"),
    (Datatype::Int8, "INT8"),
    (Datatype::Int16, "INT16"),
    (Datatype::Int32, "INT32"),
    (Datatype::Int64, "INT64"),
    (Datatype::Fp16, "FP16"),
    (Datatype::Bf16, "BF16"),
    (Datatype::Fp32, "FP32"),
    (Datatype::Fp64, "FP64"),
    (Datatype::Bytes, "BYTES"),
];

impl Datatype {
    pub(super) fn of(name: &str) -> Option<Self> {
        ALL.iter().find(|(_, own)| *own == name).map(|(datatype, _)| *datatype)
    }

    pub(super) fn name(self) -> &'static str {
        ALL.iter().find(|(own, _)| *own == self).map_or("BYTES", |(_, name)| *name)
    }

    /// Bytes of an element; none if they differ.
    pub(super) fn size(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    pub(super) fn is_float(self) -> bool {
        matches!(self, Self::Fp16 | Self::Bf16 | Self::Fp32 | Self::Fp64)
    }

    /// Whether the protocol says how its elements stand in JSON.
    pub(super) fn is_in_json(self) -> bool {
        !matches!(self, Self::Fp16 | Self::Bf16)
    }

    /// A harmless element: small, and another one at each of the first places.
    pub(super) fn sample(self, at: usize) -> Value {
        let small = u32::try_from(at % 7).unwrap_or(0);
        match self {
            Self::Bool => json!(small % 2 == 0),
            Self::Bytes => json!(format!("a{small}")),
            _ if self.is_float() => json!(f64::from(small) * 0.25),
            _ => json!(small),
        }
    }

    /// Elements at the ends of the type's range, and such as f64 cannot hold.
    pub(super) fn extremes(self) -> Vec<Value> {
        let signed = |bits: u32| {
            vec![json!(i64::MIN >> (64 - bits)), json!(-1), json!(i64::MAX >> (64 - bits))]
        };
        let unsigned = |bits: u32| vec![json!(0), json!(1), json!(u64::MAX >> (64 - bits))];
        match self {
            Self::Bool => vec![json!(true), json!(false), json!(true)],
            Self::Uint8 => unsigned(8),
            Self::Uint16 => unsigned(16),
            Self::Uint32 => unsigned(32),
            Self::Uint64 => unsigned(64),
            Self::Int8 => signed(8),
            Self::Int16 => signed(16),
            Self::Int32 => signed(32),
            Self::Int64 => signed(64),
            Self::Fp16 | Self::Bf16 => vec![json!(-1.5), json!(0.5), json!(240.0)],
            Self::Fp32 => vec![json!(f64::from(f32::MIN)), json!(1e-45_f64), json!(0.1)],
            Self::Fp64 => vec![json!(f64::MAX), json!(5e-324), json!(0.1)],
            Self::Bytes => vec![json!(""), json!("\"\\\n\u{1}"), json!("é😀")],
        }
    }

    /// Appends an element's bytes, little-endian; text after its length. `None` if it is none of this
    /// type.
    pub(super) fn write(self, value: &Value, into: &mut Vec<u8>) -> Option<()> {
        let float = || if value.is_null() { Some(f64::NAN) } else { value.as_f64() };
        match self {
            Self::Bool => into.push(u8::from(value.as_bool()?)),
            Self::Uint8 => into.push(value.as_u64()?.try_into().ok()?),
            Self::Uint16 => push(into, u16::try_from(value.as_u64()?).ok()?.to_le_bytes()),
            Self::Uint32 => push(into, u32::try_from(value.as_u64()?).ok()?.to_le_bytes()),
            Self::Uint64 => push(into, value.as_u64()?.to_le_bytes()),
            Self::Int8 => push(into, i8::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Self::Int16 => push(into, i16::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Self::Int32 => push(into, i32::try_from(value.as_i64()?).ok()?.to_le_bytes()),
            Self::Int64 => push(into, value.as_i64()?.to_le_bytes()),
            Self::Fp16 => push(into, f16::from_f64(float()?).to_le_bytes()),
            Self::Bf16 => push(into, bf16::from_f64(float()?).to_le_bytes()),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "to the nearest, as a reader would"
            )]
            Self::Fp32 => push(into, (float()? as f32).to_le_bytes()),
            Self::Fp64 => push(into, float()?.to_le_bytes()),
            Self::Bytes => {
                let text = value.as_str()?;
                push(into, u32::try_from(text.len()).ok()?.to_le_bytes());
                into.extend_from_slice(text.as_bytes());
            }
        }
        Some(())
    }
}

fn push<const N: usize>(into: &mut Vec<u8>, bytes: [u8; N]) {
    into.extend_from_slice(&bytes);
}
