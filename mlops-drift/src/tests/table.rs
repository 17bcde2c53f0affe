//! Homogeneity of two samples over categories, by whichever law is right at that size.

use super::{
    CramersV, Law, PermutationOptions, cramers_v,
    hypergeometric::{choose, deal, ln_choose},
    permutation::at_least,
    probability, real, rows_of_cells,
    share::{hypergeometric_p, improbable_p},
};
use crate::random::Random;
use mlops_core::{Error, Result};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// What is summed over the cells of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableStatistic {
    /// Pearson's Σ (observed − expected)² / expected over both rows.
    Pearson,
    /// The G-test's 2 Σ observed · ln(observed / expected) over both rows (S. S. Wilks, "The
    /// large-sample distribution of the likelihood ratio", Annals of Mathematical Statistics 9,
    /// 1938). Expected counts are those of the pooled rows, so the sides may differ in size.
    LikelihoodRatio,
    /// The observed total variation distance, ½ Σ |q̂ − p̂|.
    TotalVariation,
    /// −ln of the probability of the table given its totals: Fisher's exact test for two cells,
    /// Freeman and Halton's for more (G. H. Freeman, J. H. Halton, "Note on an exact treatment of
    /// contingency, goodness of fit and other problems of significance", Biometrika 38, 1951).
    Probability,
}

/// What a test of homogeneity says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Homogeneity {
    /// The statistic over the cells that hold rows.
    pub statistic: f64,
    /// Cells that hold rows, less one.
    pub degrees: u64,
    /// Probability of a statistic at least this large if both samples have one source; in (0, 1].
    pub p: f64,
    /// By which law.
    pub law: Law,
    /// The effect.
    pub effect: CramersV,
}

/// Whether two samples have the same shares of categories.
///
/// The law given both sides' totals and every category's is that of dealing the pooled rows at
/// random, right at any size. It is counted where there are few tables with these totals (or two
/// cells), else taken from seeded random deals. For many rows the chi-square law takes its place:
/// with the least expected count E of a cell and k cells where
/// - Pearson: E ≥ 5 and E·(k − 1) ≥ 100 (two cells are counted whatever their size),
/// - likelihood ratio: E ≥ 50 + 10·√(k − 1), and 1,000 of two cells, since its mean exceeds k − 1
///   by about one part in 6·E (D. A. Williams, "Improved likelihood ratio tests for complete
///   contingency tables", Biometrika 63, 1976),
/// - total variation and probability: never.
///
/// Unlike [`chi_square`](super::chi_square) nothing is pooled. `level` is that of the effect's
/// interval. `None` if fewer than two cells hold rows or a side counts nothing.
///
/// ```
/// # fn main() -> mlops_core::Result<()> {
/// use mlops_drift::tests::{Law, PermutationOptions, TableStatistic, homogeneity};
///
/// let options = PermutationOptions::default();
/// let test = homogeneity(&[3, 0], &[0, 3], TableStatistic::Pearson, 0.95, &options)?.expect("two cells");
/// assert!(test.law == Law::Exact && (test.p - 0.1).abs() < 1e-12);
/// # Ok(())
/// # }
/// ```
pub fn homogeneity(
    reference: &[u64],
    window: &[u64],
    statistic: TableStatistic,
    level: f64,
    options: &PermutationOptions,
) -> Result<Option<Homogeneity>> {
    options.check()?;
    let Some(effect) = cramers_v(reference, window, level)? else { return Ok(None) };
    let table = Table::new(reference, window)?;
    let seen = table.value(statistic, table.cells.iter().map(|(a, _)| *a));
    let degrees = table.cells.len() as u64 - 1;
    let (p, law) = if table.limit_is_close(statistic) {
        let law =
            ChiSquared::new(real(degrees)).map_err(|cause| Error::internal(cause.to_string()))?;
        (law.sf(seen), Law::Limit)
    } else {
        table.dealt(statistic, seen, options)
    };
    Ok(Some(Homogeneity { statistic: seen, degrees, p: probability(p), law, effect }))
}

/// Every way to split a cell is listed where tables are counted; more rows would not fit.
const MOST_ENUMERATED_ROWS: u64 = 1 << 16;

/// The cells that hold rows: those of the reference, and all.
struct Table {
    n: u64,
    m: u64,
    cells: Vec<(u64, u64)>,
}

impl Table {
    fn new(reference: &[u64], window: &[u64]) -> Result<Self> {
        let (n, m) = rows_of_cells(reference, window)?;
        let cells = reference.iter().zip(window).map(|(a, b)| (*a, a + b));
        Ok(Self { n, m, cells: cells.filter(|(_, all)| *all > 0).collect() })
    }

