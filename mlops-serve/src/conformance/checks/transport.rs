//! HTTP below the protocol: paths, methods, connections, bodies.

use super::super::{
    client::http::{Answer, Asked},
    peer::{Peer, encoded, inferred, request},
    verdict::{Check, Unmet, Verdict, ensure, failed, skipped},
};
use futures_util::FutureExt;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::required("http.chunked_body", "RFC 9112 7.1: a recipient must decode it", |peer| {
            chunked(peer).boxed()
        }),
        Check::advised("http.unknown_path_404", "RFC 9110 15.5.5", |peer| unknown(peer).boxed()),
        Check::advised("http.wrong_method_405", "RFC 9110 15.5.6, with Allow", |peer| {
            wrong_method(peer).boxed()
        }),
        Check::advised("http.unknown_model_404", "KServe, Triton: 404", |peer| {
            unknown_model(peer).boxed()
        }),
        Check::advised("http.errors_are_json", "RFC 8259 11: application/json", |peer| {
            errors_are_json(peer).boxed()
        }),
        Check::advised("http.options", "RFC 9110 9.3.7: answered, or refused by name", |peer| {
            options(peer).boxed()
        }),
        Check::advised(
            "http.goes_on_after_an_error",
            "RFC 9112 9.3: connections persist",
            |peer| goes_on(peer).boxed(),
        ),
        Check::advised("http.expect_100_continue", "RFC 9110 10.1.1; curl sends it", |peer| {
            expect(peer).boxed()
        }),
        Check::advised("http.percent_encoded_path", "RFC 3986 6.2.2.2", |peer| {
            percent_encoded(peer).boxed()
        }),
    ]
}

fn infer(peer: &Peer) -> Verdict<Asked> {
    let body = request(&peer.good()?.tensors).to_string();
    Ok(Asked::post(peer.infer_path(), body))
}

async fn chunked(peer: &Peer) -> Verdict {
    inferred(&peer.ask(infer(peer)?.chunked()).await?).map(drop)
}

async fn unknown(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get("/v2/no/such/path")).await?;
    ensure(answer.status == 404, "status 404", || answer.shown())
}

async fn wrong_method(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::get(peer.infer_path())).await?;
    ensure(answer.status == 405, "status 405", || answer.shown())?;
    ensure(answer.header("allow").is_some(), "405 with Allow", || "405 without Allow".to_owned())
}

async fn unknown_model(peer: &Peer) -> Verdict {
    let body = request(&peer.good()?.tensors).to_string();
    let answer = peer.ask(Asked::post("/v2/models/no_such_model/infer", body)).await?;
    ensure(answer.status == 404, "status 404", || answer.shown())
}

async fn errors_are_json(peer: &Peer) -> Verdict {
    let wrong = [
        Asked::post(peer.infer_path(), "{"),
        Asked::get("/v2/models/no_such_model"),
        Asked::get("/v2/no/such/path"),
    ];
    for asked in wrong {
        let answer = peer.ask(asked).await?;
        let form = answer.header("content-type").unwrap_or_default();
        let is_json = form.starts_with("application/json") && answer.error().is_some();
        let seen = || format!("content-type {form:?}: {}", answer.shown());
        ensure(is_json, "{\"error\": text} as application/json", seen)?;
    }
    Ok(())
}

async fn options(peer: &Peer) -> Verdict {
    let answer = peer.ask(Asked::new("OPTIONS", peer.infer_path())).await?;
    ensure(answer.status < 500, "no status 5xx", || answer.shown())
}

fn closes(answer: &Answer) -> bool {
    answer.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
}

async fn goes_on(peer: &Peer) -> Verdict {
    let wrong = Asked::post(peer.infer_path(), "{\"inputs\":");
    let right = infer(peer)?;
    let asked = peer.http.ask_twice(wrong, right).await;
    let (first, second) = asked.map_err(Unmet::Silence)?;
    match second {
        Some(second) => inferred(&second).map(drop),
        None if closes(&first) => Ok(()),
        None => {
            let seen = format!("the connection was closed without a word after {}", first.shown());
            Err(failed("the next answer on the same connection, or Connection: close", seen))
        }
    }
}

async fn expect(peer: &Peer) -> Verdict {
    let answer = peer.ask(infer(peer)?.with_header("expect", "100-continue")).await?;
    inferred(&answer).map(drop)
}

async fn percent_encoded(peer: &Peer) -> Verdict {
    let name = &peer.subject().name;
    let Some(first) = name.bytes().next().filter(u8::is_ascii_alphanumeric) else {
        return Err(skipped("the model's name begins with no ASCII letter"));
    };
    let path = format!("/v2/models/%{first:02X}{}", encoded(&name[1..]));
    let answer = peer.ask(Asked::get(path)).await?;
    ensure(answer.status == 200, "the model that the path means", || answer.shown())
}
