//! LightGBM's text format (`Booster.save_model`), versions 2 to 4, as its C++ sources write and read it
//! (`src/boosting/gbdt_model_text.cpp`, `src/io/tree.cpp`). Rows and sums are `f64`, as there.
//!
//! A category is a number: the code that the booster was trained with.

use super::{
    Boosted, Ensemble, Loaded,
    linear::{Functions, Missing},
    link::Link,
};
use crate::engines::tabular::forest::{Forest, RawNode, RawWeight, Set, Test};
use mlops_core::{Error, Result};
use std::{collections::HashMap, fmt::Display, str::FromStr};

const FIRST_LINE: &str = "tree";
/// The bits of a node's `decision_type`.
const CATEGORICAL: u8 = 1;
const MISSING_LEFT: u8 = 2;
/// How its missing values are told, above those two bits.
const MISSING_KIND: u8 = 2;

pub(super) fn begins(bytes: &[u8]) -> bool {
    let rest = bytes.strip_prefix(FIRST_LINE.as_bytes()).unwrap_or_default();
    matches!(rest.first(), Some(b'\n' | b'\r'))
}

pub(super) fn read(bytes: &[u8]) -> Result<Loaded> {
    let text = std::str::from_utf8(bytes).map_err(|_| invalid("is not UTF-8"))?;
    let mut lines = text.lines();
    let header = Section::read(&mut lines);
    header.check_version()?;
    let outputs: usize = header.number("num_tree_per_iteration")?;
    let last: usize = header.number("max_feature_idx")?;
    let features: Vec<_> = header.words("feature_names")?.map(Into::into).collect();
    if Some(features.len()) != last.checked_add(1) {
        return Err(invalid(format!(
            "names {} features, where max_feature_idx is {last}",
            features.len()
        )));
    }
    if outputs == 0 || outputs > usize::from(u16::MAX) {
        return Err(invalid(format!("has {outputs} trees an iteration")));
    }
    let mut trees = Trees {
        nodes: Vec::new(),
        weights: Vec::new(),
        sets: Vec::new(),
        functions: Functions::new(),
        linear: None,
        count: 0,
    };
    let mut ended = header.ended;
    while !ended {
        let section = Section::read(&mut lines);
        trees.add(&section, outputs)?;
        ended = section.ended;
    }
    let Trees { nodes, weights, sets, functions, count, .. } = trees;
    let forest = Forest::new(&nodes, weights, sets, &|why| invalid(why))?;
    let asked = forest.features().max(functions.features());
    if asked > features.len() {
        return Err(invalid(format!("asks for feature {} of {}", asked - 1, features.len())));
    }
    #[expect(clippy::cast_precision_loss, reason = "far fewer trees than an f64 counts exactly")]
    let divisor = if header.fields.contains_key("average_output") {
        (count / outputs).max(1) as f64
    } else {
        1.0
    };
    let link = link(header.fields.get("objective").copied().unwrap_or_default(), outputs)?;
    let base = vec![0.0; outputs];
    let functions = Some(functions).filter(|functions| functions.len() > 0).map(Box::new);
    let model = Boosted::F64(Ensemble { forest, sums: outputs, base, divisor, link, functions });
    Ok(Loaded {
        model,
        flavor: "lightgbm",
        columns: features.len(),
        features,
        categories: Vec::new(),
    })
}

fn invalid(why: impl Display) -> Error {
    Error::invalid(format!("the LightGBM model {why}"))
}

/// The function over the sums of an objective, such as `binary sigmoid:1`.
fn link(objective: &str, outputs: usize) -> Result<Link> {
    let mut words = objective.split_ascii_whitespace();
    let name = words.next().unwrap_or_default();
    let parameters: HashMap<&str, &str> =
        words.map(|word| word.split_once(':').unwrap_or((word, ""))).collect();
    let sigmoid = || match parameters.get("sigmoid").map(|text| text.parse()) {
        None => Ok(1.0),
        Some(Ok(scale)) => Ok(scale),
        Some(Err(_)) => Err(invalid(format!("has the objective {objective:?}"))),
    };
    Ok(match name {
        "regression" | "regression_l2" | "regression_l1" | "fair" | "quantile" | "mape"
            if parameters.contains_key("sqrt") =>
        {
            Link::SignedSquare
        }
        "" | "custom" | "none" | "regression" | "regression_l2" | "regression_l1" | "huber"
        | "fair" | "quantile" | "mape" | "lambdarank" | "rank_xendcg" => Link::Identity,
        "poisson" | "gamma" | "tweedie" => Link::Exp,
        "binary" | "multiclassova" => Link::Logistic(sigmoid()?),
        "multiclass" if outputs > 1 => Link::Softmax,
        "cross_entropy" | "xentropy" => Link::Logistic(1.0),
        "cross_entropy_lambda" | "xentlambda" => Link::SoftPlus,
        _ => {
            return Err(Error::unsupported(format!(
                "the objective {objective:?} of a LightGBM model is not supported"
            )));
        }
    })
}

