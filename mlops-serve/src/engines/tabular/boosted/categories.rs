//! Rows with categories as rows of numbers: what a model asks of the categories of a row, answered once, so that
//! its trees compare numbers only.
//!
//! As CatBoost has it: a category is the low half of the `CityHash64` of its text, and what was learned of a
//! category, or of a combination of several, is found by a number that is made of such halves. Only the counts of
//! the training rows are stored; the statistic is computed in `f32` from them when it is asked for.

use super::super::forest::BLOCK;
use crate::engines::Stop;
use mlops_core::{Error, Result, tensor::Tensor};

/// What a model takes of a row beside its numbers.
#[derive(Debug)]
pub(in super::super) struct Categories {
    /// How many numbers a row has.
    pub(super) numbers: usize,
    /// How many categories.
    pub(super) count: usize,
    /// Each is a number that follows those of the row.
    pub(super) questions: Vec<Question>,
    pub(super) combinations: Vec<Combination>,
    pub(super) tables: Vec<Table>,
}

/// One number that is made of the categories of a row.
#[derive(Debug)]
pub(super) enum Question {
    /// 1 if the category at this place is this one, else 0.
    Is(usize, Category),
    Statistic(Statistic),
}

/// The low half of the hash of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Category(pub(super) u32);

impl Category {
    fn of(text: &[u8]) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let low = ch_cityhash102::cityhash64(text) as u32;
        Self(low)
    }
}

/// Facts of a row whose combination something was learned of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Combination(pub(super) Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// Which category stands at this place.
    Category(usize),
    /// Whether the number at this place is above the border, whose bits these are; and whether a missing one is.
    Above(usize, u32, bool),
    /// Whether the category at this place is this one.
    Is(usize, Category),
}

/// An odd number by which everything is mixed.
const MIX: u64 = 0x4906_ba49_4954_cb65;

impl Combination {
    /// The number under which the combination of this row is found.
    fn key(&self, numbers: &[f32], categories: &[Category]) -> u64 {
        self.0.iter().fold(0, |key: u64, part| {
            let fact = match *part {
                // Extended by its sign.
                Part::Category(at) => i64::from(categories[at].0.cast_signed()).cast_unsigned(),
                Part::Above(at, border, missing) => {
                    let value = numbers[at];
                    u64::from(value > f32::from_bits(border) || missing && value.is_nan())
                }
                Part::Is(at, category) => u64::from(categories[at] == category),
            };
            MIX.wrapping_mul(key.wrapping_add(MIX.wrapping_mul(fact)))
        })
    }
}

/// What the training rows of each combination counted.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// Rising.
    keys: Vec<u64>,
    /// So many a key.
    width: usize,
    numbers: Vec<f64>,
}

impl Table {
    /// Keys, each with the place of the first of its numbers, which are so many; of a key that is listed twice one
    /// counts.
    pub(super) fn new(width: usize, mut listed: Vec<(u64, usize)>, numbers: &[f64]) -> Self {
        listed.sort_unstable_by_key(|(key, _)| *key);
        listed.dedup_by_key(|(key, _)| *key);
        let each = listed.iter().flat_map(|(_, first)| &numbers[*first..first + width]);
        let numbers = each.copied().collect();
        Self { keys: listed.into_iter().map(|(key, _)| key).collect(), width, numbers }
    }

    fn find(&self, key: u64) -> Option<&[f64]> {
        let at = self.keys.binary_search(&key).ok()?;
        self.numbers.get(at * self.width..(at + 1) * self.width)
    }

    fn bytes(&self) -> usize {
        size_of_val(self.keys.as_slice()) + size_of_val(self.numbers.as_slice())
    }
}

/// A share that is drawn towards what is known beforehand, shifted and scaled.
#[derive(Debug)]
pub(super) struct Statistic {
    pub(super) combination: usize,
    pub(super) table: usize,
    pub(super) share: Share,
    pub(super) prior: f32,
    pub(super) prior_weight: f32,
    pub(super) shift: f32,
    pub(super) scale: f32,
}

