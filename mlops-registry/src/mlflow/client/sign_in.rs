//! Who asks: credentials that are sent and never shown.

use crate::hidden::Hidden;
use base64::{Engine, engine::general_purpose::STANDARD};
use mlops_core::{Error, Result, config::Secret};
use reqwest::header::HeaderValue;
use std::fmt;

/// How a client says who it is.
///
/// ```
/// use mlops_core::config::Secret;
/// use mlops_registry::mlflow::Auth;
///
/// let auth = Auth::basic("ada", Secret::Env("RECORD_PASSWORD".into()));
/// assert_eq!(format!("{auth:?}"), "Auth(basic, ada, Secret($RECORD_PASSWORD))");
/// ```
#[derive(Clone, Default)]
pub struct Auth(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    None,
    Bearer(Hidden),
    Basic(String, Hidden),
}

impl Auth {
    /// Says nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// A bearer token.
    pub fn bearer(token: Secret) -> Self {
        Self(Kind::Bearer(Hidden::Kept(token)))
    }

    /// A user and a password.
    pub fn basic(user: impl Into<String>, password: Secret) -> Self {
        Self(Kind::Basic(user.into(), Hidden::Kept(password)))
    }

    pub(super) fn bearer_text(token: String) -> Self {
        Self(Kind::Bearer(Hidden::Text(token)))
    }

    pub(super) fn basic_text(user: String, password: String) -> Self {
        Self(Kind::Basic(user, Hidden::Text(password)))
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self.0, Kind::None)
    }

    /// Reads the secret.
    pub(super) fn sign_in(&self) -> Result<SignIn> {
        let (line, hidden) = match &self.0 {
            Kind::None => return Ok(SignIn::default()),
            Kind::Bearer(token) => {
                let token = token.reveal()?;
                (format!("Bearer {token}"), vec![token])
            }
            Kind::Basic(user, password) => {
                let password = password.reveal()?;
                let pair = STANDARD.encode(format!("{user}:{password}"));
                (format!("Basic {pair}"), vec![password, pair])
            }
        };
        // The cause would show the text.
        let mut header = HeaderValue::from_str(&line).map_err(|_| {
            Error::invalid("the credentials hold characters that no header can carry")
        })?;
        header.set_sensitive(true);
        let hidden = hidden.into_iter().filter(|text| !text.is_empty()).collect();
        Ok(SignIn { header: Some(header), hidden })
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::None => f.write_str("Auth(none)"),
            Kind::Bearer(token) => write!(f, "Auth(bearer, {token:?})"),
            Kind::Basic(user, password) => write!(f, "Auth(basic, {user}, {password:?})"),
        }
    }
}

/// Credentials as they are sent.
#[derive(Clone, Default)]
pub(super) struct SignIn {
    pub(super) header: Option<HeaderValue>,
    /// Texts that are taken out of whatever a server says.
    hidden: Vec<String>,
}

impl SignIn {
    /// What a server said, without what it must not repeat.
    pub(super) fn redacted(&self, text: &str) -> String {
        self.hidden.iter().fold(text.to_owned(), |text, hidden| text.replace(hidden.as_str(), "…"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_secret_is_shown(secret in "[!-~]{8,40}", user in "[a-z]{1,5}") {
            for auth in [Auth::bearer_text(secret.clone()), Auth::basic_text(user.clone(), secret.clone())] {
                let sign_in = auth.sign_in().unwrap();
                let shown = format!("{auth:?} {:?}", sign_in.header);
                prop_assert!(!shown.contains(&secret), "{}", shown);
                let line = sign_in.header.as_ref().unwrap().to_str().unwrap();
                let said = sign_in.redacted(&format!("who is {line}, or {secret}?"));
                prop_assert!(!said.contains(&secret) && !said.contains(line.split_once(' ').unwrap().1));
            }
        }
    }
}
