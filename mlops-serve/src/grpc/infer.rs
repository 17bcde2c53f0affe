//! The methods that answer: a message to tensors, the model's answer, tensors to a message.

use super::{
    call::{self, Call},
    config::GrpcConfig,
    frames::{Message, Messages, framed},
    messages::{ModelInferResponse, ModelStreamInferResponse},
    request::InferMessage,
    response,
    service::End,
};
use crate::http::{
    Service,
    body::Share,
    infer::{answer, check_version, off_the_timers},
    oip::Decoded,
};
use axum::body::Bytes;
use futures_util::{
    Stream, StreamExt,
    future::{self, Either},
    stream,
};
use mlops_core::{
    Error, Predictor, Result,
    arrow::buffer::Buffer,
    predictor::{PredictResponse, PredictorInfo},
};
use std::{pin::pin, sync::Arc};

/// `ModelInfer`: the answer's message, and its prediction id.
pub(super) async fn unary(call: &Call, messages: &mut Messages) -> Result<(Bytes, String)> {
    let message = call.in_time(messages.only()).await?;
    let (response, _share) = predict(call, message).await?;
    let prediction = response.prediction.to_string();
    let gzip = call.answers_gzip;
    let written = written(call, response, move |message| framed(&message, gzip)).await?;
    Ok((written, prediction))
}

/// `ModelStreamInfer`: the answers to a stream of requests, in its order.
pub(super) fn many(
    call: Call,
    messages: Messages,
    config: &GrpcConfig,
    end: Option<End>,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let call = Arc::new(call);
    let reader = Arc::clone(&call);
    let asked = stream::unfold(Some(messages), move |messages| {
        let (call, end) = (Arc::clone(&reader), end.clone());
        async move {
            let mut messages = messages?;
            let next = call.in_callers_time(messages.next());
            match unless_ended(end, next).await {
                Ok(None) => None,
                Ok(Some(message)) => Some((Ok(message), Some(messages))),
                // Where the next message would begin is not known.
                Err(error) => {
                    call::count(&call.service, Some(&error));
                    Some((Err(error), None))
                }
            }
        }
    });
    let answered = asked.map(move |message| {
        let call = call.of_stream();
        async move { one(&call, message?).await }
    });
    answered.buffered(config.max_stream_in_flight.max(1))
}

/// The work's value, or that the server ends.
async fn unless_ended<T>(end: Option<End>, work: impl Future<Output = Result<T>>) -> Result<T> {
    let Some(end) = end else { return work.await };
    // The end goes first: a client that never stops sending does not hold it up.
    match future::select(end, pin!(work)).await {
        Either::Left(_) => Err(Error::unavailable("the server ends; ask again")),
        Either::Right((value, _)) => value,
    }
}

/// The answer to one request of a stream; its failure is an answer too.
async fn one(call: &Call, message: Message) -> Result<Bytes> {
    // Short models answer without waiting for anything: others on this thread would wait for the whole stream.
    tokio::task::consume_budget().await;
    let gzip = call.answers_gzip;
    let answered = call::guarded(&call.service, async {
        call.one_more()?;
        let (response, _share) = predict(call, message).await?;
        written(call, response, move |message| {
            let infer_response = Some(message);
            framed(&ModelStreamInferResponse { infer_response, ..Default::default() }, gzip)
        })
        .await
    });
    let answered = answered.await;
    call::count(&call.service, answered.as_ref().err());
    answered.or_else(|error| {
        let error_message = error.message().to_owned();
        framed(&ModelStreamInferResponse { error_message, infer_response: None }, gzip)
    })
}

/// The answer, and the share of memory that its request has until it is written.
async fn predict(call: &Call, message: Message) -> Result<(PredictResponse, Share)> {
    let service = &call.service;
    let Message { bytes, share } = message;
    let Question { name, version, model, info, mut decoded } = read(service, bytes).await?;
    info.check(&decoded.request, service.clock.instant())?;
    let timeout = [decoded.timeout, call.timeout].into_iter().flatten().min();
    let asked = (&mut decoded.request, timeout);
    let response = answer(service, &name, &*model, asked, call.started).await?;
    check_version(&name, version.as_deref(), &response)?;
    Ok((response, share))
}

/// A request, and whom it is for.
struct Question {
    name: String,
    version: Option<String>,
    model: Arc<dyn Predictor>,
    info: Arc<PredictorInfo>,
    decoded: Decoded,
}

async fn read(service: &Arc<Service>, message: Buffer) -> Result<Question> {
    let is_long = message.len() > service.config.max_inline_bytes;
    let service = Arc::clone(service);
    let work = move || {
        let limits = &service.config.limits;
        let parts = InferMessage::read(&message, limits)?;
        let (name, version) = (parts.model().to_owned(), parts.version().map(str::to_owned));
        let model = service.model(&name, version.as_deref())?;
        let info = model.info();
        let decoded = parts.decode(&info.signature, limits)?;
        Ok(Question { name, version, model, info, decoded })
    };
    off_the_timers(is_long, work).await
}

async fn written(
    call: &Call,
    response: PredictResponse,
    write: impl FnOnce(ModelInferResponse) -> Result<Bytes> + Send + 'static,
) -> Result<Bytes> {
    let elements: usize = response.outputs.iter().map(|(_, tensor)| tensor.len()).sum();
    let is_long = elements.saturating_mul(8) > call.service.config.max_inline_bytes;
    off_the_timers(is_long, move || write(response::message(&response)?)).await
}
