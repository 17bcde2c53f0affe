//! The plainest requests, read in one pass: tensors of floats, flat, and perhaps an id.
//!
//! What most callers send all day. Whatever is not as plain as that, or not right, is nothing here, and read
//! by the general way, which takes more and says what is wrong. So this may give up wherever it likes, but what
//! it takes, it must take as the general way does: a test compares them.

use super::{Limits, numbers::Float, request::element_count};
use mlops_core::{
    predictor::PredictRequest,
    signature::ModelSignature,
    tensor::{DType, Element, Tensor},
};
use std::sync::Arc;

/// The request, if it is a plain one.
pub(super) fn read(
    json: &[u8],
    signature: &ModelSignature,
    limits: &Limits,
) -> Option<PredictRequest> {
    let mut reader = Reader { json, at: 0 };
    let mut request = PredictRequest::default();
    let mut has_inputs = false;
    reader.begin(b'{')?;
    loop {
        match reader.key()? {
            "id" if request.id.is_none() => {
                let id = reader.text().filter(|id| id.len() <= limits.max_name_bytes)?;
                request.id = Some(id.into());
            }
            "inputs" if !has_inputs => {
                has_inputs = true;
                reader.begin(b'[')?;
                loop {
                    if request.inputs.len() == limits.max_inputs {
                        return None;
                    }
                    let (name, tensor) = reader.input(signature, limits)?;
                    request.inputs.push(name, tensor).ok()?;
                    if !reader.goes_on(b']')? {
                        break;
                    }
                }
            }
            _ => return None,
        }
        if !reader.goes_on(b'}')? {
            break;
        }
    }
    reader.skip_space();
    (has_inputs && reader.at == json.len()).then_some(request)
}

struct Reader<'a> {
    json: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.json.get(self.at) {
            self.at += 1;
        }
    }

    fn begin(&mut self, wanted: u8) -> Option<()> {
        self.skip_space();
        let is_there = self.json.get(self.at) == Some(&wanted);
        self.at += 1;
        is_there.then_some(())
    }

    /// Whether a comma follows, and not this end.
    fn goes_on(&mut self, end: u8) -> Option<bool> {
        self.skip_space();
        let next = *self.json.get(self.at)?;
        self.at += 1;
        (next == b',' || next == end).then_some(next == b',')
    }

    fn key(&mut self) -> Option<&'a str> {
        let key = self.text()?;
        self.begin(b':')?;
        Some(key)
    }

    /// A text of printable ASCII without escapes.
    fn text(&mut self) -> Option<&'a str> {
        self.begin(b'"')?;
        let rest = self.json.get(self.at..)?;
        let plain = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
        let length = rest.iter().position(plain)?;
        self.at += length;
        self.begin(b'"')?;
        std::str::from_utf8(&rest[..length]).ok()
    }

    fn input(&mut self, signature: &ModelSignature, limits: &Limits) -> Option<(Arc<str>, Tensor)> {
        let (mut name, mut datatype, mut shape) = (None, None, Shape::default());
        self.begin(b'{')?;
        loop {
            match self.key()? {
                "name" if name.is_none() => {
                    name = self.text().filter(|name| name.len() <= limits.max_name_bytes);
                }
                "datatype" if datatype.is_none() => datatype = Some(self.text()?),
                "shape" if shape.axes == 0 => shape = self.shape(limits)?,
                // Its length and type are known by then, or it is no plain request.
                "data" => break,
                _ => return None,
            }
            if !self.goes_on(b'}')? {
                return None;
            }
        }
        let spec = signature.input(name?)?;
        let shape = shape.axes()?;
        let tensor = match datatype? {
            "FP32" => self.numbers::<f32>(shape, DType::F32, limits)?,
            "FP64" => self.numbers::<f64>(shape, DType::F64, limits)?,
            _ => return None,
        };
        self.begin(b'}')?;
        Some((Arc::clone(&spec.name), tensor))
    }

    fn shape(&mut self, limits: &Limits) -> Option<Shape> {
        let mut shape = Shape::default();
        self.begin(b'[')?;
        loop {
            self.skip_space();
            let rest = &self.json[self.at.min(self.json.len())..];
            let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
            // So few that the number is no more than the type holds; JSON has none like 02.
            let is_number = matches!((digits, rest.first()), (1, _) | (2..=18, Some(b'1'..=b'9')));
            if !is_number || shape.axes == shape.lengths.len().min(limits.max_depth) {
                return None;
            }
            let digit = |length, byte: &u8| length * 10 + usize::from(byte - b'0');
            let length = rest[..digits].iter().fold(0, digit);
            if length > limits.max_elements {
                return None;
            }
            shape.lengths[shape.axes] = length;
            shape.axes += 1;
            self.at += digits;
            if !self.goes_on(b']')? {
                return Some(shape);
            }
        }
    }

    /// An array of so many numbers as the shape says.
    fn numbers<T: Float + Element>(
        &mut self,
        shape: &[usize],
        dtype: DType,
        limits: &Limits,
    ) -> Option<Tensor> {
        let count = element_count(shape, dtype, limits).ok().filter(|&count| count > 0)?;
        let mut values: Vec<T> = Vec::with_capacity(count.min(self.json.len() / 2 + 1));
        self.begin(b'[')?;
        loop {
            self.skip_space();
            let (value, length) = T::read(self.json.get(self.at..)?)?;
            self.at += length;
            values.push(value);
            let goes_on = self.goes_on(b']')?;
            if goes_on != (values.len() < count) {
                return None;
            }
            if !goes_on {
                return Tensor::from_vec(shape, values).ok();
            }
        }
    }
}

