//! Types that a field may have.

use crate::tensor::DType;

/// One value of a row, as it stands between a struct and a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Cell<'a> {
    /// None.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A whole number beyond those.
    UInt(u64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
    /// Text.
    Text(&'a str),
    /// Several of single precision.
    F32s(&'a [f32]),
    /// Several of double precision.
    F64s(&'a [f64]),
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Kind {
    /// The type of its elements.
    pub dtype: DType,
    /// Whether it may be none.
    pub optional: bool,
    /// Whether it is a whole row of elements, and how many if all rows have as many.
    pub vector: Option<Option<usize>>,
}

impl Kind {
    /// One element of this type.
    pub const fn one(dtype: DType) -> Self {
        Self { dtype, optional: false, vector: None }
    }

    const fn several(dtype: DType, count: Option<usize>) -> Self {
        Self { dtype, optional: false, vector: Some(count) }
    }
}

/// A type that a field may have.
pub trait Value: Sized {
    /// What it holds.
    fn kind() -> Kind;

    /// Its value.
    fn cell(&self) -> Cell<'_>;

    /// Its value from a cell; `None` if that is of another type.
    fn read(cell: Cell<'_>) -> Option<Self>;
}

macro_rules! integers {
    ($($rust:ty => $dtype:ident, $cell:ident);* $(;)?) => {
        $(impl Value for $rust {
            fn kind() -> Kind {
                Kind::one(DType::$dtype)
            }

            fn cell(&self) -> Cell<'_> {
                Cell::$cell((*self).into())
            }

            fn read(cell: Cell<'_>) -> Option<Self> {
                match cell {
                    Cell::Int(value) => value.try_into().ok(),
                    Cell::UInt(value) => value.try_into().ok(),
                    _ => None,
                }
            }
        })*
    };
}

integers! {
    i8 => I8, Int; i16 => I16, Int; i32 => I32, Int; i64 => I64, Int;
    u8 => U8, UInt; u16 => U16, UInt; u32 => U32, UInt; u64 => U64, UInt;
}

impl Value for f32 {
    fn kind() -> Kind {
        Kind::one(DType::F32)
    }

    fn cell(&self) -> Cell<'_> {
        Cell::F32(*self)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "whole numbers of at most 16 bits come here"
        )]
        match cell {
            Cell::F32(value) => Some(value),
            Cell::Null => Some(Self::NAN),
            Cell::Int(value) => Some(value as Self),
            Cell::UInt(value) => Some(value as Self),
            _ => None,
        }
    }
}

impl Value for f64 {
    fn kind() -> Kind {
        Kind::one(DType::F64)
    }

    fn cell(&self) -> Cell<'_> {
        Cell::F64(*self)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "whole numbers of at most 32 bits come here"
        )]
        match cell {
            Cell::F64(value) => Some(value),
            Cell::F32(value) => Some(value.into()),
            Cell::Null => Some(Self::NAN),
            Cell::Int(value) => Some(value as Self),
            Cell::UInt(value) => Some(value as Self),
            _ => None,
        }
    }
}

impl Value for bool {
    fn kind() -> Kind {
        Kind::one(DType::Bool)
    }

    fn cell(&self) -> Cell<'_> {
        Cell::Bool(*self)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Bool(value) = cell { Some(value) } else { None }
    }
}

impl Value for String {
    fn kind() -> Kind {
        Kind::one(DType::Utf8)
    }

    fn cell(&self) -> Cell<'_> {
        Cell::Text(self)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        if let Cell::Text(value) = cell { Some(value.to_owned()) } else { None }
    }
}

impl<T: Value> Value for Option<T> {
    fn kind() -> Kind {
        Kind { optional: true, ..T::kind() }
    }

    fn cell(&self) -> Cell<'_> {
        self.as_ref().map_or(Cell::Null, T::cell)
    }

    fn read(cell: Cell<'_>) -> Option<Self> {
        if cell == Cell::Null { Some(None) } else { T::read(cell).map(Some) }
    }
}

macro_rules! vectors {
    ($($rust:ty => $dtype:ident, $cell:ident);* $(;)?) => {
        $(impl Value for Vec<$rust> {
            fn kind() -> Kind {
                Kind::several(DType::$dtype, None)
            }

            fn cell(&self) -> Cell<'_> {
                Cell::$cell(self)
            }

            fn read(cell: Cell<'_>) -> Option<Self> {
                if let Cell::$cell(values) = cell { Some(values.to_vec()) } else { None }
            }
        }

        impl<const N: usize> Value for [$rust; N] {
            fn kind() -> Kind {
                Kind::several(DType::$dtype, Some(N))
            }

            fn cell(&self) -> Cell<'_> {
                Cell::$cell(self)
            }

            fn read(cell: Cell<'_>) -> Option<Self> {
                if let Cell::$cell(values) = cell { values.try_into().ok() } else { None }
            }
        })*
    };
}

vectors! { f32 => F32, F32s; f64 => F64, F64s }
