//! What travels: MLflow's requests and answers as it names them, and what ours adds to them.
//!
//! Every type is written and read, so that client and server share it. Names are MLflow's own
//! (`snake_case`); what is empty is left out, as protobuf's JSON does, and what is unknown is passed over.
//! Integers are read as numbers or texts, numbers also as `"NaN"` and `"Infinity"`.

pub(crate) mod artifacts;
pub(crate) mod datasets;
pub(crate) mod described;
pub(crate) mod experiments;
pub(crate) mod extension;
pub(crate) mod models;
mod numbers;
pub(crate) mod reserved;
pub(crate) mod runs;

pub(crate) use numbers::{Double, Int};

use serde::{Deserialize, Serialize};

/// An object with these fields: all optional when read, none written when empty.
macro_rules! messages {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
            #[serde(default)]
            #[allow(clippy::struct_field_names, reason = "fields are named as MLflow names them")]
            pub(crate) struct $name {
                $(
                    $(#[$field_doc])*
                    #[serde(skip_serializing_if = "crate::mlflow::wire::is_default")]
                    pub(crate) $field: $type,
                )*
            }
        )*
    };
}
use messages;

/// Whether a field need not be written.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A key with a value: a tag or a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Pair {
    pub(crate) key: String,
    pub(crate) value: String,
}

impl Pair {
    pub(crate) fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

messages! {
    /// What every refusal carries.
    Refusal {
        error_code: Option<String>,
        message: Option<String>,
    }
}