/// The axes of a tensor, of which few have more than four.
#[derive(Default)]
struct Shape {
    lengths: [usize; 4],
    axes: usize,
}

impl Shape {
    fn axes(&self) -> Option<&[usize]> {
        (self.axes > 0).then(|| &self.lengths[..self.axes])
    }
}

#[cfg(test)]
mod tests {
    use super::{super::decode_request, *};
    use mlops_core::{arrow::buffer::Buffer, signature::TensorSpec};
    use proptest::prelude::*;

    fn signature() -> ModelSignature {
        let specs = [("x", DType::F32), ("y", DType::F64)];
        let specs = specs.map(|(name, dtype)| TensorSpec::new(name, dtype, [None, Some(2)]));
        ModelSignature::new(specs.to_vec(), Vec::new()).unwrap()
    }

    fn plainly(body: &str) -> Option<PredictRequest> {
        read(body.as_bytes(), &signature(), &Limits::default())
    }

    /// The general way reads it, for a plain request has no other members.
    fn generally(body: &str) -> mlops_core::Result<PredictRequest> {
        let body = body.replacen('{', "{\"others\":{},", 1).into_bytes();
        assert!(read(&body, &signature(), &Limits::default()).is_none());
        let body = Buffer::from_vec(body);
        let decoded = decode_request(&body, None, &signature(), &Limits::default())?;
        assert_eq!(decoded.timeout, None);
        assert_eq!(decoded.forms, super::super::OutputForms::default());
        Ok(decoded.request)
    }

    fn agree(body: &str) {
        let Some(plain) = plainly(body) else { return };
        let general = generally(body).unwrap_or_else(|error| panic!("{body}: {error}"));
        // Every bit, and NaN beside NaN: as it prints.
        assert_eq!(format!("{plain:?}"), format!("{general:?}"), "{body}");
        for ((_, one), (_, other)) in plain.inputs.iter().zip(general.inputs.iter()) {
            assert_eq!(one.as_bytes(), other.as_bytes(), "{body}");
        }
    }

    const GOOD: [&str; 3] = [
        r#"{"inputs":[{"name":"x","shape":[2,2],"datatype":"FP32","data":[1,-2.5e3,0.1,-0]}]}"#,
        r#" {"id":"seven", "inputs" : [ {"shape": [1, 2], "name": "y", "datatype": "FP64", "data": [ 0.1 , 1e-7 ] } ] } "#,
        r#"{"inputs":[{"datatype":"FP32","name":"x","shape":[1,2],"data":[3,4]},
            {"name":"y","shape":[1,2],"datatype":"FP64","data":[5,6]}],"id":""}"#,
    ];

    #[test]
    fn what_most_callers_send_is_plain() {
        for body in GOOD {
            assert!(plainly(body).is_some(), "{body}");
            agree(body);
        }
    }

    #[test]
    fn what_is_not_plain_or_not_right_is_left_to_the_general_way() {
        for (from, to) in [
            ("[1,-2.5e3,0.1,-0]", "[[1,-2.5e3],[0.1,-0]]"),
            ("[1,-2.5e3,0.1,-0]", "[1,-2.5e3,0.1]"),
            ("[1,-2.5e3,0.1,-0]", "[1,-2.5e3,0.1,-0,1]"),
            ("[1,-2.5e3,0.1,-0]", "[1,-2.5e3,0.1,null]"),
            ("[1,-2.5e3,0.1,-0]", "[1,-2.5e3,0.1,1e39]"),
            ("[1,-2.5e3,0.1,-0]", "[1,-2.5e3,0.1,01]"),
            ("[2,2]", "[2,-2]"),
            ("[2,2]", "[0,2]"),
            ("[2,2]", "[02,2]"),
            ("[2,2]", "[]"),
            ("[2,2]", "[99999999999999999999]"),
            ("\"x\"", "\"z\""),
            ("\"x\"", "\"\\u0078\""),
            ("FP32", "INT8"),
            ("\"name\"", "\"data\":[1],\"name\""),
            ("]}]}", "]}]}}"),
            ("]}]}", "]}],\"outputs\":[]}"),
            ("]}]}", ",]}]}"),
            ("]}]}", "]"),
        ] {
            let body = GOOD[0].replace(from, to);
            assert!(plainly(&body).is_none(), "{body}");
        }
    }

    proptest! {
        #[test]
        fn a_mutated_request_is_read_as_the_general_way_reads_it_or_not_at_all(
            which in 0..GOOD.len(), at in any::<prop::sample::Index>(),
            part in r#"[-+0-9.eE"{}\[\],: x]{0,3}"#, cut in 0_usize..3,
        ) {
            let body = GOOD[which];
            let from = at.index(body.len());
            let to = (from + cut).min(body.len());
            agree(&format!("{}{part}{}", &body[..from], &body[to..]));
        }
    }
}
