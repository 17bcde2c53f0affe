//! Texts to the numbers of their words.

use super::config::{BertConfig, TextConfig};
use mlops_core::{Error, Result};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tokenizers::{
    PostProcessor, Tokenizer, TruncationDirection, TruncationParams, TruncationStrategy,
};

/// What the parts of a `tokenizer.json` may be: those of BERT, whose code bears any text.
const KNOWN: [(&str, &[&str]); 4] = [
    ("model", &["WordPiece"]),
    (
        "normalizer",
        &["BertNormalizer", "Lowercase", "StripAccents", "NFC", "NFD", "NFKC", "NFKD", "Sequence"],
    ),
    ("pre_tokenizer", &["BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Sequence"]),
    ("post_processor", &["TemplateProcessing", "BertProcessing"]),
];

/// A vocabulary and how texts are cut into its words.
pub(super) struct Words {
    tokenizer: Tokenizer,
    lower_case: bool,
    max_text_bytes: usize,
    vocabulary: usize,
    types: usize,
}

/// The words of one text; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sentence {
    /// Positions in the vocabulary.
    pub(super) ids: Vec<u32>,
    /// Which of two texts a word is of; here always the first.
    pub(super) types: Vec<u32>,
}

impl Words {
    /// Reads a `tokenizer.json`; cuts texts after `most` words, or what the model can take.
    pub(super) fn from_json(
        json: &[u8],
        text: &TextConfig,
        config: &BertConfig,
        max_text_bytes: usize,
    ) -> Result<Self> {
        // Its own code may panic on what nobody would write; that is no reason to end a host.
        let made =
            catch_unwind(AssertUnwindSafe(|| Self::made(json, text, config, max_text_bytes)));
        made.unwrap_or_else(|_| Err(Error::invalid("it makes no sense")))
    }

    fn made(
        json: &[u8],
        text: &TextConfig,
        config: &BertConfig,
        max_text_bytes: usize,
    ) -> Result<Self> {
        let most = text.max_seq_length.unwrap_or(usize::MAX).min(config.max_position_embeddings);
        let tokenizer = tokenizer(json, most)?;
        let largest = tokenizer.get_vocab(true).into_values().max();
        let (vocabulary, types) = (config.vocab_size, config.type_vocab_size);
        if largest.is_none_or(|largest| largest as usize >= vocabulary) {
            let message = format!("it has words beyond the {vocabulary} that the model knows");
            return Err(Error::invalid(message));
        }
        let words =
            Self { tokenizer, lower_case: text.do_lower_case, max_text_bytes, vocabulary, types };
        // What is put around every text is around none, too.
        words.of("")?;
        Ok(words)
    }

    /// The words of a text, cut to the most that the model takes.
    pub(super) fn of(&self, text: &str) -> Result<Sentence> {
        if text.len() > self.max_text_bytes {
            let (bytes, most) = (text.len(), self.max_text_bytes);
            return Err(Error::too_large(format!("the text has {bytes} bytes, over {most}")));
        }
        let encoded = if self.lower_case {
            self.tokenizer.encode_fast(text.to_lowercase(), true)
        } else {
            self.tokenizer.encode_fast(text, true)
        };
        let encoded = encoded.map_err(|cause| {
            // Its message may quote the text.
            Error::invalid("the text cannot be cut into words").with_source(cause)
        })?;
        let (ids, types) = (encoded.get_ids().to_vec(), encoded.get_type_ids().to_vec());
        let fits = |all: &[u32], count: usize| all.iter().all(|one| (*one as usize) < count);
        if ids.is_empty() || !fits(&ids, self.vocabulary) || !fits(&types, self.types) {
            return Err(Error::invalid("the vocabulary gives words that the model does not know"));
        }
        Ok(Sentence { ids, types })
    }
}

fn tokenizer(json: &[u8], most: usize) -> Result<Tokenizer> {
    let mut parts: Value = serde_json::from_slice(json)
        .map_err(|cause| Error::invalid(cause.to_string()).with_source(cause))?;
    check_kinds(&parts)?;
    check_template(&parts["post_processor"])?;
    // How its own texts were cut and filled is decided anew; nothing is ever turned back to text.
    for name in ["truncation", "padding", "decoder"] {
        parts[name] = Value::Null;
    }
    let mut tokenizer: Tokenizer = serde_json::from_value(parts)
        .map_err(|cause| Error::invalid(cause.to_string()).with_source(cause))?;
    let added = tokenizer.get_post_processor().map_or(0, |around| around.added_tokens(false));
    if most <= added {
        return Err(Error::invalid(format!("texts of {most} words leave no room for any")));
    }
    let cut = TruncationParams {
        direction: TruncationDirection::Right,
        max_length: most,
        strategy: TruncationStrategy::LongestFirst,
        stride: 0,
    };
    tokenizer
        .with_truncation(Some(cut))
        .map_err(|cause| Error::invalid("texts cannot be cut").with_source(cause))?;
    Ok(tokenizer)
}

/// Looks before anything foreign is built: other kinds have tables whose code trusts them.
fn check_kinds(parts: &Value) -> Result<()> {
    if !parts.is_object() {
        return Err(Error::invalid("it is no object"));
    }
    for (part, known) in KNOWN {
        let part_of = &parts[part];
        let within =
            ["normalizers", "pretokenizers"].iter().find_map(|list| part_of[list].as_array());
        for one in within.into_iter().flatten().chain([part_of]) {
            let kind = one["type"].as_str();
            // The oldest files name no type; only the model has one then.
            let is_unnamed = kind.is_none() && (one.is_null() || part == "model");
            if !is_unnamed && !kind.is_some_and(|kind| known.contains(&kind)) {
                let kind = kind.unwrap_or("nameless");
                return Err(Error::unsupported(format!(
                    "its {part} is {kind:?}, not of {known:?}"
                )));
            }
        }
    }
    Ok(())
}

/// What is put around a text must be known: the template's code looks it up and panics else.
fn check_template(around: &Value) -> Result<()> {
    let pieces = ["single", "pair"].iter().filter_map(|list| around[list].as_array()).flatten();
    let mut named = pieces.filter_map(|piece| piece["SpecialToken"]["id"].as_str());
    let known = &around["special_tokens"];
    named.find(|id| known.get(id).is_none()).map_or(Ok(()), |id| {
        Err(Error::invalid(format!(
            "its post_processor puts {id:?} around texts and does not say what it is"
        )))
    })
}