/// Which part of what, by the places of a table's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) enum Share {
    /// The second number less the third, if there is one; of the first.
    Between(usize, Option<usize>),
    /// The first number of the second.
    Mean,
    /// The first number of this one, whatever the key.
    Of(f32),
}

impl Share {
    #[expect(clippy::cast_possible_truncation, reason = "counts become the nearest f32 there, too")]
    fn parts(self, numbers: Option<&[f64]>) -> (f32, f32) {
        let number = |at: usize| numbers.map_or(0.0, |numbers| numbers[at]);
        match self {
            Self::Between(from, to) => {
                ((number(from) - to.map_or(0.0, number)) as f32, number(0) as f32)
            }
            Self::Mean => (number(0) as f32, number(1) as f32),
            Self::Of(whole) => (number(0) as f32, whole),
        }
    }
}

impl Statistic {
    fn of(&self, found: Option<&[f64]>) -> f32 {
        let (part, whole) = self.share.parts(found);
        ((part + self.prior) / (whole + self.prior_weight) + self.shift) * self.scale
    }
}

impl Categories {
    /// How many numbers a row is made into.
    pub(super) fn width(&self) -> usize {
        self.numbers + self.questions.len()
    }

    pub(super) fn bytes(&self) -> usize {
        let parts = self.combinations.iter().map(|combination| size_of_val(&*combination.0));
        size_of_val(self.questions.as_slice())
            + parts.sum::<usize>()
            + self.tables.iter().map(Table::bytes).sum::<usize>()
    }

    /// Each row's numbers, and behind them the answers to the questions.
    pub(super) fn rows(
        &self,
        numbers: &[f32],
        categories: &Tensor,
        stop: &Stop,
    ) -> Result<Vec<f64>> {
        let (rows, mut texts) = (categories.rows(), categories.byte_strings()?);
        let mut wide = Vec::with_capacity(rows * self.width());
        let mut row_categories = vec![Category(0); self.count];
        let mut keys = vec![0; self.combinations.len()];
        for row in 0..rows {
            if row % BLOCK == 0 {
                stop.check()?;
            }
            for category in &mut row_categories {
                let text = texts.next();
                *category = Category::of(text.ok_or_else(|| Error::internal("a row is cut off"))?);
            }
            let numbers = &numbers[row * self.numbers..(row + 1) * self.numbers];
            for (key, combination) in keys.iter_mut().zip(&self.combinations) {
                *key = combination.key(numbers, &row_categories);
            }
            wide.extend(numbers.iter().copied().map(f64::from));
            wide.extend(self.questions.iter().map(|question| match question {
                Question::Is(at, category) => f64::from(u8::from(row_categories[*at] == *category)),
                Question::Statistic(asked) => {
                    let found = self.tables[asked.table].find(keys[asked.combination]);
                    f64::from(asked.of(found))
                }
            }));
        }
        Ok(wide)
    }
}

#[cfg(test)]
mod tests {
    use super::Category;

    /// What CatBoost 1.2.10 lists as `cat_features_hash` beside these texts.
    #[test]
    fn texts_have_the_hashes_that_catboost_gives_them() {
        let long = |letter: &str, length: usize| letter.repeat(length);
        for (text, hash) in [
            (String::new(), 797_982_799),
            ("a".into(), 3_489_901_818),
            ("abc".into(), 978_243_121),
            ("left".into(), 697_806_377),
            ("é".into(), 468_052_468),
            ("12345678".into(), 1_054_993_967),
            ("123456789".into(), 1_389_760_245),
            ("sixteen letters!".into(), 1_409_682_486),
            ("seventeen letters".into(), 3_714_021_364),
            (long("x", 32), 664_286_079),
            (long("x", 33), 1_424_607_287),
            (long("y", 64), 1_213_635_094),
            (long("y", 65), 3_114_503_727),
            (long("z", 128), 1_319_357_041),
            (long("z", 129), 367_260_222),
            (long("x", 200), 692_612_926),
        ] {
            assert_eq!(Category::of(text.as_bytes()), Category(hash), "{text:?}");
        }
    }
}
