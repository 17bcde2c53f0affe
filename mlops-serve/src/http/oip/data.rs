//! The `data` of one tensor: JSON text, flat or nested like the shape, into typed values.

use super::{
    Limits,
    elements::{Bools, Number, Numbers, Sink, Texts, Token},
    marks::{self, NonFinite},
};
use mlops_core::{
    Error, Result,
    arrow::buffer::{Buffer, NullBuffer},
    signature::TensorSpec,
    tensor::{DType, Element, Tensor},
};

/// What is known of a tensor before its elements are read.
pub(super) struct Plan<'a> {
    /// What the model declares under this name.
    pub(super) spec: &'a TensorSpec,
    /// What the request says; BYTES is text where the model wants text.
    pub(super) dtype: DType,
    pub(super) shape: &'a [usize],
    /// The product of the axes, checked.
    pub(super) count: usize,
    /// The parameter of this name.
    pub(super) non_finite: Option<String>,
}

/// Reads `json`, a valid JSON value; the error is about this tensor and does not name it.
pub(super) fn read(json: &str, plan: &Plan<'_>, limits: &Limits) -> Result<Tensor> {
    let non_finite = marks::parse_non_finite(plan.non_finite.as_deref().unwrap_or_default())?;
    if !plan.dtype.is_float() && !non_finite.is_empty() {
        let dtype = plan.dtype.oip_name();
        return Err(Error::invalid(format!("datatype {dtype} has no \"non_finite\" elements")));
    }
    match plan.dtype {
        DType::Bool => bools(json, plan),
        DType::U8 => integers::<u8>(json, plan),
        DType::U16 => integers::<u16>(json, plan),
        DType::U32 => integers::<u32>(json, plan),
        DType::U64 => integers::<u64>(json, plan),
        DType::I8 => integers::<i8>(json, plan),
        DType::I16 => integers::<i16>(json, plan),
        DType::I32 => integers::<i32>(json, plan),
        DType::I64 => integers::<i64>(json, plan),
        DType::F16 => {
            let (values, nulls) = floats(json, plan, &non_finite, half::f16::from_f64)?;
            with_nulls(Tensor::from_vec(plan.shape, values)?, &nulls, plan)
        }
        DType::BF16 => {
            let (values, nulls) = floats(json, plan, &non_finite, half::bf16::from_f64)?;
            let bits: Vec<u16> = values.into_iter().map(half::bf16::to_bits).collect();
            let tensor = Tensor::from_buffer(DType::BF16, plan.shape, Buffer::from_vec(bits))?;
            with_nulls(tensor, &nulls, plan)
        }
        DType::F32 => {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "NaN and infinities stay what they are"
            )]
            let (values, nulls) = floats(json, plan, &non_finite, |value| value as f32)?;
            with_nulls(Tensor::from_vec(plan.shape, values)?, &nulls, plan)
        }
        DType::F64 => {
            let (values, nulls) = floats(json, plan, &non_finite, |value| value)?;
            with_nulls(Tensor::from_vec(plan.shape, values)?, &nulls, plan)
        }
        DType::Utf8 | DType::Bytes => texts(json, plan, limits),
        other => Err(Error::unsupported(format!("datatype {} in JSON", other.oip_name()))),
    }
}

fn bools(json: &str, plan: &Plan<'_>) -> Result<Tensor> {
    let mut sink = Bools { values: Vec::with_capacity(room(json, plan)), nulls: Vec::new() };
    walk(json, plan, &mut sink)?;
    with_nulls(Tensor::from_bools(plan.shape, &sink.values)?, &sink.nulls, plan)
}

fn integers<T: Number + Element>(json: &str, plan: &Plan<'_>) -> Result<Tensor> {
    let mut sink = Numbers::<T>::with_capacity(room(json, plan));
    walk(json, plan, &mut sink)?;
    with_nulls(Tensor::from_vec(plan.shape, sink.values)?, &sink.nulls, plan)
}

/// Floats and the positions of what is still null once the non-finite ones are put in.
fn floats<T: Number>(
    json: &str,
    plan: &Plan<'_>,
    non_finite: &[(usize, NonFinite)],
    convert: impl Fn(f64) -> T,
) -> Result<(Vec<T>, Vec<usize>)> {
    let mut sink = Numbers::<T>::with_capacity(room(json, plan));
    walk(json, plan, &mut sink)?;
    let (mut values, mut nulls) = (sink.values, sink.nulls);
    let mut listed = Vec::with_capacity(non_finite.len());
    for (at, kind) in non_finite {
        // Nulls were met in order.
        if nulls.binary_search(at).is_err() {
            return Err(Error::invalid(format!(
                "parameter \"non_finite\" lists element {at}, which is not null"
            )));
        }
        values[*at] = convert(kind.value());
        listed.push(*at);
    }
    listed.sort_unstable();
    nulls.retain(|at| listed.binary_search(at).is_err());
    Ok((values, nulls))
}

