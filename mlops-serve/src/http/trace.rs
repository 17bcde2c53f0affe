//! Whose trace a request belongs to: the header `traceparent` of W3C's Trace Context.

use axum::http::{HeaderMap, HeaderName};
use tracing::Span;

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// A span that carries the caller's trace, for a request that belongs to one. It is of the level of
/// errors, so that whatever is logged of a request can be found by its trace.
pub(crate) fn span(headers: &HeaderMap) -> Option<Span> {
    let caller = Caller::parse(headers.get(TRACEPARENT)?.to_str().ok()?)?;
    let Caller { trace_id, parent_id, is_sampled } = caller;
    Some(tracing::error_span!("request", trace_id, parent_id, is_sampled))
}

/// The fields of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Caller<'a> {
    trace_id: &'a str,
    parent_id: &'a str,
    is_sampled: bool,
}

impl<'a> Caller<'a> {
    /// `None` for what the specification says is to be treated as absent.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let mut hex = |length: usize| {
            let part = parts.next()?;
            let is_hex = part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            (part.len() == length && is_hex).then_some(part)
        };
        let version = hex(2)?;
        let (trace_id, parent_id, flags) = (hex(32)?, hex(16)?, hex(2)?);
        let more = parts.next().is_some();
        let is_zero = |id: &str| id.bytes().all(|byte| byte == b'0');
        // Later versions may have more parts; this one has not.
        if version == "ff" || (version == "00" && more) || is_zero(trace_id) || is_zero(parent_id) {
            return None;
        }
        let is_sampled = u8::from_str_radix(flags, 16).ok()? & 1 == 1;
        Some(Self { trace_id, parent_id, is_sampled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_specification() {
        let (trace_id, parent_id) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
        let parent =
            |version: &str, flags: &str| format!("{version}-{trace_id}-{parent_id}-{flags}");
        let sampled = Caller { trace_id, parent_id, is_sampled: true };
        assert_eq!(Caller::parse(&parent("00", "01")), Some(sampled));
        let other = Caller { is_sampled: false, ..sampled };
        assert_eq!(Caller::parse(&parent("00", "00")), Some(other));
        // A later version is read as far as it is known.
        assert_eq!(Caller::parse(&parent("cc", "01-what-the-future-brings")), Some(sampled));
        let zeros = |at: usize| {
            parent("00", "01").replacen([trace_id, parent_id][at], &"0".repeat([32, 16][at]), 1)
        };
        for wrong in [
            parent("ff", "01"),
            parent("00", "01-more"),
            parent("00", "1"),
            parent("00", "01").to_uppercase(),
            zeros(0),
            zeros(1),
            String::new(),
            "00-é".to_owned(),
        ] {
            assert_eq!(Caller::parse(&wrong), None, "{wrong:?}");
        }
    }
}
