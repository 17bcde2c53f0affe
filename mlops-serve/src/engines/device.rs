//! Hardware as configurations name it: `cuda:1`.

/// The kind and the number of a device; without a number it is the first. `None` if the number is none.
pub(super) fn kind_and_number(text: &str) -> Option<(&str, u16)> {
    let (kind, number) = text.split_once(':').unwrap_or((text, "0"));
    Some((kind, number.parse().ok()?))
}
