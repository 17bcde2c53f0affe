//! `ModelInfer` over HTTP/2, with as little of both as a client needs that knows what it sends.
//!
//! The head of every request is the same block of literal headers, so that no table is kept; windows are opened
//! as wide as they go at the start, so that none has to be opened later. Of an answer only its frames are looked
//! at: one that ends without a message is an error, for that is how gRPC says errors.

use super::{Protocol, Result, SUCCESS, Taken};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;
/// The widest window.
const WIDEST: u32 = (1 << 31) - 1;

/// The message of a request for this row, with gRPC's five bytes before it.
pub(super) fn request(model: &str, input: &str, row: &[f32]) -> Vec<u8> {
    let raw: Vec<u8> = row.iter().flat_map(|number| number.to_le_bytes()).collect();
    let mut tensor = Vec::new();
    field(&mut tensor, 1, input.as_bytes());
    field(&mut tensor, 2, b"FP32");
    // Both axes are below 128: a byte each.
    field(&mut tensor, 3, &[1, row.len() as u8]);
    let mut message = Vec::new();
    field(&mut message, 1, model.as_bytes());
    field(&mut message, 5, &tensor);
    field(&mut message, 7, &raw);
    let mut framed = vec![0];
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(&message);
    framed
}

/// A field of bytes, of fewer than 16384.
fn field(message: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    message.push(number << 3 | 2);
    match bytes.len() {
        short @ ..128 => message.push(short as u8),
        long => message.extend_from_slice(&[(long & 0x7f) as u8 | 0x80, (long >> 7) as u8]),
    }
    message.extend_from_slice(bytes);
}

pub(super) struct Http2 {
    requests: &'static [Vec<u8>],
    head: Vec<u8>,
    stream: u32,
    /// Streams of which a message came, and which have not ended.
    spoken: Vec<u32>,
}

impl Http2 {
    pub(super) fn new(address: &str, requests: &'static [Vec<u8>]) -> Self {
        let mut head = Vec::new();
        // `:method: POST` and `:scheme: http` of the static table.
        head.extend_from_slice(&[0x83, 0x86]);
        literal(&mut head, ":path", "/inference.GRPCInferenceService/ModelInfer");
        literal(&mut head, ":authority", address);
        literal(&mut head, "content-type", "application/grpc");
        literal(&mut head, "te", "trailers");
        Self { requests, head, stream: 1, spoken: Vec::new() }
    }
}

/// A header that is put into no table.
fn literal(head: &mut Vec<u8>, name: &str, value: &str) {
    head.push(0);
    for text in [name, value] {
        // All are shorter than 127 bytes.
        head.push(text.len() as u8);
        head.extend_from_slice(text.as_bytes());
    }
}

fn frame(to: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    to.extend_from_slice(&(payload.len() as u32).to_be_bytes()[1..]);
    to.extend_from_slice(&[kind, flags]);
    to.extend_from_slice(&stream.to_be_bytes());
    to.extend_from_slice(payload);
}

impl Protocol for Http2 {
    fn greeting(&self) -> Vec<u8> {
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
        // No table of headers, nothing pushed, wide windows.
        let mut settings = Vec::new();
        for (name, value) in [(1_u16, 0_u32), (2, 0), (4, WIDEST)] {
            settings.extend_from_slice(&name.to_be_bytes());
            settings.extend_from_slice(&value.to_be_bytes());
        }
        frame(&mut bytes, SETTINGS, 0, 0, &settings);
        frame(&mut bytes, WINDOW_UPDATE, 0, 0, &(WIDEST - 65_535).to_be_bytes());
        bytes
    }

    fn ask(&mut self, row: usize, to: &mut Vec<u8>) {
        frame(to, HEADERS, END_HEADERS, self.stream, &self.head);
        frame(to, DATA, END_STREAM, self.stream, &self.requests[row % self.requests.len()]);
        self.stream += 2;
    }

    fn take(&mut self, came: &[u8], to: &mut Vec<u8>) -> Result<Taken> {
        let (mut at, mut ended) = (0, 0);
        while let Some((head, rest)) = came[at..].split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
            let Some(payload) = rest.get(..length) else { break };
            let (kind, flags) = (head[3], head[4]);
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            at += 9 + length;
            match kind {
                SETTINGS if flags & ACK == 0 => frame(to, SETTINGS, ACK, 0, &[]),
                PING if flags & ACK == 0 => frame(to, PING, ACK, 0, payload),
                RESET => return Err(format!("the server reset stream {stream}").into()),
                GOAWAY => return Err("the server ended a connection".into()),
                DATA if length > 5 => self.spoken.push(stream),
                _ => {}
            }
            if matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0 {
                let spoken = self.spoken.iter().position(|spoken| *spoken == stream);
                self.spoken
                    .swap_remove(spoken.ok_or("an answer is no success: it has no message")?);
                ended += 1;
            }
        }
        Ok(Taken { bytes: at, answers: ended, said: SUCCESS })
    }
}