/// Lines `name=value` up to the next tree, or to the end of the trees.
#[derive(Debug, Default)]
struct Section<'a> {
    fields: HashMap<&'a str, &'a str>,
    /// Whether no tree follows.
    ended: bool,
    /// Whether the file says so, and was not cut off.
    whole: bool,
}

impl<'a> Section<'a> {
    fn read(lines: &mut std::str::Lines<'a>) -> Self {
        let mut section = Self::default();
        for line in lines {
            // Versions before 2.2 go on with what the trees are followed by.
            if matches!(line, "end of trees" | "feature importances:") {
                return Self { ended: true, whole: true, ..section };
            }
            let (name, value) = line.split_once('=').unwrap_or((line, ""));
            if name == "Tree" {
                return Self { whole: true, ..section };
            }
            section.fields.insert(name, value);
        }
        Self { ended: true, ..section }
    }

    fn check_version(&self) -> Result<()> {
        match self.fields.get("version").copied() {
            Some("v2" | "v3" | "v4") => Ok(()),
            version => Err(Error::unsupported(format!(
                "the LightGBM model's version {:?} is not supported: v2, v3 and v4 are",
                version.unwrap_or_default()
            ))),
        }
    }

    fn field(&self, name: &str) -> Result<&'a str> {
        self.fields.get(name).copied().ok_or_else(|| invalid(format!("has no {name}")))
    }

    fn words(&self, name: &str) -> Result<std::str::SplitAsciiWhitespace<'a>> {
        self.field(name).map(str::split_ascii_whitespace)
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<T> {
        let text = self.field(name)?;
        text.trim().parse().map_err(|_| invalid(format!("has {text:.40?} as its {name}")))
    }

    /// A list of so many numbers.
    fn list<T: FromStr>(&self, name: &str, count: usize) -> Result<Vec<T>> {
        let parse = |word: &str| {
            word.parse().map_err(|_| invalid(format!("has {word:.40?} among its {name}")))
        };
        let list: Vec<T> = self.words(name)?.map(parse).collect::<Result<_>>()?;
        if list.len() != count {
            return Err(invalid(format!("has {} of {name}, where {count} belong", list.len())));
        }
        Ok(list)
    }
}

/// The nodes and leaves of all trees.
#[derive(Debug)]
struct Trees {
    nodes: Vec<RawNode<f64>>,
    weights: Vec<RawWeight<f64>>,
    sets: Vec<Set>,
    /// Of each leaf, if the first tree is linear: then all are.
    functions: Functions<f64>,
    linear: Option<bool>,
    count: usize,
}

impl Trees {
    fn add(&mut self, section: &Section<'_>, outputs: usize) -> Result<()> {
        let at = self.count;
        if !section.whole {
            return Err(invalid(format!("is cut off in tree {at}")));
        }
        let linear = section.fields.get("is_linear").is_some_and(|linear| *linear != "0");
        if *self.linear.get_or_insert(linear) != linear {
            return Err(invalid("has linear trees and others"));
        }
        let leaves: usize = section.number("num_leaves")?;
        let mut values = section.list::<f64>("leaf_value", leaves)?;
        if linear {
            self.functions(section, &mut values)?;
        }
        let (tree, branches) = (i64::try_from(at).unwrap_or(i64::MAX), leaves.saturating_sub(1));
        self.branches(section, tree, branches)?;
        let target = u32::try_from(at % outputs).unwrap_or(u32::MAX);
        for (leaf, value) in values.into_iter().enumerate() {
            let id = i64::try_from(branches + leaf).unwrap_or(i64::MAX);
            let (test, threshold) = (Test::Leaf, 0.0);
            let (feature, yes, no, missing_yes) = (0, 0, 0, false);
            self.nodes.push(RawNode { tree, id, feature, threshold, test, yes, no, missing_yes });
            self.weights.push(RawWeight { tree, node: id, target, value });
        }
        self.count += 1;
        Ok(())
    }