    /// The statistic if the reference had these counts.
    fn value(&self, statistic: TableStatistic, counts: impl Iterator<Item = u64>) -> f64 {
        let cells = self.cells.iter().zip(counts);
        let sum = cells.map(|((_, all), a)| self.term(statistic, a, *all)).sum::<f64>();
        if statistic == TableStatistic::Probability { sum + self.ln_deals() } else { sum }
    }

    /// The logarithm of the number of deals.
    fn ln_deals(&self) -> f64 {
        ln_choose(self.n + self.m, self.n)
    }

    fn term(&self, statistic: TableStatistic, a: u64, all: u64) -> f64 {
        let (n, m, b) = (self.n, self.m, all - a);
        let apart = (u128::from(a) * u128::from(m)).abs_diff(u128::from(b) * u128::from(n));
        #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
        let apart = apart as f64;
        match statistic {
            TableStatistic::Pearson => apart * apart / (real(all) * real(n) * real(m)),
            TableStatistic::TotalVariation => apart / (2.0 * real(n) * real(m)),
            TableStatistic::LikelihoodRatio => {
                let of = |count: u64, rows: u64| {
                    let share = real(n + m) / (real(all) * real(rows));
                    if count == 0 { 0.0 } else { real(count) * (real(count) * share).ln() }
                };
                2.0 * (of(a, n) + of(b, m))
            }
            TableStatistic::Probability => -ln_choose(all, a),
        }
    }

    fn limit_is_close(&self, statistic: TableStatistic) -> bool {
        let least = self.cells.iter().map(|(_, all)| *all).min().unwrap_or(0);
        let expected = real(least) * (real(self.n.min(self.m)) / real(self.n + self.m));
        let degrees = real(self.cells.len() as u64 - 1);
        match statistic {
            TableStatistic::Pearson => {
                degrees > 1.0 && expected >= 5.0 && expected * degrees >= 100.0
            }
            TableStatistic::LikelihoodRatio if degrees > 1.0 => {
                expected >= 50.0 + 10.0 * degrees.sqrt()
            }
            TableStatistic::LikelihoodRatio => expected >= 1000.0,
            TableStatistic::TotalVariation | TableStatistic::Probability => false,
        }
    }

    /// The share of deals whose statistic is at least the one seen.
    fn dealt(
        &self,
        statistic: TableStatistic,
        seen: f64,
        options: &PermutationOptions,
    ) -> (f64, Law) {
        if let [(a, all), _] = self.cells.as_slice() {
            let (reference, window) = ((*a, self.n), (all - a, self.m));
            match statistic {
                // Both statistics of two cells grow with the difference of one share.
                TableStatistic::Pearson | TableStatistic::TotalVariation => {
                    return (hypergeometric_p(reference, window), Law::Exact);
                }
                TableStatistic::Probability => {
                    return (improbable_p(reference, window), Law::Exact);
                }
                TableStatistic::LikelihoodRatio => {}
            }
        }
        let few = self.n + self.m <= MOST_ENUMERATED_ROWS;
        if few && self.tables() <= u128::from(options.enumerated) {
            return (self.enumerated(statistic, seen), Law::Exact);
        }
        let steps = self.cells.iter().map(|(_, all)| (*all).min(60 + 2 * all.isqrt())).sum();
        options.random(steps, |random| {
            at_least(self.value(statistic, self.random_counts(random).into_iter()), seen)
        })
    }

    fn random_counts(&self, random: &mut Random) -> Vec<u64> {
        let (mut left, mut of_reference) = (self.n + self.m, self.n);
        let deal = |(_, all): &(u64, u64)| {
            let a = deal(random, left, of_reference, *all);
            (left, of_reference) = (left - all, of_reference - a);
            a
        };
        self.cells.iter().map(deal).collect()
    }

    /// A bound of the number of tables with these totals: the largest cell has what others leave.
    fn tables(&self) -> u128 {
        let largest = self.cells.iter().map(|(_, all)| *all).max().unwrap_or(0);
        let ways = |all: u64| u128::from(all.min(self.n).min(self.m)) + 1;
        let product = self.cells.iter().fold(1_u128, |product, (_, all)| {
            product.saturating_mul(ways(*all)).min(u128::from(u64::MAX))
        });
        product / ways(largest)
    }

    /// The probability of all tables with these totals whose statistic is at least the one seen.
    fn enumerated(&self, statistic: TableStatistic, seen: f64) -> f64 {
        let mut cells: Vec<u64> = self.cells.iter().map(|(_, all)| *all).collect();
        cells.sort_unstable();
        let parts = cells.iter().map(|&all| {
            let ways = choose(all);
            (0..=all).zip(ways).map(|(a, ways)| (self.term(statistic, a, all), ways)).collect()
        });
        let parts = parts.collect();
        let start = if statistic == TableStatistic::Probability { self.ln_deals() } else { 0.0 };
        let mut walk = Walk { parts, seen, beyond: 0.0, all: 0.0 };
        walk.visit(0, usize::try_from(self.n).unwrap_or(usize::MAX - 1), start, 1.0);
        walk.beyond / walk.all
    }
}

