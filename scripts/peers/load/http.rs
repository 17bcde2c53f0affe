//! JSON over HTTP/1.1: one request at a time on a connection.

use super::{Protocol, Result, SUCCESS, Said, Taken};

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
    /// Whether a refusal is an answer.
    takes_refusals: bool,
}

impl Http1 {
    pub(super) fn new(requests: &'static [Vec<u8>], takes_refusals: bool) -> Self {
        Self { requests, takes_refusals }
    }
}

const NOTHING: Taken = Taken { bytes: 0, answers: 0, said: SUCCESS };

impl Protocol for Http1 {
    fn greeting(&self) -> Vec<u8> {
        Vec::new()
    }

    fn ask(&mut self, row: usize, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.requests[row % self.requests.len()]);
    }

    fn take(&mut self, came: &[u8], _: &mut Vec<u8>) -> Result<Taken> {
        let Some(head) = came.windows(4).position(|end| end == b"\r\n\r\n") else {
            return Ok(NOTHING);
        };
        let head = std::str::from_utf8(&came[..head])?;
        let (status, lines) = head.split_once("\r\n").ok_or("an answer without headers")?;
        let length = header(lines, "content-length").ok_or("an answer without a length")?;
        let whole = head.len() + 4 + length.parse::<usize>()?;
        if came.len() < whole {
            return Ok(NOTHING);
        }
        let said = match status.split(' ').nth(1).ok_or("an answer without a status")? {
            "200" => SUCCESS,
            status if self.takes_refusals => {
                Said { status: status.parse()?, retries: header(lines, "retry-after").is_some() }
            }
            _ => {
                let answer = String::from_utf8_lossy(&came[..whole]);
                return Err(format!("an answer is no success: {answer}").into());
            }
        };
        Ok(Taken { bytes: whole, answers: 1, said })
    }
}

fn header<'a>(lines: &'a str, wanted: &str) -> Option<&'a str> {
    lines.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case(wanted).then(|| value.trim())
    })
}
