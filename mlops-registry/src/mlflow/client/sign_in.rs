//! Who asks: credentials that are sent and never shown.

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

/// What nobody may see.
#[derive(Clone)]
enum Hidden {
    /// Read when the client connects.
    Kept(Secret),
    Text(String),
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
                let pair = base64(format!("{user}:{password}").as_bytes());
                (format!("Basic {pair}"), vec![password, pair])
            }
        };
        // The cause would show the text.
        let mut header = HeaderValue::from_str(&line)
            .map_err(|_| Error::invalid("the credentials hold characters that no header can carry"))?;
        header.set_sensitive(true);
        let hidden = hidden.into_iter().filter(|text| !text.is_empty()).collect();
        Ok(SignIn { header: Some(header), hidden })
    }
}

impl Hidden {
    fn reveal(&self) -> Result<String> {
        match self {
            Self::Kept(secret) => secret.reveal().map(|text| text.expose().to_owned()),
            Self::Text(text) => Ok(text.clone()),
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kept(secret) => fmt::Debug::fmt(secret, f),
            Self::Text(_) => f.write_str("…"),
        }
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

/// Base 64 of RFC 4648, with padding.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits = group.iter().enumerate().fold(0_u32, |bits, (place, byte)| {
            bits | u32::from(*byte) << (16 - 8 * place)
        });
        for place in 0..4 {
            let digit = DIGITS[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        // The examples of RFC 4648, section 10.
        for (bytes, text) in [
            ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="), ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

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
