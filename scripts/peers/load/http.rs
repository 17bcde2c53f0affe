//! JSON over HTTP/1.1: one request at a time on a connection.

use super::{Protocol, Result};

/// The bytes of a request for this row.
pub(super) fn request(address: &str, path: &str, input: &str, row: &[f32]) -> Vec<u8> {
    let numbers: Vec<String> = row.iter().map(|number| number.to_string()).collect();
    let body = format!(
        "{{\"inputs\":[{{\"name\":\"{input}\",\"shape\":[1,{}],\"datatype\":\"FP32\",\"data\":[{}]}}]}}",
        row.len(),
        numbers.join(",")
    );
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

pub(super) struct Http1 {
    requests: &'static [Vec<u8>],
}

impl Http1 {
    pub(super) fn new(requests: &'static [Vec<u8>]) -> Self {
        Self { requests }
    }
}

impl Protocol for Http1 {
    fn greeting(&self) -> Vec<u8> {
        Vec::new()
    }

    fn ask(&mut self, row: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.requests[row % self.requests.len()]);
    }

    fn take(&mut self, came: &[u8], _: &mut Vec<u8>) -> Result<(usize, usize)> {
        let Some(head) = came.windows(4).position(|end| end == b"\r\n\r\n") else {
            return Ok((0, 0));
        };
        let head = std::str::from_utf8(&came[..head])?;
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>())
        });
        let whole = head.len() + 4 + length.ok_or("an answer without a length")??;
        if came.len() < whole {
            return Ok((0, 0));
        }
        if status.split(' ').nth(1) != Some("200") {
            return Err(format!(
                "an answer is no success: {}",
                String::from_utf8_lossy(&came[..whole])
            )
            .into());
        }
        Ok((whole, 1))
    }
}
