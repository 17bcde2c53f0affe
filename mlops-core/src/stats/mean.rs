//! Where a mean lies.

use super::{Interval, real_len, tail};
use crate::{Error, Result};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// The mean of the values and its interval by Student's t law; `InvalidInput` for fewer than two
/// values or one that is not finite.
///
/// For paired samples, give the differences.
pub fn mean_interval(values: &[f64], level: f64) -> Result<(f64, Interval)> {
    let tail = tail(level)?;
    if values.len() < 2 {
        return Err(Error::invalid("the interval of a mean needs two values"));
    }
    if let Some(at) = values.iter().position(|value| !value.is_finite()) {
        return Err(Error::invalid(format!("value {at} is not finite")));
    }
    let n = real_len(values.len());
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (squares / (n - 1.0) / n).sqrt();
    let law =
        StudentsT::new(0.0, 1.0, n - 1.0).map_err(|cause| Error::internal(cause.to_string()))?;
    let reach = -law.inverse_cdf(tail) * error;
    Ok((mean, Interval { low: mean - reach, high: mean + reach, level }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_textbook() {
        // Four values of mean 2.5 and standard error sqrt(5/12); t(3) at 0.975 is 3.182446305284263.
        let (mean, interval) = mean_interval(&[1.0, 2.0, 3.0, 4.0], 0.95).unwrap();
        let reach = 3.182_446_305_284_263 * (5.0_f64 / 12.0).sqrt();
        assert!((mean - 2.5).abs() < 1e-15);
        assert!((interval.high - 2.5 - reach).abs() < 1e-9, "{interval:.12}");
        assert!(
            mean_interval(&[1.0, f64::NAN], 0.95).is_err() && mean_interval(&[1.0], 0.95).is_err()
        );
    }
}
