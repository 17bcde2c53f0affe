//! Valid bodies with something wrong about them, the same ones for the same seed.

use super::verdict::{Verdict, ensure};
use std::future::Future;

/// What a server did with mutated bodies.
#[derive(Clone, Debug, Default)]
pub(super) struct Mutated {
    sent: usize,
    answered: usize,
    /// Bodies without an answer, and what there was instead.
    silent: Vec<String>,
    /// Bodies that the server calls its own fault.
    faults: Vec<String>,
    /// Bodies that were refused without words.
    wordless: Vec<String>,
    /// Bodies that were refused in words that do not say where the mistake is.
    vague: Vec<String>,
}

/// What a server did with one body.
#[derive(Clone, Debug)]
pub(super) enum Met {
    Answered,
    Refused,
    Wordless(String),
    Vague(String),
    Fault(String),
    Silence(String),
}

impl Mutated {
    /// Sends so many mutations of these bodies in turn; what `ask` says of each is counted.
    pub(super) async fn of<F: Future<Output = Met>>(
        bodies: &[Vec<u8>],
        (count, seed): (usize, u64),
        ask: impl Fn(Vec<u8>) -> F,
    ) -> Self {
        let mut found = Self::default();
        for at in 0..count {
            let stream = seed.wrapping_mul(1_000_003).wrapping_add(at as u64);
            let body = mutate(&bodies[at % bodies.len()], &mut Random(stream));
            found.sent += 1;
            match ask(body).await {
                Met::Answered => found.answered += 1,
                Met::Refused => {}
                Met::Wordless(said) => found.wordless.push(format!("body {at}: {said}")),
                Met::Vague(said) => found.vague.push(format!("body {at}: {said}")),
                Met::Fault(said) => found.faults.push(format!("body {at}: {said}")),
                Met::Silence(said) => {
                    found.silent.push(format!("body {at}: {said}"));
                    // A server that is gone answers none of the others, either.
                    if found.silent.len() == 10 {
                        break;
                    }
                }
            }
        }
        found
    }

    pub(super) fn all_answered(&self) -> Verdict {
        self.none_of(&self.silent, "an answer to every body")
    }

    pub(super) fn no_fault(&self) -> Verdict {
        self.none_of(&self.faults, "the caller's mistakes called that, never the server's fault")
    }

    pub(super) fn all_have_words(&self) -> Verdict {
        self.none_of(&self.wordless, "an error's text for every body that is refused")
    }

    pub(super) fn all_say_where(&self) -> Verdict {
        let vague = self.wordless.iter().chain(&self.vague).cloned().collect::<Vec<_>>();
        self.none_of(&vague, "a field, a tensor or a place in the bytes in every refusal")
    }

    fn none_of(&self, found: &[String], wanted: &str) -> Verdict {
        ensure(found.is_empty(), wanted, || {
            let (count, sent, answered) = (found.len(), self.sent, self.answered);
            format!("{count} of {sent} ({answered} were answered); {}", found[0])
        })
    }
}

/// What the protocol's requests have, and what these have in turn.
const FIELDS: [&str; 27] = [
    "inputs",
    "input",
    "outputs",
    "output",
    "parameters",
    "parameter",
    "name",
    "shape",
    "axis",
    "dimension",
    "rank",
    "datatype",
    "dtype",
    "data",
    "contents",
    "element",
    "elements",
    "id",
    "header",
    "binary_data_size",
    "binary_data",
    "raw_input_contents",
    "model_name",
    "model_version",
    "rows",
    "batch",
    "version",
];
/// What a number behind them makes a place.
const PLACES: [&str; 8] =
    ["byte", "offset", "line", "column", "position", "character", "char", "index"];

/// Whether a refusal's words say where the mistake is: a field of the protocol, a tensor of the model, the
/// model that was asked for, or a place in the bytes.
pub(super) fn says_where<'a>(words: &str, tensors: impl Iterator<Item = &'a str>) -> bool {
    let words = words.to_lowercase().replace('\'', "\"");
    let tokens = words.split(|c: char| !c.is_alphanumeric() && c != '_');
    let tokens: Vec<&str> = tokens.filter(|token| !token.is_empty()).collect();
    let is_place = |two: &[&str]| {
        PLACES.contains(&two[0]) && two[1].starts_with(|first: char| first.is_ascii_digit())
    };
    tokens.iter().any(|token| FIELDS.contains(token))
        || tokens.windows(2).any(is_place)
        || tensors
            .map(str::to_lowercase)
            .any(|name| tokens.contains(&&*name) || words.contains(&format!("\"{name}\"")))
        || words.contains("model \"")
}

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Less than this, which is not zero.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end.max(1) as u64).unwrap_or(0)
    }
}

/// Texts that stand for something in JSON, and numbers at the ends of types.
const WORDS: [&[u8]; 20] = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e400",
    b"-0.0",
    b"18446744073709551616",
    b"9223372036854775807",
    b"4294967295",
    b"NaN",
    b"\"\"",
    b"\"\\ud800\"",
    b"{}",
    b"[]",
    b"[[[[",
    b"\"inputs\"",
    b"\"shape\"",
    b"\"FP64\"",
    b"\xff\xfe",
    b"\x00",
];

/// One to three changes.
fn mutate(body: &[u8], random: &mut Random) -> Vec<u8> {
    let mut body = body.to_vec();
    for _ in 0..=random.below(3) {
        change(&mut body, random);
    }
    body
}

fn change(body: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(body.len());
    let end = (at + 1 + random.below(12)).min(body.len());
    match random.below(7) {
        0 => {
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
        1 => drop(body.drain(at..end)),
        2 => {
            let copy = body[at..end].to_vec();
            body.splice(at..at, copy);
        }
        3 => {
            let word = WORDS[random.below(WORDS.len())];
            body.splice(at..at, word.iter().copied());
        }
        4 => {
            let word = WORDS[random.below(WORDS.len())];
            body.splice(at..end, word.iter().copied());
        }
        5 => body.truncate(at),
        _ => {
            if let Some(byte) = body.get_mut(at) {
                *byte = u8::try_from(random.below(256)).unwrap_or_default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_bodies_and_another_seed_others() {
        let bodies = |seed: u64| -> Vec<Vec<u8>> {
            let body = br#"{"inputs":[{"name":"x","shape":[1],"datatype":"FP32","data":[1]}]}"#;
            (0..50).map(|at| mutate(body, &mut Random(seed * 1000 + at))).collect()
        };
        assert_eq!(bodies(1), bodies(1));
        assert_ne!(bodies(1), bodies(2));
        assert!(mutate(b"", &mut Random(3)).len() < 100);
    }

    #[test]
    fn words_say_where_by_a_field_a_name_or_a_place() {
        let says_where = |words: &str| says_where(words, ["x0", "a b"].into_iter());
        for words in [
            "input \"age\": element 2 is no number",
            "unexpected shape",
            "not valid JSON at line 1 column 20",
            "Invalid value at offset 7",
            "X0 is wrong",
            "'a b' is wrong",
            "there is no model \"risl\"",
        ] {
            assert!(says_where(words), "{words}");
        }
        for words in ["", "bad request", "parse error", "line of thought", "the model 7 failed"] {
            assert!(!says_where(words), "{words}");
        }
    }
}
