//! What the JSON files of a sentence encoder's folder say, and what of it is computed here.

use mlops_core::{Error, Result};
use serde::{Deserialize, de::DeserializeOwned};

/// Bounds on what a file may ask for; nothing is allocated by these numbers before weights of such
/// shapes were found.
const MOST_LAYERS: usize = 128;
const WIDEST: usize = 1 << 16;
const MOST_WORDS: usize = 1 << 21;
const MOST_POSITIONS: usize = 1 << 15;
const MOST_TYPES: usize = 1 << 8;

/// `config.json` of a BERT as `transformers` writes it: its shape. What is not named here does not
/// change an answer.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct BertConfig {
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) hidden_act: String,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    is_decoder: bool,
}

/// What a unit between two layers does with its sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activation {
    /// x Φ(x).
    Gelu,
    /// The same by way of a hyperbolic tangent, a little off.
    GeluTanh,
    Relu,
}

impl BertConfig {
    pub(super) fn from_json(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Kind {
            model_type: Option<String>,
        }
        // Other networks have other fields: their kind is the better answer.
        let kind: Kind = json(text)?;
        if let Some(kind) = kind.model_type.filter(|kind| kind != "bert") {
            return Err(unsupported("model_type", &kind, "\"bert\""));
        }
        let config: Self = json(text)?;
        config.check()?;
        Ok(config)
    }

    pub(super) fn activation(&self) -> Result<Activation> {
        match self.hidden_act.as_str() {
            "gelu" => Ok(Activation::Gelu),
            "gelu_new" | "gelu_pytorch_tanh" => Ok(Activation::GeluTanh),
            "relu" => Ok(Activation::Relu),
            other => Err(unsupported("hidden_act", other, "\"gelu\", \"gelu_new\" and \"relu\"")),
        }
    }

    fn check(&self) -> Result<()> {
        let bounded = [
            ("hidden_size", self.hidden_size, WIDEST),
            ("num_hidden_layers", self.num_hidden_layers, MOST_LAYERS),
            ("num_attention_heads", self.num_attention_heads, WIDEST),
            ("intermediate_size", self.intermediate_size, WIDEST),
            ("max_position_embeddings", self.max_position_embeddings, MOST_POSITIONS),
            ("type_vocab_size", self.type_vocab_size, MOST_TYPES),
            ("vocab_size", self.vocab_size, MOST_WORDS),
        ];
        for (name, value, most) in bounded {
            if value == 0 || value > most {
                return Err(Error::invalid(format!("{name} is {value}, not from 1 to {most}")));
            }
        }
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        if !width.is_multiple_of(heads) {
            return Err(Error::invalid(format!("{width} units do not divide into {heads} heads")));
        }
        if !(self.layer_norm_eps > 0.0 && self.layer_norm_eps < 1.0) {
            return Err(Error::invalid("layer_norm_eps is not between 0 and 1"));
        }
        if let Some(kind) = self.position_embedding_type.as_deref().filter(|k| *k != "absolute") {
            return Err(unsupported("position_embedding_type", kind, "\"absolute\""));
        }
        if self.is_decoder {
            return Err(unsupported("is_decoder", "true", "\"false\""));
        }
        self.activation().map(|_| ())
    }
}

/// `modules.json`: what follows on the network, and where each part's files lie.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Modules {
    /// The folder of the network, below that of the encoder; empty if it is the same.
    pub(super) transformer: String,
    /// The folder that says how words become a sentence.
    pub(super) pooling: String,
    /// Whether embeddings have length 1.
    pub(super) normalise: bool,
}

impl Modules {
    pub(super) fn from_json(text: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Module {
            path: String,
            r#type: String,
        }
        let modules: Vec<Module> = json(text)?;
        // The library's classes move between its own modules from release to release.
        let kind = |module: &Module| module.r#type.rsplit('.').next().unwrap_or("").to_owned();
        let kinds: Vec<String> = modules.iter().map(kind).collect();
        let kinds: Vec<&str> = kinds.iter().map(String::as_str).collect();
        let normalise = match kinds[..] {
            ["Transformer", "Pooling"] => false,
            ["Transformer", "Pooling", "Normalize"] => true,
            _ => {
                let known = "a Transformer, a Pooling and perhaps a Normalize";
                return Err(Error::unsupported(format!("it lists {kinds:?}; there are {known}")));
            }
        };
        let path = |at: usize| modules[at].path.clone();
        Ok(Self { transformer: path(0), pooling: path(1), normalise })
    }
}

/// How the words of a text become one embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pooling {
    /// The mean of all words.
    Mean,
    /// The first, which stands for all.
    First,
    /// The largest of each number.
    Max,
}

impl Pooling {
    /// Reads the pooling's own `config.json`, as any release of the library writes it.
    pub(super) fn from_json(text: &[u8], width: usize) -> Result<Self> {
        let fields: serde_json::Map<String, serde_json::Value> = json(text)?;
        for name in ["word_embedding_dimension", "embedding_dimension"] {
            if let Some(other) = fields.get(name).filter(|other| **other != width) {
                return Err(Error::invalid(format!("{name} is {other}, hidden_size {width}")));
            }
        }
        let flag = |(name, value): (&String, &serde_json::Value)| {
            let mode = name.strip_prefix("pooling_mode_").filter(|_| *value == true);
            mode.map(|mode| mode.trim_end_matches("_tokens").trim_end_matches("_token").to_owned())
        };
        let mut modes: Vec<String> = fields.iter().filter_map(flag).collect();
        modes.extend(fields.get("pooling_mode").and_then(|mode| mode.as_str()).map(str::to_owned));
        let modes: Vec<&str> = modes.iter().map(String::as_str).collect();
        match modes[..] {
            ["mean"] => Ok(Self::Mean),
            ["cls"] => Ok(Self::First),
            ["max"] => Ok(Self::Max),
            _ => Err(Error::unsupported(format!(
                "the modes are {modes:?}, not one of mean, cls, max"
            ))),
        }
    }
}

