//! Ways to split counts, and splits drawn at random.

use super::real;
use crate::random::Random;
use statrs::function::factorial::ln_factorial;

/// The logarithm of the number of ways to choose.
pub(super) fn ln_choose(all: u64, chosen: u64) -> f64 {
    ln_factorial(all) - ln_factorial(chosen) - ln_factorial(all - chosen)
}

/// Of each count from 0 to `all`: in how many ways to choose it. Counts beyond `most` are left out.
pub(super) fn choose_plainly(all: u64, most: u64) -> Vec<f64> {
    let mut ways = vec![1.0];
    for chosen in 1..=all.min(most) {
        let last = ways[ways.len() - 1];
        ways.push(last * real(all + 1 - chosen) / real(chosen));
    }
    ways
}

/// Of each count from 0 to `all`: in how many ways to choose it, as a share of 2^all.
pub(super) fn choose(all: u64) -> Vec<f64> {
    let whole = real(all) * std::f64::consts::LN_2;
    (0..=all).map(|chosen| (ln_choose(all, chosen) - whole).exp()).collect()
}

/// How many of `drawn` rows are marked, if `marked` of `total` are and they are drawn at random.
pub(super) fn deal(random: &mut Random, total: u64, marked: u64, drawn: u64) -> u64 {
    if marked == 0 || drawn == total {
        return marked;
    }
    if drawn <= 32 {
        let mut hits = 0;
        for taken in 0..drawn {
            hits += u64::from(random.below(total - taken) < marked - hits);
        }
        return hits;
    }
    inverted(random.unit(), total, marked, drawn)
}

/// Inverts the law from its most probable count outwards: some deviations' worth of steps.
fn inverted(unit: f64, total: u64, marked: u64, drawn: u64) -> u64 {
    let (least, most) = ((drawn + marked).saturating_sub(total), drawn.min(marked));
    let mode = u128::from(drawn + 1) * u128::from(marked + 1) / u128::from(total + 2);
    let mode = u64::try_from(mode).unwrap_or(most).clamp(least, most);
    let ln_mode =
        ln_choose(marked, mode) + ln_choose(total - marked, drawn - mode) - ln_choose(total, drawn);
    let (mut up, mut down) = ((mode, ln_mode.exp()), (mode, ln_mode.exp()));
    let mut left = unit - up.1;
    while left > 0.0 && (up.0 < most || down.0 > least) {
        if up.0 < most {
            // P(k + 1) / P(k) = (marked − k)(drawn − k) / ((k + 1)(unmarked − drawn + k + 1)).
            let rest = total - marked + up.0 + 1 - drawn;
            let odds = real(marked - up.0) / real(up.0 + 1);
            up = (up.0 + 1, up.1 * odds * (real(drawn - up.0) / real(rest)));
            left -= up.1;
            if left <= 0.0 {
                return up.0;
            }
        }
        if down.0 > least {
            let rest = total + down.0 - marked - drawn;
            let odds = real(down.0) / real(marked + 1 - down.0);
            down = (down.0 - 1, down.1 * odds * (real(rest) / real(drawn + 1 - down.0)));
            left -= down.1;
            if left <= 0.0 {
                return down.0;
            }
        }
    }
    mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_counts_have_the_mean_and_spread_of_their_law() {
        for (total, marked, drawn) in
            [(50, 20, 10), (400, 100, 80), (1_000_000, 400_000, 5_000), (60, 50, 45)]
        {
            let (mut random, draws) = (Random::new(total), 20_000);
            let counts: Vec<f64> =
                (0..draws).map(|_| real(deal(&mut random, total, marked, drawn))).collect();
            let mean = counts.iter().sum::<f64>() / f64::from(draws);
            let spread = counts.iter().map(|k| (k - mean).powi(2)).sum::<f64>() / f64::from(draws);
            let share = real(marked) / real(total);
            let rest = real(total - drawn) / real(total - 1);
            let (expected, variance) =
                (real(drawn) * share, real(drawn) * share * (1.0 - share) * rest);
            let error = (variance / f64::from(draws)).sqrt();
            assert!((mean - expected).abs() < 4.0 * error, "{total}: {mean} {expected}");
            assert!((spread / variance - 1.0).abs() < 0.05, "{total}: {spread} {variance}");
        }
    }

    #[test]
    fn ways_add_up_to_all() {
        for all in [1, 5, 64, 700] {
            assert!((choose(all).iter().sum::<f64>() - 1.0).abs() < 1e-11, "{all}");
        }
    }
}
