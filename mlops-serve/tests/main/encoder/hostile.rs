//! Files that nobody wrote, or that somebody wrote to do harm.

use super::{FILES, copy, data, embed, embeds};
use mlops_core::ErrorKind;
use mlops_serve::{LoadOptions, engines::candle::CandleEngine};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::fs;

/// The error of loading a copy one file of which is changed.
fn refused(file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> (ErrorKind, String) {
    let folder = copy();
    let path = folder.path().join(file);
    fs::write(&path, change(fs::read(&path).unwrap())).unwrap();
    let error = CandleEngine::new().load_encoder(folder.path(), &LoadOptions::default());
    let error = error.expect_err(file);
    (error.kind(), error.to_string())
}

fn with(file: &str, change: impl FnOnce(&mut Value)) -> (ErrorKind, String) {
    refused(file, |bytes| {
        let mut value = serde_json::from_slice(&bytes).unwrap();
        change(&mut value);
        serde_json::to_vec(&value).unwrap()
    })
}

#[track_caller]
fn says((given, said): (ErrorKind, String), kind: ErrorKind, words: &str) {
    assert!(given == kind && said.contains(words), "{given:?}: {said}");
}

#[test]
fn what_does_not_fit_together_is_named() {
    use ErrorKind::{InvalidInput, Unsupported};
    let set = |file: &'static str, field: &'static str, value: Value| {
        with(file, move |config| config[field] = value)
    };
    let config = |field, value| set("config.json", field, value);
    // Far more than any machine has: refused by the weights' shape before anything is made for it.
    says(config("vocab_size", json!(1 << 20)), InvalidInput, "[1048576, 32]");
    says(config("vocab_size", json!(u64::MAX)), InvalidInput, "vocab_size");
    says(config("hidden_size", json!(1 << 16)), InvalidInput, "hidden_size");
    says(config("num_hidden_layers", json!(3)), InvalidInput, "encoder.layer.2.");
    says(config("num_hidden_layers", json!(1)), InvalidInput, "encoder.layer.1.");
    says(config("max_position_embeddings", json!(41)), InvalidInput, "position_embeddings");
    says(config("model_type", json!("roberta")), Unsupported, "roberta");
    says(config("hidden_act", json!("silu")), Unsupported, "hidden_act");
    says(config("position_embedding_type", json!("relative_key")), Unsupported, "relative_key");
    let cut = |most: Value| set("sentence_bert_config.json", "max_seq_length", most);
    says(cut(json!(2)), InvalidInput, "leave no room");
    says(cut(json!(-1)), InvalidInput, "sentence_bert_config.json");

    let words = |field, value| set("tokenizer.json", field, value);
    says(words("model", json!({ "type": "BPE" })), Unsupported, "BPE");
    says(words("model", Value::Null), InvalidInput, "tokenizer.json");
    says(words("pre_tokenizer", json!({ "type": "Split" })), Unsupported, "Split");
    let nested = json!({ "type": "Sequence", "normalizers": [{ "type": "Precompiled" }] });
    says(words("normalizer", nested), Unsupported, "Precompiled");
    let beyond = with("tokenizer.json", |all| all["model"]["vocab"]["beyond"] = json!(4_000_000));
    says(beyond, InvalidInput, "beyond the");
    let around = with("tokenizer.json", |all| {
        all["post_processor"]["special_tokens"]["[CLS]"]["ids"] = json!([4_000_000]);
    });
    says(around, InvalidInput, "the model does not know");
    let nowhere = with("tokenizer.json", |all| {
        all["post_processor"]["special_tokens"].as_object_mut().unwrap().remove("[SEP]");
    });
    says(nowhere, InvalidInput, "puts \"[SEP]\" around texts");

    let pooling = |field, value| set("1_Pooling/config.json", field, value);
    says(pooling("pooling_mode_mean_sqrt_len_tokens", json!(true)), Unsupported, "mean_sqrt_len");
    says(pooling("word_embedding_dimension", json!(31)), InvalidInput, "hidden_size 32");
    for path in ["../../etc", "/etc", "a/../.."] {
        let (kind, said) = with("modules.json", |modules| modules[1]["path"] = json!(path));
        assert!(matches!(kind, InvalidInput | ErrorKind::NotFound), "{path}: {said}");
    }
    says(with("modules.json", |modules| modules[1]["path"] = json!("..")), InvalidInput, "leaves");
}

#[test]
fn what_is_missing_is_named_and_what_need_not_be_there_is_not_missed() {
    for file in FILES {
        let folder = copy();
        fs::remove_file(folder.path().join(file)).unwrap();
        let loaded = CandleEngine::new().load_encoder(folder.path(), &LoadOptions::default());
        if file == "sentence_bert_config.json" {
            // Without it the network's 40 positions are the bound, not 32.
            let session = loaded.unwrap();
            let long = ["fox ".repeat(35), "fox ".repeat(36)];
            let long = embed(&*session, &long);
            assert_ne!(long[..32], long[32..]);
        } else {
            let error = loaded.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
            assert!(error.to_string().contains(file), "{error}");
        }
    }
    let folder = copy();
    fs::write(
        folder.path().join("config_sentence_transformers.json"),
        r#"{"default_prompt_name": "query"}"#,
    )
    .unwrap();
    let error = CandleEngine::new().load_encoder(folder.path(), &LoadOptions::default());
    assert!(error.unwrap_err().to_string().contains("default_prompt_name"));
    assert!(CandleEngine::new().load_encoder(data().join("no"), &LoadOptions::default()).is_err());
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let (kind, said) = refused("model.safetensors", |mut bytes| {
        let end = bytes.len();
        bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
        bytes
    });
    assert!(kind == ErrorKind::InvalidInput && said.contains("not finite"), "{said}");
    says(refused("model.safetensors", |_| Vec::new()), ErrorKind::InvalidInput, "no safetensors");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn damaged_files_are_an_error_or_a_model_but_never_a_panic(
        file in prop::sample::select(FILES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let folder = copy();
        let path = folder.path().join(file);
        let mut bytes = fs::read(&path).unwrap();
        // Of weights the head is what is parsed.
        let most = if file == "model.safetensors" { 4096 } else { bytes.len() };
        for (at, byte) in changes {
            bytes[at.index(most)] = byte;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(bytes.len())));
        fs::write(&path, bytes).unwrap();
        let engine = CandleEngine::new().with_threads(1);
        let loaded = engine.load_encoder(folder.path(), &LoadOptions::default());
        // Where a number of the head moves, other bytes are weights, and may be too large to compute with.
        match loaded.and_then(|session| embeds(&*session, &["the quick fox", ""])) {
            Ok(embeddings) => prop_assert_eq!(embeddings.len(), 64),
            Err(error) => prop_assert!(matches!(
                error.kind(),
                ErrorKind::InvalidInput | ErrorKind::Unsupported | ErrorKind::NotFound
            ), "{}", error),
        }
    }
}
