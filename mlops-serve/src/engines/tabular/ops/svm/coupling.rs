//! Probabilities of several classes from those of pairs of them: the second method of Wu, Lin and Weng,
//! "Probability Estimates for Multi-class Classification by Pairwise Coupling" (2004), as libsvm and ONNX
//! Runtime compute it. A round too many or too few shows in the result, so the rounds are those of `f32`.

/// Rounds after which the estimate is taken as it is.
const MOST_ROUNDS: usize = 100;

/// What the method needs beside its result, kept from row to row.
#[derive(Debug)]
pub(super) struct Coupling {
    classes: usize,
    /// At `i * classes + j`: how probable class i is if it is i or j.
    pairs: Vec<f32>,
    q: Vec<f32>,
    qp: Vec<f32>,
}

impl Coupling {
    /// Room for so many classes.
    pub(super) fn new(classes: usize) -> Self {
        let square = classes * classes;
        Self { classes, pairs: vec![0.0; square], q: vec![0.0; square], qp: vec![0.0; classes] }
    }

    /// Says how probable class i is against class j.
    pub(super) fn set(&mut self, i: usize, j: usize, probability: f32) {
        self.pairs[i * self.classes + j] = probability;
        self.pairs[j * self.classes + i] = 1.0 - probability;
    }

    /// Writes the probability of each class.
    #[expect(clippy::cast_precision_loss, reason = "a number of classes")]
    pub(super) fn solve(&mut self, p: &mut [f32]) {
        let k = self.classes;
        let close_enough = 0.005 / k as f32;
        p.fill(1.0 / k as f32);
        self.fill_q();
        for _ in 0..MOST_ROUNDS {
            let mut pqp = 0.0;
            for i in 0..k {
                let line = self.q[i * k..(i + 1) * k].iter().zip(&*p);
                self.qp[i] = line.fold(0.0, |sum, (q, p)| sum + q * p);
                pqp += p[i] * self.qp[i];
            }
            let errors = self.qp.iter().map(|qp| (qp - pqp).abs());
            // No comparison with NaN holds: such rows end here.
            let error = errors.fold(0.0, |most, error| if error > most { error } else { most });
            if error < close_enough {
                break;
            }
            self.step(p, pqp);
        }
    }

    fn fill_q(&mut self) {
        let k = self.classes;
        for i in 0..k {
            let others = (0..k).filter(|&j| j != i).map(|j| self.pairs[j * k + i]);
            self.q[i * k + i] = others.fold(0.0, |sum, r| sum + r * r);
            for j in (0..k).filter(|&j| j != i) {
                self.q[i * k + j] = -self.pairs[j * k + i] * self.pairs[i * k + j];
            }
        }
    }

    /// Moves each probability in turn to where it solves its own equation.
    fn step(&mut self, p: &mut [f32], mut pqp: f32) {
        let k = self.classes;
        for i in 0..k {
            let q = self.q[i * k + i];
            let by = (pqp - self.qp[i]) / q;
            p[i] += by;
            pqp = (pqp + by * (by * q + 2.0 * self.qp[i])) / (1.0 + by) / (1.0 + by);
            let line = self.qp.iter_mut().zip(&self.q[i * k..(i + 1) * k]);
            for ((qp, q), p) in line.zip(&mut *p) {
                *qp = (*qp + by * q) / (1.0 + by);
                *p /= 1.0 + by;
            }
        }
    }
}
