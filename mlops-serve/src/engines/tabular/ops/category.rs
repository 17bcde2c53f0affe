//! `CategoryMapper`: one list of texts and one of whole numbers, looked up in either direction.

use super::{
    Build, Lowered,
    encode::{Key, LabelEncoder, Places, Values},
};
use mlops_core::{Result, tensor::DType};

pub(super) fn category_mapper(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, &[DType::Utf8, DType::I64])?;
    let (mut texts, mut wholes) = (build.texts("cats_strings")?, build.ints("cats_int64s")?);
    if texts.len() != wholes.len() {
        let (texts, wholes) = (texts.len(), wholes.len());
        return Err(build.invalid(format!("{texts} cats_strings, {wholes} cats_int64s")));
    }
    let default_text = build.text("default_string")?.unwrap_or_else(|| "_Unused".to_owned());
    let default_whole = build.int("default_int64")?.unwrap_or(-1);
    let (keys, values, output) = if dtype == DType::Utf8 {
        wholes.push(default_whole);
        (texts.into_iter().map(Key::Text).collect(), Values::Wholes(wholes), DType::I64)
    } else {
        texts.push(default_text);
        (wholes.into_iter().map(Key::Whole).collect(), Values::Texts(texts), DType::Utf8)
    };
    // Of a category that is listed twice the last place counts, as in ONNX Runtime.
    let places = Places::new(keys, false);
    Ok(Lowered::new(LabelEncoder { places, values, finds_nan: false }, [output]))
}
