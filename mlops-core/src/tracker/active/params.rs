//! Values of settings.

/// The value of a setting; made from numbers, booleans and text by `into()`.
///
/// ```
/// use mlops_core::tracker::ParamValue;
///
/// let values: [ParamValue; 3] = [64.into(), 1e-3.into(), "adam".into()];
/// assert_eq!(values.map(String::from), ["64", "0.001", "adam"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParamValue(String);

impl From<ParamValue> for String {
    fn from(value: ParamValue) -> Self {
        value.0
    }
}

impl From<String> for ParamValue {
    fn from(text: String) -> Self {
        Self(text)
    }
}

macro_rules! from_display {
    ($($of:ty),*) => {
        $(impl From<$of> for ParamValue {
            fn from(value: $of) -> Self {
                Self(value.to_string())
            }
        })*
    };
}
from_display!(bool, i8, i16, i32, i64, isize, u8, u16, u32, u64, usize, f32, f64, &str);