/// The tables, cell by cell from the smallest.
struct Walk {
    /// Of each cell and each count of the reference: its summand, and in how many ways, as a share
    /// of all ways to split the cell.
    parts: Vec<Vec<(f64, f64)>>,
    seen: f64,
    beyond: f64,
    all: f64,
}

impl Walk {
    fn visit(&mut self, cell: usize, left: usize, sum: f64, ways: f64) {
        let counts = self.parts[cell].len();
        if cell + 1 < self.parts.len() {
            for a in 0..counts.min(left + 1) {
                let (term, own) = self.parts[cell][a];
                self.visit(cell + 1, left - a, sum + term, ways * own);
            }
            return;
        }
        // The last cell takes what others left, if it has so many rows.
        let Some((term, own)) = self.parts[cell].get(left) else { return };
        self.all += ways * own;
        if at_least(sum + term, self.seen) {
            self.beyond += ways * own;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::permutation::share_of_deals;
    use proptest::prelude::*;

    const ALL: [TableStatistic; 4] = [
        TableStatistic::Probability,
        TableStatistic::Pearson,
        TableStatistic::LikelihoodRatio,
        TableStatistic::TotalVariation,
    ];

    fn test(a: &[u64], b: &[u64], statistic: TableStatistic, most: u64) -> Option<Homogeneity> {
        let options = PermutationOptions::default().with_enumerated(most);
        homogeneity(a, b, statistic, 0.95, &options).unwrap()
    }

    /// The share of deals of single rows.
    fn by_rows(a: &[u64], b: &[u64], statistic: TableStatistic) -> f64 {
        let table = Table::new(a, b).unwrap();
        let rows: Vec<usize> = (table.cells.iter().enumerate())
            .flat_map(|(at, (_, all))| vec![at; usize::try_from(*all).unwrap()])
            .collect();
        let seen = table.value(statistic, table.cells.iter().map(|cell| cell.0));
        let options = PermutationOptions::default().with_enumerated(u64::MAX);
        let small = usize::try_from(table.n).unwrap();
        let (share, _) = share_of_deals(rows, small, 1, &options, |chosen| {
            let mut counts = vec![0_u64; table.cells.len()];
            for at in chosen {
                counts[*at] += 1;
            }
            at_least(table.value(statistic, counts.into_iter()), seen)
        });
        share
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn tables_count_as_their_rows_do(
            cells in prop::collection::vec((0_u64..4, 0_u64..4), 2..5),
        ) {
            let (a, b): (Vec<u64>, Vec<u64>) = cells.into_iter().unzip();
            for statistic in ALL {
                let Some(own) = test(&a, &b, statistic, 1_000_000) else { continue };
                let counted = by_rows(&a, &b, statistic);
                prop_assert!(own.law == Law::Exact, "{own:?}");
                prop_assert!((own.p - counted).abs() < 1e-12, "{statistic:?} {} {counted}", own.p);
                let dealt = test(&a, &b, statistic, 0).unwrap();
                prop_assert!((dealt.p - counted).abs() < 0.03, "{statistic:?} {dealt:?} {counted}");
            }
        }
    }

    #[test]
    fn the_limit_and_random_deals_meet() {
        let (a, b) = ([410, 300, 205, 85], [260, 230, 130, 80]);
        for statistic in [TableStatistic::Pearson, TableStatistic::LikelihoodRatio] {
            let limit = test(&a, &b, statistic, 20_000).unwrap();
            let table = Table::new(&a, &b).unwrap();
            let (dealt, _) =
                table.dealt(statistic, limit.statistic, &PermutationOptions::default());
            let near = limit.law == Law::Limit && (limit.p / dealt - 1.0).abs() < 0.15;
            assert!(near, "{limit:?} {dealt}");
        }
    }

    #[test]
    fn a_single_new_category_is_no_certainty_and_empty_tables_say_nothing() {
        for statistic in ALL {
            let new = test(&[500, 300, 200, 0], &[499, 300, 200, 1], statistic, 20_000).unwrap();
            assert!(new.p > 0.5, "{statistic:?} {new:?}");
            assert_eq!(test(&[10, 0], &[12, 0], statistic, 20_000), None);
            assert_eq!(test(&[0, 0], &[12, 1], statistic, 20_000), None);
        }
    }
}
