//! The exact law of the pairs that later days win.

/// For a number of days of the reference, the law of each span.
#[derive(Debug)]
pub(super) struct Laws {
    reference: usize,
    /// (span, the probability of so many pairs at most).
    spans: Vec<(usize, Vec<f64>)>,
}

impl Laws {
    /// Of dealing m of n + m distinct numbers. The deals in which the m win u pairs are as many as
    /// the partitions of u into m parts of n at most, since each part is what one of them wins:
    /// f(m, n, u) = f(m, n − 1, u) + f(m − 1, n, u − n), whether or not one part is n (Mann and
    /// Whitney's recurrence). All terms are positive, so that nothing cancels.
    pub(super) fn new(reference: usize, spans: &[usize]) -> Self {
        let most = spans.iter().copied().max().unwrap_or(0);
        let mut ways: Vec<Vec<f64>> = (0..=most).map(|m| vec![0.0; m * reference + 1]).collect();
        for ways in &mut ways {
            ways[0] = 1.0;
        }
        for n in 1..=reference {
            for m in 1..=most {
                let (fewer, own) = ways.split_at_mut(m);
                let (fewer, own) = (&fewer[m - 1], &mut own[0]);
                // With n as the largest possible part the m win no more than m·n pairs.
                let last = (m - 1) * n;
                own[n..].iter_mut().zip(&fewer[..=last]).for_each(|(own, fewer)| *own += fewer);
            }
        }
        let cumulated = |span: &usize| {
            let all: f64 = ways[*span].iter().sum();
            let sums = ways[*span].iter().scan(0.0, |sum, ways| {
                *sum += ways;
                Some((*sum / all).min(1.0))
            });
            (*span, sums.collect())
        };
        Self { reference, spans: spans.iter().map(cumulated).collect() }
    }

    /// The probability, in either direction, of so many pairs won or more; 1 for numbers of days
    /// that are none of these.
    pub(super) fn probability(&self, reference: usize, span: usize, won: usize) -> f64 {
        let Some((_, sums)) = self.spans.iter().find(|(own, _)| *own == span) else { return 1.0 };
        if reference > self.reference {
            return 1.0;
        }
        // Days of the reference that have none of the column's rows: as if the later days had lost
        // to them, which errs on the safe side.
        let lost = self.reference * span - won;
        (2.0 * sums[lost]).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{PermutationOptions, mann_whitney};

    /// All deals of three of seven, counted one by one.
    #[test]
    fn few_days_are_as_enumerated() {
        let laws = Laws::new(4, &[3]);
        let mut won = Vec::new();
        for deal in 0_u32..1 << 7 {
            if deal.count_ones() == 3 {
                let later: Vec<u32> = (0..7).filter(|at| deal >> at & 1 == 1).collect();
                won.push(later.iter().zip(0..).map(|(at, before)| at - before).sum::<u32>());
            }
        }
        assert_eq!(won.len(), 35);
        for least in 0..=12 {
            let as_many = won.iter().filter(|own| **own as usize >= least).count();
            let p = (2.0 * f64::from(u32::try_from(as_many).unwrap()) / 35.0).min(1.0);
            assert!((laws.probability(4, 3, least) - p).abs() < 1e-14, "{least}");
        }
    }

    #[test]
    fn distinct_days_have_the_law_of_mann_and_whitney() {
        let laws = Laws::new(30, &[3, 7, 14]);
        for span in [3_u32, 7, 14] {
            // Each later day is somewhat higher than most.
            let before: Vec<f64> = (0..30).map(f64::from).collect();
            let later: Vec<f64> =
                (0..span).map(|at| f64::from(20 + at % 9) + 0.3 + f64::from(at) / 100.0).collect();
            let wins = |later: &f64| before.iter().filter(|own| *own < later).count();
            let won = later.iter().map(wins).sum();
            let options = PermutationOptions::default();
            let other = mann_whitney(&before, &later, 0.95, &options).unwrap().unwrap().p;
            let own = laws.probability(30, span as usize, won);
            assert!((own / other - 1.0).abs() < 1e-9, "{span}: {own} {other}");
        }
    }

    #[test]
    fn the_rarest_is_one_in_all_deals_and_missing_days_of_the_reference_are_lost() {
        let laws = Laws::new(400, &[3, 28]);
        let deals = 403.0 * 402.0 * 401.0 / 6.0;
        assert!((laws.probability(400, 3, 1200) * deals / 2.0 - 1.0).abs() < 1e-12);
        assert!(laws.probability(400, 28, 400 * 28) > 0.0);
        assert!(laws.probability(390, 3, 390 * 3) > laws.probability(400, 3, 1200));
        assert!((laws.probability(400, 4, 1600) - 1.0).abs() < 1e-15, "no span");
    }
}
