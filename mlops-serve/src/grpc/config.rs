//! The bounds that only gRPC has; the others are those of HTTP.

/// Bounds of a [`GrpcService`](super::GrpcService) beside those of its
/// [`HttpConfig`](crate::http::HttpConfig).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GrpcConfig {
    /// Requests of one stream that are answered at a time; the next is read when one of them is done.
    pub max_stream_in_flight: usize,
}

impl Default for GrpcConfig {
    /// 8 requests of a stream.
    fn default() -> Self {
        Self { max_stream_in_flight: 8 }
    }
}

impl GrpcConfig {
    /// Requests of one stream that are answered at a time, at least one.
    #[must_use]
    pub fn with_max_stream_in_flight(mut self, requests: usize) -> Self {
        self.max_stream_in_flight = requests.max(1);
        self
    }
}
