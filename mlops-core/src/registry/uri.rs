//! `models:/NAME@ALIAS` and `models:/NAME/VERSION`.

use crate::{Alias, Error, ModelName, Result};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Names a version of a registered model, directly or by what points at it.
///
/// ```
/// use mlops_core::registry::ModelUri;
///
/// let uri: ModelUri = "models:/risk@champion".parse()?;
/// assert_eq!(uri.to_string(), "models:/risk@champion");
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelUri {
    /// The registered model.
    pub model: ModelName,
    /// Which version of it.
    pub which: Which,
}

/// Which version of a model.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Which {
    /// What an alias points at.
    Alias(Alias),
    /// This number.
    Version(u64),
    /// The largest number.
    Latest,
}

impl ModelUri {
    /// What an alias points at.
    pub fn alias(model: ModelName, alias: Alias) -> Self {
        Self { model, which: Which::Alias(alias) }
    }

    /// This version.
    pub fn version(model: ModelName, version: u64) -> Self {
        Self { model, which: Which::Version(version) }
    }

    /// The latest version.
    pub fn latest(model: ModelName) -> Self {
        Self { model, which: Which::Latest }
    }
}

impl fmt::Display for ModelUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = &self.model;
        match &self.which {
            Which::Alias(alias) => write!(f, "models:/{model}@{alias}"),
            Which::Version(version) => write!(f, "models:/{model}/{version}"),
            Which::Latest => write!(f, "models:/{model}/latest"),
        }
    }
}

impl FromStr for ModelUri {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = || {
            let form = "models:/NAME@ALIAS, models:/NAME/VERSION or models:/NAME/latest";
            Error::invalid(format!("not a model URI ({form}): {text:?}"))
        };
        let rest = text.strip_prefix("models:/").ok_or_else(bad)?;
        if let Some((model, alias)) = rest.split_once('@') {
            return Ok(Self::alias(ModelName::new(model)?, Alias::new(alias)?));
        }
        let (model, version) = rest.split_once('/').ok_or_else(bad)?;
        let model = ModelName::new(model)?;
        if version.eq_ignore_ascii_case("latest") {
            return Ok(Self::latest(model));
        }
        let digits = version.bytes().all(|byte| byte.is_ascii_digit());
        let number = version.parse().ok().filter(|&number| digits && number > 0);
        number.map(|number| Self::version(model, number)).ok_or_else(bad)
    }
}

impl TryFrom<String> for ModelUri {
    type Error = Error;
    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<ModelUri> for String {
    fn from(uri: ModelUri) -> Self {
        uri.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_ones_print_back_and_bad_ones_say_the_form() {
        for text in ["models:/risk@champion", "models:/my model/3", "models:/risk/latest"] {
            assert_eq!(text.parse::<ModelUri>().unwrap().to_string(), text);
        }
        for text in [
            "risk",
            "models:/risk",
            "models:/risk/0",
            "models:/risk/+1",
            "models:/@a",
            "models:/r@v1",
        ] {
            assert!(text.parse::<ModelUri>().is_err(), "{text}");
        }
    }
}
