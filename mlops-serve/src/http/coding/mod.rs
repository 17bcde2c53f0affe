//! Codings of bodies: what `Content-Encoding` says of a request, and `Accept-Encoding` of an answer.

mod reading;
mod writing;

pub(super) use reading::Inflater;
pub(super) use writing::compressed;

use super::refusal::Refusal;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentCoding {
    Gzip,
    /// What HTTP calls deflate: the zlib format around it.
    Deflate,
    #[cfg(feature = "zstd")]
    Zstd,
}

impl ContentCoding {
    /// All that this build takes and gives, the quickest first.
    const ALL: &'static [Self] = &[
        #[cfg(feature = "zstd")]
        Self::Zstd,
        Self::Gzip,
        Self::Deflate,
    ];

    /// The coding of a request's body, if it has one; 415 for any other.
    pub(super) fn of_request(headers: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(first) = values.next() else { return Ok(None) };
        // Twice compressed is once too often.
        if values.next().is_some() {
            return Err(refused("several"));
        }
        let Ok(name) = first.to_str() else { return Err(refused("one that is no text")) };
        match name.trim() {
            name if name.eq_ignore_ascii_case("identity") || name.is_empty() => Ok(None),
            name => Self::named(name).map(Some).ok_or_else(|| refused(&shown(name))),
        }
    }

    /// The coding that a client wants its answer in most, if it wants any.
    pub(super) fn wanted(headers: &HeaderMap) -> Option<Self> {
        let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
        let items = lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(','));
        let mut best: Option<(Self, u16)> = None;
        for (coding, weight) in items.filter_map(weighed) {
            let better = best.is_none_or(|(own, most)| {
                weight > most || (weight == most && coding.place() < own.place())
            });
            if weight > 0 && better {
                best = Some((coding, weight));
            }
        }
        best.map(|(coding, _)| coding)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            #[cfg(feature = "zstd")]
            Self::Zstd => "zstd",
        }
    }

    pub(super) fn header(self) -> HeaderValue {
        HeaderValue::from_static(self.name())
    }

    fn named(name: &str) -> Option<Self> {
        let name = if name.eq_ignore_ascii_case("x-gzip") { "gzip" } else { name };
        Self::ALL.iter().copied().find(|own| own.name().eq_ignore_ascii_case(name))
    }

    fn place(self) -> usize {
        Self::ALL.iter().position(|own| *own == self).unwrap_or(Self::ALL.len())
    }
}

/// One item of `Accept-Encoding`: a coding of ours, and how much it is wanted, in thousandths.
fn weighed(item: &str) -> Option<(ContentCoding, u16)> {
    let (name, rest) = item.split_once(';').unwrap_or((item, ""));
    let coding = ContentCoding::named(name.trim())?;
    let weight = rest.trim().strip_prefix("q=").or(rest.trim().strip_prefix("Q="));
    let weight: f32 = weight.map_or(Some(1.0), |text| text.trim().parse().ok())?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 0 and 1000 after clamp; of a NaN `as` makes 0"
    )]
    Some((coding, (weight.clamp(0.0, 1.0) * 1000.0) as u16))
}

fn refused(what: &str) -> Refusal {
    let names: Vec<&str> = ContentCoding::ALL.iter().map(|coding| coding.name()).collect();
    let message =
        format!("the body's content-encoding is {what}; taken are identity, {}", names.join(", "));
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message)
}

/// A caller's word, quoted, and short.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(32).collect();
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_wants_most_is_chosen() {
        let wanted = |list: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(list));
            ContentCoding::wanted(&headers).map(ContentCoding::name)
        };
        assert_eq!(ContentCoding::wanted(&HeaderMap::new()), None);
        assert_eq!(wanted("identity"), None);
        assert_eq!(wanted("br, *"), None);
        assert_eq!(wanted("deflate"), Some("deflate"));
        assert_eq!(wanted("deflate, gzip"), Some("gzip"));
        assert_eq!(wanted("gzip;q=0.2, deflate; q=0.8"), Some("deflate"));
        assert_eq!(wanted("GZIP;q=0"), None);
        assert_eq!(wanted("gzip;q=nan, deflate;q=nonsense"), None);
        let best = if cfg!(feature = "zstd") { "zstd" } else { "gzip" };
        assert_eq!(wanted("gzip, deflate, br, zstd"), Some(best));
    }
}