fn texts(json: &str, plan: &Plan<'_>, limits: &Limits) -> Result<Tensor> {
    let (values, nulls) = (Vec::with_capacity(room(json, plan)), Vec::new());
    let mut sink = Texts { values, nulls, max_bytes: limits.max_string_bytes };
    walk(json, plan, &mut sink)?;
    let tensor = if plan.dtype == DType::Utf8 {
        Tensor::from_strs(plan.shape, &sink.values)?
    } else {
        let bytes: Vec<&[u8]> = sink.values.iter().map(|value| value.as_bytes()).collect();
        Tensor::from_byte_strings(plan.shape, &bytes)?
    };
    with_nulls(tensor, &sink.nulls, plan)
}

/// Room for the elements: what the shape promises, but no more than the text can hold.
fn room(json: &str, plan: &Plan<'_>) -> usize {
    plan.count.min(json.len() / 2 + 1)
}

/// Flags nulls if the model takes them; in a float tensor they are NaN already.
pub(super) fn with_nulls(tensor: Tensor, nulls: &[usize], plan: &Plan<'_>) -> Result<Tensor> {
    let Some(first) = nulls.first() else { return Ok(tensor) };
    if !plan.spec.nullable {
        if plan.dtype.is_float() {
            return Ok(tensor);
        }
        return Err(Error::invalid(format!(
            "element {first} is null, and the model takes no nulls"
        )));
    }
    let mut valid = vec![true; tensor.len()];
    for &at in nulls {
        let flag = valid.get_mut(at);
        *flag.ok_or_else(|| Error::invalid(format!("there is no element {at} to be null")))? =
            false;
    }
    tensor.with_nulls(Some(NullBuffer::from(valid)))
}

/// Hands every element to the sink, in order; checks the arrays against the shape.
fn walk<'a>(json: &'a str, plan: &Plan<'a>, sink: &mut impl Sink<'a>) -> Result<()> {
    let mut walker = Walker { text: json, at: 0, taken: 0, shape: plan.shape };
    walker.skip_space();
    if walker.peek() != Some(b'[') {
        return Err(Error::invalid("\"data\" is not an array"));
    }
    if walker.is_nested() && plan.shape.len() > 1 {
        walker.array(plan.shape, sink)
    } else {
        walker.array(&[plan.count], sink)
    }
}

struct Walker<'a> {
    text: &'a str,
    at: usize,
    taken: usize,
    shape: &'a [usize],
}

impl<'a> Walker<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Whether the array that starts here holds an array first.
    fn is_nested(&self) -> bool {
        let mut ahead = Walker { ..*self };
        ahead.at += 1;
        ahead.skip_space();
        ahead.peek() == Some(b'[')
    }

    /// Reads the array that starts here. The recursion is as deep as the shape, which is bounded.
    fn array(&mut self, axes: &[usize], sink: &mut impl Sink<'a>) -> Result<()> {
        let (wanted, inner) =
            axes.split_first().map_or((1, &[][..]), |(first, rest)| (*first, rest));
        self.at += 1;
        let mut found = 0;
        loop {
            self.skip_space();
            match self.peek() {
                Some(b']') => break,
                Some(b',') => self.at += 1,
                None => return Err(Error::invalid("\"data\" is cut off")),
                Some(_) if found == wanted => return Err(self.misfit(wanted, "more", inner)),
                Some(b'[') if inner.is_empty() => {
                    return Err(self.element(&Error::invalid("is an array, deeper than the shape")));
                }
                Some(b'[') => {
                    self.array(inner, sink)?;
                    found += 1;
                }
                Some(_) if !inner.is_empty() => {
                    return Err(Error::invalid(format!(
                        "\"data\" mixes arrays and elements; shape {:?} wants it flat or fully nested",
                        self.shape
                    )));
                }
                Some(first) => {
                    let token = self.token(first)?;
                    sink.take(token).map_err(|error| self.element(&error))?;
                    (self.taken, found) = (self.taken + 1, found + 1);
                }
            }
        }
        self.at += 1;
        if found == wanted { Ok(()) } else { Err(self.misfit(wanted, &found.to_string(), inner)) }
    }

    fn token(&mut self, first: u8) -> Result<Token<'a>> {
        let rest = &self.text[self.at..];
        let end = if first == b'"' {
            closing_quote(rest.as_bytes())
        } else {
            rest.bytes().position(|byte| matches!(byte, b',' | b']' | b' ' | b'\t' | b'\n' | b'\r'))
        };
        let cut_off = || Error::invalid("\"data\" is cut off");
        let token = end.and_then(|end| rest.get(..end)).ok_or_else(cut_off)?;
        self.at += token.len();
        Ok(match first {
            b'"' => Token::Text(token),
            b'n' => Token::Null,
            b't' => Token::Bool(true),
            b'f' => Token::Bool(false),
            b'{' => Token::Object,
            _ => Token::Number(token),
        })
    }

    fn element(&self, error: &Error) -> Error {
        Error::new(error.kind(), format!("element {} {}", self.taken, error.message()))
    }

    fn misfit(&self, wanted: usize, found: &str, inner: &[usize]) -> Error {
        let shape = self.shape;
        let what = if inner.is_empty() { "elements" } else { "arrays" };
        Error::invalid(format!("\"data\" has {found} {what} where shape {shape:?} wants {wanted}"))
    }
}

/// The length of the string at the start, with both quotes.
pub(in super::super) fn closing_quote(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let closes = |&byte: &u8| {
        let closing = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        closing
    };
    text.iter().skip(1).position(closes).map(|at| at + 2)
}
