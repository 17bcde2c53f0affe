//! Behaviour of a loaded encoder, and its way through a package.

use super::{apart, copy, data, embed, inputs, small, texts};
use mlops_core::{
    ErrorKind,
    arrow::buffer::NullBuffer,
    conformance::predictor::Subject,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    Engine, InferOptions, LoadOptions, LocalConfig, LocalPredictor, Stop,
    engines::candle::{CandleEngine, encoder_package},
    load_package,
};
use std::sync::Arc;

fn subject(local: &LocalConfig) -> Subject {
    let predictor = LocalPredictor::open("small", "1", small(), local).unwrap();
    Subject::new(predictor, inputs(&["hello world", "", "the quick fox"]))
}

mlops_core::predictor_conformance!(
    encoder_inline,
    subject(
        &LocalConfig::default()
            .with_inline_limit(std::time::Duration::from_secs(1))
            .with_warm_up_rows(4)
    )
);
mlops_core::predictor_conformance!(
    encoder_threaded,
    subject(&LocalConfig::default().with_warm_up_rows(0))
);

#[test]
fn a_text_has_the_same_bits_alone_among_others_and_on_any_number_of_threads() {
    let texts = texts();
    let together = embed(&*small(), &texts);
    let one_thread = CandleEngine::new().with_threads(1);
    let one_thread = one_thread.load_encoder(data().join("small"), &LoadOptions::default());
    let one_thread = one_thread.unwrap();
    for (text, row) in texts.iter().zip(together.chunks(32)) {
        assert_eq!(embed(&*one_thread, &[text]), row, "{text:?}");
    }
    let turned: Vec<_> = texts.iter().rev().collect();
    let rows: Vec<f32> = together.chunks(32).rev().flatten().copied().collect();
    assert_eq!(embed(&*small(), &turned), rows);
}

#[test]
fn padded_texts_are_near_what_they_are_alone() {
    let engine = CandleEngine::new().with_threads(2).with_padded_rows(16);
    let padded = engine.load_encoder(data().join("small"), &LoadOptions::default()).unwrap();
    let far = apart(&embed(&*padded, &texts()), &embed(&*small(), &texts()));
    assert!(far < 2e-6, "{far}");
}

#[test]
fn no_texts_give_no_embeddings() {
    let outputs = small().run(&inputs::<&str>(&[]), &InferOptions::new(&Stop::new())).unwrap();
    assert_eq!(outputs.require("embedding").unwrap().shape(), [0, 32]);
}

#[test]
fn what_cannot_be_embedded_is_named() {
    let folder = copy();
    let engine = CandleEngine::new().with_max_text_bytes(100);
    let session = engine.load_encoder(folder.path(), &LoadOptions::default()).unwrap();
    let run = |inputs: &Tensors, stop: &Stop| {
        let error = session.run(inputs, &InferOptions::new(stop)).unwrap_err();
        (error.kind(), error.to_string())
    };
    let (kind, said) = run(&inputs(&["ok", &"secret ".repeat(15)]), &Stop::new());
    assert_eq!(kind, ErrorKind::TooLarge);
    assert!(said.contains("row 1 of input \"text\"") && !said.contains("secret"), "{said}");

    let null = Tensor::from_strs([2], &["a", "b"]).unwrap();
    let null = null.with_nulls(Some(NullBuffer::from(vec![true, false]))).unwrap();
    let (kind, said) = run(&Tensors::one("text", null), &Stop::new());
    assert!(kind == ErrorKind::InvalidInput && said.contains("\"text\" holds nulls"), "{said}");
    let numbers = Tensors::one("text", Tensor::from_vec([1], vec![1.0_f32]).unwrap());
    assert_eq!(run(&numbers, &Stop::new()).0, ErrorKind::InvalidInput);

    let stop = Stop::new();
    stop.stop();
    assert_eq!(run(&inputs(&["ok"]), &stop).0, ErrorKind::Cancelled);

    let tight = LoadOptions::default().with_max_working_bytes(1000);
    let session = CandleEngine::new().load_encoder(folder.path(), &tight).unwrap();
    let error = session.run(&inputs(&["ok"]), &InferOptions::new(&Stop::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let small = LoadOptions::default().with_max_model_bytes(50_000);
    let error = CandleEngine::new().load_encoder(folder.path(), &small).unwrap_err();
    assert!(error.kind() == ErrorKind::TooLarge && error.to_string().contains("model.safetensors"));
}

#[test]
fn a_package_of_it_answers_with_the_same_bits() {
    let place = tempfile::tempdir().unwrap();
    let package = encoder_package(data().join("small"), &LoadOptions::default()).unwrap();
    let package = package.write(place.path().join("model")).unwrap();
    assert_eq!(package.signature().unwrap().inputs[0].to_string(), "text: str[-1]");
    let engines: Vec<Arc<dyn Engine>> = vec![Arc::new(CandleEngine::new().with_threads(2))];
    let session = load_package(&package, &engines, &LoadOptions::default()).unwrap();
    assert_eq!(session.info().signature, *package.signature().unwrap());
    assert_eq!(embed(&*session, &texts()), embed(&*small(), &texts()));
}