/// What `sentence_bert_config.json` adds: how texts are cut.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TextConfig {
    #[serde(default)]
    pub(super) max_seq_length: Option<usize>,
    #[serde(default)]
    pub(super) do_lower_case: bool,
}

impl TextConfig {
    pub(super) fn from_json(text: &[u8]) -> Result<Self> {
        json(text)
    }
}

/// Refuses a `config_sentence_transformers.json` that puts words before every text.
pub(super) fn check_prompt(text: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Prompts {
        #[serde(default)]
        default_prompt_name: Option<String>,
    }
    match json::<Prompts>(text)?.default_prompt_name {
        None => Ok(()),
        Some(name) => Err(unsupported("default_prompt_name", &name, "\"null\"")),
    }
}

/// The message of `serde_json` names the place and the field; what it quotes is the model's own.
fn json<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text)
        .map_err(|cause| Error::invalid(cause.to_string()).with_source(cause))
}

fn unsupported(field: &str, value: &str, known: &str) -> Error {
    Error::unsupported(format!("{field} is {value:?}; computed are models with {known}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::ErrorKind::{self, InvalidInput, Unsupported};

    const BERT: &str = r#"{"model_type": "bert", "hidden_size": 384, "num_hidden_layers": 6,
        "num_attention_heads": 12, "intermediate_size": 1536, "hidden_act": "gelu",
        "max_position_embeddings": 512, "type_vocab_size": 2, "vocab_size": 30522,
        "layer_norm_eps": 1e-12, "use_cache": true}"#;

    #[test]
    fn shapes_that_are_not_computed_are_named() {
        assert!(BertConfig::from_json(BERT.as_bytes()).is_ok());
        let why = |from: &str, to: &str| {
            let changed = BERT.replace(from, to);
            assert_ne!(changed, BERT);
            let error = BertConfig::from_json(changed.as_bytes()).unwrap_err();
            (error.kind(), error.to_string())
        };
        let cases: [(&str, &str, ErrorKind, &str); 9] = [
            ("\"bert\"", "\"t5\"", Unsupported, "model_type is \"t5\""),
            ("\"gelu\"", "\"swish\"", Unsupported, "hidden_act is \"swish\""),
            ("384", "18446744073709551615", InvalidInput, "hidden_size is 1844"),
            ("30522", "4294967296", InvalidInput, "vocab_size is 4294967296"),
            (": 6", ": 0", InvalidInput, "num_hidden_layers is 0"),
            (": 12,", ": 11,", InvalidInput, "384 units do not divide into 11 heads"),
            ("1e-12", "-1", InvalidInput, "layer_norm_eps"),
            ("\"use_cache\"", "\"is_decoder\"", Unsupported, "is_decoder"),
            ("\"hidden_size\"", "\"dim\"", InvalidInput, "missing field `hidden_size`"),
        ];
        for (from, to, kind, words) in cases {
            let (given, said) = why(from, to);
            assert!(given == kind && said.contains(words), "{from} {given:?} {said}");
        }
        assert!(BertConfig::from_json(b"[[[").is_err());
    }

    #[test]
    fn modules_and_pooling_of_old_and_new_releases_are_read() {
        let module =
            |kind: &str, path: &str| format!(r#"{{"type": "a.b.{kind}", "path": "{path}"}}"#);
        let list = |modules: &[String]| format!("[{}]", modules.join(","));
        let (network, pooling) = (module("Transformer", ""), module("Pooling", "1_Pooling"));
        let dense = module("Dense", "2_Dense");
        let read = |modules: &[String]| Modules::from_json(list(modules).as_bytes());
        let two = read(&[network.clone(), pooling.clone()]).unwrap();
        assert!(!two.normalise && two.pooling == "1_Pooling");
        assert!(
            read(&[network.clone(), pooling.clone(), module("Normalize", "2")]).unwrap().normalise
        );
        assert!(read(&[network, pooling, dense]).unwrap_err().to_string().contains("Dense"));
        assert!(read(&[]).is_err());

        let pooling = |text: &str| Pooling::from_json(text.as_bytes(), 4);
        let old = r#"{"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true, "word_embedding_dimension": 4}"#;
        assert_eq!(pooling(old).unwrap(), Pooling::Mean);
        assert_eq!(
            pooling(&old.replace("false", "true").replacen("mean_tokens\": true", "x\": 0", 1))
                .unwrap(),
            Pooling::First
        );
        assert_eq!(pooling(r#"{"pooling_mode": "max"}"#).unwrap(), Pooling::Max);
        assert!(pooling(r#"{"pooling_mode": "weightedmean"}"#).is_err());
        assert!(pooling(&old.replace('4', "5")).unwrap_err().to_string().contains("hidden_size 4"));
        assert!(pooling(&old.replace("false", "true")).is_err());
    }
}
