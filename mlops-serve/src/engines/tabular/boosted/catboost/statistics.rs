//! What a CatBoost model learned of its categories: `ctrs` says what is asked, `ctr_data` what was counted.

use super::{invalid, unsupported};
use crate::engines::tabular::boosted::categories::{
    Categories, Category, Combination, Part, Question, Share, Statistic, Table,
};
use mlops_core::Result;
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    fmt,
};

/// A place of the tables there that holds nothing.
const NOTHING: u64 = u64::MAX;

/// A number that trees compare with the borders.
#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(rename = "identifier")]
    table: String,
    #[serde(rename = "ctr_type")]
    kind: String,
    elements: Vec<Element>,
    pub(super) borders: Vec<f64>,
    #[serde(rename = "prior_numerator")]
    prior: f64,
    #[serde(rename = "prior_denomerator")]
    prior_weight: f64,
    shift: f64,
    scale: f64,
    #[serde(rename = "target_border_idx")]
    target: usize,
}

#[derive(Deserialize)]
struct Element {
    #[serde(rename = "combination_element")]
    kind: String,
    #[serde(default)]
    cat_feature_index: usize,
    #[serde(default)]
    float_feature_index: usize,
    #[serde(default)]
    border: f64,
    #[serde(default)]
    value: i64,
}

/// Keys as texts, each followed by its numbers.
#[derive(Deserialize)]
pub(in super::super) struct Counted {
    #[serde(rename = "hash_map")]
    cells: Vec<Cell>,
    #[serde(rename = "hash_stride")]
    stride: usize,
    #[serde(default, rename = "counter_denominator")]
    denominator: f64,
}

enum Cell {
    Key(u64),
    Number(f64),
}

/// What is asked of the categories, each once, in the order in which trees come by it.
pub(super) struct Questions<'a> {
    asked: &'a [Asked],
    counted: &'a HashMap<String, Counted>,
    /// How many categories a row has.
    count: usize,
    places: HashMap<Key, usize>,
    combinations: HashMap<Combination, usize>,
    tables: HashMap<(&'a str, Kind), usize>,
    made: Categories,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Is(usize, Category),
    Asked(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    /// How many rows there were of each class, which are summed up from here to the last.
    Classes,
    /// A sum and a count.
    Mean,
    /// A count.
    Count,
}

impl<'a> Questions<'a> {
    pub(super) fn new(
        asked: &'a [Asked],
        counted: &'a HashMap<String, Counted>,
        (numbers, count): (usize, usize),
    ) -> Self {
        let (questions, combinations, tables) = (Vec::new(), Vec::new(), Vec::new());
        let made = Categories { numbers, count, questions, combinations, tables };
        let (places, combinations) = (HashMap::new(), HashMap::new());
        Self { asked, counted, count, places, combinations, tables: HashMap::new(), made }
    }

    pub(super) fn finish(self) -> Categories {
        self.made
    }

    /// Where the answer stands in a row whether its category at this place is this one.
    pub(super) fn is(&mut self, at: usize, value: i64) -> Result<usize> {
        let category = self.category(at, value)?;
        Ok(self.place(Key::Is(at, category), Question::Is(at, category)))
    }

    /// Where the statistic of this number among those asked stands in a row. `columns` says of each numeric
    /// feature where it is, and whether a missing value is above every border.
    pub(super) fn statistic(
        &mut self,
        number: usize,
        columns: &HashMap<usize, (i64, bool)>,
    ) -> Result<usize> {
        if let Some(&place) = self.places.get(&Key::Asked(number)) {
            return Ok(place);
        }
        let asked = &self.asked[number];
        let combination = self.combination(asked, columns)?;
        let (table, share) = self.table(asked)?;
        #[expect(clippy::cast_possible_truncation, reason = "each is the text of an f32")]
        let [prior, prior_weight, shift, scale] =
            [asked.prior, asked.prior_weight, asked.shift, asked.scale].map(|number| number as f32);
        let made = Statistic { combination, table, share, prior, prior_weight, shift, scale };
        Ok(self.place(Key::Asked(number), Question::Statistic(made)))
    }

    fn place(&mut self, key: Key, question: Question) -> usize {
        match self.places.entry(key) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                self.made.questions.push(question);
                *place.insert(self.made.width() - 1)
            }
        }
    }

    fn category(&self, at: usize, value: i64) -> Result<Category> {
        let count = self.count;
        if at >= count {
            return Err(invalid(format!("asks for the category {at} of {count}")));
        }
        let value = i32::try_from(value);
        let value = value.map_err(|_| invalid("has a hash of a category beyond 32 bits"))?;
        Ok(Category(value.cast_unsigned()))
    }

    /// Categories first, as the hash is made.
    fn combination(
        &mut self,
        asked: &Asked,
        columns: &HashMap<usize, (i64, bool)>,
    ) -> Result<usize> {
        let mut parts = Vec::with_capacity(asked.elements.len());
        for element in &asked.elements {
            parts.push(match element.kind.as_str() {
                "cat_feature_value" => {
                    self.category(element.cat_feature_index, 0)?;
                    (0, Part::Category(element.cat_feature_index))
                }
                "float_feature" => {
                    let index = element.float_feature_index;
                    let column = columns.get(&index);
                    let &(at, missing) = column
                        .ok_or_else(|| invalid(format!("combines the unknown feature {index}")))?;
                    let at = usize::try_from(at).unwrap_or(usize::MAX);
                    #[expect(clippy::cast_possible_truncation, reason = "the text of an f32")]
                    let border = (element.border as f32).to_bits();
                    (1, Part::Above(at, border, missing))
                }
                "cat_feature_exact_value" => {
                    let at = element.cat_feature_index;
                    (2, Part::Is(at, self.category(at, element.value)?))
                }
                other => return Err(unsupported(format!("combinations with {other:.40?}"))),
            });
        }
        parts.sort_by_key(|(order, _)| *order);
        let parts = Combination(parts.into_iter().map(|(_, part)| part).collect());
        let next = self.made.combinations.len();
        let place = *self.combinations.entry(parts.clone()).or_insert(next);
        if place == next {
            self.made.combinations.push(parts);
        }
        Ok(place)
    }

    fn table(&mut self, asked: &Asked) -> Result<(usize, Share)> {
        let found = self.counted.get_key_value(&asked.table);
        let (name, counted) =
            found.ok_or_else(|| invalid(format!("has no ctr_data of {:.60?}", asked.table)))?;
        let (classes, target) = (counted.stride.saturating_sub(1), asked.target);
        let beyond = || invalid(format!("asks for the class {target} of {classes}"));
        #[expect(clippy::cast_possible_truncation, reason = "a count becomes the nearest f32")]
        let (kind, share) = match asked.kind.as_str() {
            "Borders" if target + 1 < classes => (Kind::Classes, Share::Between(target + 1, None)),
            "Buckets" if target < classes => {
                let next = Some(target + 1).filter(|next| *next < classes);
                (Kind::Classes, Share::Between(target, next))
            }
            "Borders" | "Buckets" => return Err(beyond()),
            "BinarizedTargetMeanValue" | "FloatTargetMeanValue" => (Kind::Mean, Share::Mean),
            "Counter" | "FeatureFreq" => (Kind::Count, Share::Of(counted.denominator as f32)),
            other => return Err(unsupported(format!("statistics of the type {other:.40?}"))),
        };
        let place = match self.tables.entry((name, kind)) {
            Entry::Occupied(place) => *place.get(),
            Entry::Vacant(place) => {
                self.made.tables.push(counted.table(kind)?);
                *place.insert(self.made.tables.len() - 1)
            }
        };
        Ok((place, share))
    }
}

