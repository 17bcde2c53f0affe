//! No damage to good requests, and no bytes at all, make the service break: each is answered, or is the
//! caller's mistake.

use super::{Server, good, proto::InferTensorContents};
use mlops_serve::http::HttpConfig;
use prost::Message;
use tonic::Code;

/// `SplitMix64`: the same mutations each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) >> 32).unwrap() % bound.max(1)
    }

    /// One to four changes: a bit, an extreme, a byte more or less, a piece cut out or doubled.
    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(4) {
            let at = self.below(bytes.len());
            let piece = at..(at + self.below(16)).min(bytes.len());
            match self.below(6) {
                _ if bytes.is_empty() => return,
                0 => bytes[at] ^= 1 << self.below(8),
                1 => bytes[at] = [0, 1, 0x7f, 0x80, 0xff][self.below(5)],
                2 => bytes[at] = bytes[at].wrapping_add(1),
                3 => drop(bytes.drain(piece)),
                4 => {
                    let copy = bytes[piece].to_vec();
                    bytes.splice(at..at, copy);
                }
                _ => bytes.truncate(at),
            }
        }
    }
}

fn seeds() -> [Vec<u8>; 2] {
    let raw = good();
    let mut typed = good();
    typed.raw_input_contents.clear();
    let x = InferTensorContents { fp32_contents: vec![1.0, 2.0, 3.0, 4.0], ..Default::default() };
    let label = vec![b"a".to_vec(), "é".as_bytes().to_vec()];
    let label = InferTensorContents { bytes_contents: label, ..Default::default() };
    (typed.inputs[0].contents, typed.inputs[1].contents) = (Some(x), Some(label));
    [raw.encode_to_vec(), typed.encode_to_vec()]
}

fn assert_no_fault(code: Code, message: &str, bytes: &[u8]) {
    let allowed = [
        Code::Ok,
        Code::InvalidArgument,
        Code::NotFound,
        Code::ResourceExhausted,
        Code::Unimplemented,
    ];
    assert!(allowed.contains(&code), "{code:?}: {message}, for {bytes:02x?}");
    assert!(code == Code::Ok || !message.is_empty(), "no word for {bytes:02x?}");
}

#[tokio::test]
async fn four_thousand_mutated_messages_break_nothing() {
    let server = Server::start(HttpConfig::default()).await;
    let (mut random, seeds) = (Random(7), seeds());
    let mut answered = 0;
    for count in 0..4000 {
        let mut bytes = seeds[count % 2].clone();
        random.mutate(&mut bytes);
        let framed =
            [&[0], &u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], &bytes].concat();
        let (code, message) = server.raw(&[], framed).await;
        assert_no_fault(code, &message, &bytes);
        answered += usize::from(code == Code::Ok);
    }
    assert!(
        answered > 50,
        "only {answered} of them were still good: the others hide what they test"
    );
    server.still_answers().await;
}

/// The frames around the message too, and what gzip makes of them.
#[tokio::test]
async fn two_thousand_mutated_bodies_break_nothing() {
    let server = Server::start(HttpConfig::default()).await;
    let (mut random, seeds) = (Random(11), seeds());
    for count in 0..2000 {
        let seed = &seeds[count % 2];
        let length = u32::try_from(seed.len()).unwrap();
        let mut body = [&[0], &length.to_be_bytes()[..], seed].concat();
        random.mutate(&mut body);
        let coding: &[(&str, &str)] =
            if count % 3 == 0 { &[("grpc-encoding", "gzip")] } else { &[] };
        let (code, message) = server.raw(coding, body.clone()).await;
        assert_no_fault(code, &message, &body);
    }
    server.still_answers().await;
}

/// The same over a socket, by a client.
#[tokio::test]
async fn five_hundred_mutated_messages_over_a_socket() {
    let server = Server::start(HttpConfig::default()).await;
    let (mut random, seeds) = (Random(13), seeds());
    for count in 0..500 {
        let mut bytes = seeds[count % 2].clone();
        random.mutate(&mut bytes);
        if let Err(status) = server.call("ModelInfer", bytes.clone()).await {
            assert_no_fault(status.code(), status.message(), &bytes);
        }
    }
    server.still_answers().await;
}
