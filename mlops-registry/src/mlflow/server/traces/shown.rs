//! A trace as clients read it.

use super::NAME;
use crate::store::Trace;
use mlops_core::{Error, Result, Timestamp, tracker::Tags};
use serde_json::{Value, json};

/// Where the artifacts of a trace lie: a tag that the server sets.
const PLACE: &str = "mlflow.artifactLocation";

/// The tags of a trace as clients see them: its name and the place of its artifacts are some.
pub(super) fn tags(trace: &Trace, experiment: &str) -> Tags {
    let mut tags = trace.tags.clone();
    if let Some(name) = &trace.name {
        tags.insert(NAME.to_owned(), name.clone());
    }
    let place = format!("{}/traces/{}/artifacts", experiment.trim_end_matches('/'), trace.id);
    tags.insert(PLACE.to_owned(), place);
    tags
}

pub(super) fn info(trace: &Trace, experiment: &str) -> Value {
    let mut shown = json!({
        "trace_id": trace.id,
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT",
            "mlflow_experiment": { "experiment_id": trace.experiment },
        },
        "request_time": time(trace.started),
        "state": trace.state,
        "tags": tags(trace, experiment),
    });
    let optional = [
        ("client_request_id", trace.client_request.clone()),
        ("request_preview", trace.request_preview.clone()),
        ("response_preview", trace.response_preview.clone()),
        ("execution_duration", trace.duration.map(duration)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            shown[name] = value.into();
        }
    }
    if !trace.metadata.is_empty() {
        shown["trace_metadata"] = json!(trace.metadata);
    }
    shown
}

/// RFC 3339 with as many digits as it takes, as Protobuf's JSON form has them.
fn time(time: Timestamp) -> String {
    let text = time.to_string();
    match text.strip_suffix('Z').and_then(|text| text.split_once('.')) {
        Some((whole, "000000")) => format!("{whole}Z"),
        Some((whole, digits)) => match digits.strip_suffix("000") {
            Some(millis) => format!("{whole}.{millis}Z"),
            None => text,
        },
        None => text,
    }
}

/// Microseconds as Protobuf's JSON form has them: `1.250s`.
fn duration(micros: i64) -> String {
    let (sign, size) = (if micros < 0 { "-" } else { "" }, micros.unsigned_abs());
    let (seconds, rest) = (size / 1_000_000, size % 1_000_000);
    match (rest, rest % 1000) {
        (0, _) => format!("{sign}{seconds}s"),
        (_, 0) => format!("{sign}{seconds}.{:03}s", rest / 1000),
        _ => format!("{sign}{seconds}.{rest:06}s"),
    }
}

/// Microseconds of such a text.
pub(super) fn read_duration(text: &str) -> Result<i64> {
    let wrong = || Error::invalid(format!("not a duration such as 1.25s: {text:?}"));
    let number = text.strip_suffix('s').ok_or_else(wrong)?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(whole) || !is_number(part) {
        return Err(wrong());
    }
    let digits: String = part.chars().chain("000000".chars()).take(6).collect();
    let micros = |text: &str| text.parse::<i64>().map_err(|_| wrong());
    let size = micros(whole)?.checked_mul(1_000_000).ok_or_else(wrong)?;
    let size = size.checked_add(micros(&digits)?).ok_or_else(wrong)?;
    Ok(if negative { -size } else { size })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_are_as_protobuf_writes_them() {
        let shown = |micros| time(Timestamp::from_unix_micros(micros));
        assert_eq!(shown(1_577_836_800_000_000), "2020-01-01T00:00:00Z");
        assert_eq!(shown(1_577_836_801_500_000), "2020-01-01T00:00:01.500Z");
        assert_eq!(shown(1_577_836_801_500_001), "2020-01-01T00:00:01.500001Z");
        assert_eq!(duration(1_250_000), "1.250s");
        for wrong in ["", "s", "1", "1.s", "+1s", "1.2.3s", "99999999999999999999s"] {
            assert!(read_duration(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn durations_come_back(micros in -1_000_000_000_000_i64..1_000_000_000_000) {
            prop_assert_eq!(read_duration(&duration(micros)).unwrap(), micros);
        }
    }
}