impl Counted {
    fn table(&self, kind: Kind) -> Result<Table> {
        let width = self.stride.saturating_sub(1);
        let right = match kind {
            Kind::Classes => width > 0,
            Kind::Mean => width == 2,
            Kind::Count => width == 1,
        };
        if !right || !self.cells.len().is_multiple_of(self.stride) {
            let (cells, stride) = (self.cells.len(), self.stride);
            return Err(invalid(format!("has {cells} cells of {stride} a key in its ctr_data")));
        }
        let (mut keys, mut numbers) = (Vec::new(), Vec::new());
        for cells in self.cells.chunks_exact(self.stride) {
            let first = numbers.len();
            for cell in &cells[1..] {
                let Cell::Number(number) = cell else {
                    return Err(invalid("has a text in place of a number in its ctr_data"));
                };
                numbers.push(*number);
            }
            if kind == Kind::Classes {
                for at in (first + 1..first + width).rev() {
                    numbers[at - 1] += numbers[at];
                }
            }
            match cells[0] {
                Cell::Key(NOTHING) => {}
                Cell::Key(key) => keys.push((key, first)),
                Cell::Number(_) => {
                    return Err(invalid("has a number in place of a key in its ctr_data"));
                }
            }
        }
        Ok(Table::new(width, keys, &numbers))
    }
}

impl<'de> Deserialize<'de> for Cell {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Cell;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a number, or a whole number as a text")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Cell, E> {
                text.parse().map(Cell::Key).map_err(E::custom)
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Cell, E> {
                Ok(Cell::Number(number))
            }
            #[expect(clippy::cast_precision_loss, reason = "counts of rows are far smaller")]
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Cell, E> {
                Ok(Cell::Number(number as f64))
            }
            #[expect(clippy::cast_precision_loss, reason = "counts of rows are far smaller")]
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Cell, E> {
                Ok(Cell::Number(number as f64))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
