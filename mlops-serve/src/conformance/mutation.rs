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
const FIELDS: [&str; 18] = [
    "inputs",
    "outputs",
    "parameters",
    "name",
    "shape",
    "datatype",
    "data",
    "contents",
    "id",
    "binary_data_size",
    "binary_data",
    "binary_data_output",
    "raw_input_contents",
    "model_name",
    "model_version",
    "non_finite",
    "nulls",
    "inference-header-content-length",
];
/// What a number behind them makes a place.
const PLACES: [&str; 10] = [
    "byte",
    "offset",
    "line",
    "column",
    "position",
    "character",
    "char",
    "index",
    "input",
    "output",
];
/// What a name in quotes right behind them is the name of.
const NAMED: [&str; 7] = ["input", "output", "tensor", "parameter", "header", "model", "named"];

/// Whether a refusal's words say where the mistake is: a field of the protocol in quotes, a path to one, a tensor of
/// the model, what was asked for by its name in quotes, or a place in the bytes. A word of the protocol in a sentence
/// says nothing: "the data is bad".
pub(super) fn says_where<'a>(words: &str, mut tensors: impl Iterator<Item = &'a str>) -> bool {
    let words = words.to_lowercase();
    let is_bare = |name: &str| !name.is_empty() && !is_word_of_the_protocol(name);
    tokens(&words).collect::<Vec<_>>().windows(2).any(is_place)
        || in_quotes(&words).into_iter().any(|(before, name)| {
            FIELDS.contains(&name)
                || is_path(name)
                || tokens(before).next_back().is_some_and(|noun| NAMED.contains(&noun))
        })
        || words.split([' ', ',', ';']).any(is_path)
        || tensors.any(|name| {
            let name = name.to_lowercase();
            in_quotes(&words).iter().any(|(_, quoted)| *quoted == name)
                || (is_bare(&name) && tokens(&words).any(|token| token == name))
        })
}

fn tokens(words: &str) -> impl DoubleEndedIterator<Item = &str> {
    words.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|token| !token.is_empty())
}

fn is_place(two: &[&str]) -> bool {
    PLACES.contains(&two[0]) && two[1].starts_with(|first: char| first.is_ascii_digit())
}

/// Whether a tensor of this name is named only in quotes: a sentence has the word as well.
fn is_word_of_the_protocol(name: &str) -> bool {
    FIELDS.contains(&name) || PLACES.contains(&name) || NAMED.contains(&name)
}

/// Whether this leads to a field, through others or by a number: `inputs[0].shape`, `$.inputs`, `/inputs/0/data`.
fn is_path(text: &str) -> bool {
    let text = text.trim_end_matches(['.', ':', ')']);
    let has_steps = text.contains(['[', '/', '.']) && !text.starts_with('[');
    let mut steps = text.split(['[', ']', '/', '.', '$']).filter(|step| !step.is_empty());
    let is_step = |step: &str| FIELDS.contains(&step) || step.parse::<usize>().is_ok();
    has_steps && steps.clone().any(|step| FIELDS.contains(&step)) && steps.all(is_step)
}

/// What stands in quotes of any kind, after what stands before it. An apostrophe within a word is none.
fn in_quotes(words: &str) -> Vec<(&str, &str)> {
    let is_inside = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(open) = words[at..].find(['"', '\'', '`']).map(|open| at + open) {
        let quote = &words[open..=open];
        at = open + 1;
        if is_inside(words[..open].chars().next_back()) {
            continue;
        }
        let ends = words[at..].match_indices(quote).map(|(end, _)| at + end);
        let end = ends.into_iter().find(|end| !is_inside(words[end + 1..].chars().next()));
        if let Some(end) = end {
            found.push((&words[..open], &words[at..end]));
            at = end + 1;
        }
    }
    found
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
        let says_where = |words: &str| says_where(words, ["x0", "a b", "data"].into_iter());
        for words in [
            "input \"age\": element 2 is no number",
            "the request has no \"inputs\"",
            "`shape` is not an array",
            "'data' can't be read, it's cut off",
            "not valid JSON at line 1 column 20",
            "Invalid value at offset 7",
            "the name of input 2 is missing",
            "inputs[0].shape is too long",
            "at /inputs/0/datatype: no such type",
            "wrong: $.inputs[1].data",
            "X0 is wrong",
            "'a b' is wrong",
            "unexpected inference input 'in_\u{fffd}int8' for a model",
            "there is no model \"risl\"",
            "Request for unknown model: 'pla-1' is not found",
        ] {
            assert!(says_where(words), "{words}");
        }
        for words in [
            "",
            "bad request",
            "parse error",
            "line of thought",
            "the model 7 failed",
            "the data is bad",
            "invalid input",
            "wrong batch, see the id",
            "unexpected shape. data",
            "isn't valid, doesn't fit the input's shape",
            "it is \"bad\"",
            "input/output error",
            "42 bytes of the body belong to no input",
        ] {
            assert!(!says_where(words), "{words}");
        }
    }
}