    fn branches(&mut self, section: &Section<'_>, tree: i64, count: usize) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let features = section.list::<i64>("split_feature", count)?;
        let thresholds = section.list::<f64>("threshold", count)?;
        let decisions = section.list::<u8>("decision_type", count)?;
        let left = section.list::<i64>("left_child", count)?;
        let right = section.list::<i64>("right_child", count)?;
        let sets = self.sets(section)?;
        // What is below zero is a leaf: -1 the first.
        let internal = i64::try_from(count).unwrap_or(i64::MAX);
        let child = |id: i64| if id < 0 { internal.saturating_add(!id) } else { id };
        for at in 0..count {
            let (test, missing_yes) = test(decisions[at], thresholds[at], &sets)?;
            // A fraction below zero is cut to zero, which is a category.
            let least = (-1_f64).next_up();
            self.nodes.push(RawNode {
                tree,
                id: i64::try_from(at).unwrap_or(i64::MAX),
                feature: features[at],
                threshold: if let Test::Among(_) = test { least } else { thresholds[at] },
                test,
                yes: child(left[at]),
                no: child(right[at]),
                missing_yes,
            });
        }
        Ok(())
    }

    /// Puts the number of its function in place of what each leaf says of a row in which a feature is missing.
    fn functions(&mut self, section: &Section<'_>, values: &mut [f64]) -> Result<()> {
        let constants = section.list::<f64>("leaf_const", values.len())?;
        let counts = section.list::<usize>("num_features", values.len())?;
        let all = counts.iter().try_fold(0_usize, |all, count| all.checked_add(*count));
        let all = all.ok_or_else(|| invalid("has too many num_features"))?;
        let features = section.list::<usize>("leaf_features", all)?;
        let factors = section.list::<f64>("leaf_coeff", all)?;
        let mut terms = features.into_iter().zip(factors);
        for ((value, constant), count) in values.iter_mut().zip(constants).zip(counts) {
            #[expect(clippy::cast_precision_loss, reason = "far fewer than an f64 counts exactly")]
            let number = self.functions.len() as f64;
            let instead = Missing::Instead(std::mem::replace(value, number));
            self.functions.add(constant, terms.by_ref().take(count), instead);
        }
        Ok(())
    }

    /// The numbers that this tree's sets have among all.
    fn sets(&mut self, section: &Section<'_>) -> Result<Vec<u32>> {
        let count: usize = section.number("num_cat")?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let few = count.checked_add(1).ok_or_else(|| invalid("has too many categories"))?;
        let bounds = section.list::<usize>("cat_boundaries", few)?;
        let words = section.list::<u32>("cat_threshold", bounds.last().copied().unwrap_or(0))?;
        let mut numbers = Vec::with_capacity(count);
        for pair in bounds.windows(2) {
            let set = words.get(pair[0]..pair[1]);
            let set = set.ok_or_else(|| invalid("has cat_boundaries that do not rise"))?;
            numbers.push(u32::try_from(self.sets.len()).map_err(|_| invalid("has too many sets"))?);
            self.sets.push(set.into());
        }
        Ok(numbers)
    }
}

/// What a node asks, and whether a missing value goes left.
fn test(decision: u8, threshold: f64, sets: &[u32]) -> Result<(Test, bool)> {
    if decision & CATEGORICAL != 0 {
        // What is no category goes right.
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "looked up")]
        let set = sets.get(threshold as usize).copied();
        let set = set.ok_or_else(|| invalid(format!("asks for the set {threshold}")))?;
        return Ok((Test::Among(set), false));
    }
    let left = decision & MISSING_LEFT != 0;
    match decision >> MISSING_KIND {
        // None were there: what is missing counts as zero.
        0 => Ok((Test::AtMost, 0.0 <= threshold)),
        1 => Ok((if left { Test::AtMostOrZero } else { Test::AtMostNotZero }, left)),
        2 => Ok((Test::AtMost, left)),
        _ => Err(invalid(format!("has the decision type {decision}"))),
    }
}
