//! Keys that callers present.

use mlops_core::{Digest, Error, ErrorKind, Principal, Result, auth::Authenticator};
use std::{fmt, hint::black_box};

/// The fewest characters of a key: 16 random ones of 64 are 96 bits.
const SHORTEST: usize = 16;

/// Knows callers by keys, of which it keeps the SHA-256 alone.
///
/// A key comes as `Authorization: Bearer KEY` or `X-API-Key: KEY`. It is compared with every key that
/// is known, in a time that does not depend on where they differ.
///
/// ```
/// use mlops_core::{Principal, auth::Authenticator};
/// use mlops_serve::http::ApiKeys;
///
/// let keys = ApiKeys::new().with_key(Principal::new("shop"), "c2hvcC1zZWNyZXQtMQ")?;
/// assert_eq!(&*keys.authenticate(Some("Bearer c2hvcC1zZWNyZXQtMQ"))?.name, "shop");
/// assert!(keys.authenticate(Some("Bearer another")).is_err());
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct ApiKeys(Vec<(Digest, Principal)>);

impl ApiKeys {
    /// Knows nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// Knows this caller by this key. `InvalidInput` if the key has under 16 characters, or others
    /// than printable ASCII, or is somebody's already.
    pub fn with_key(self, caller: Principal, key: &str) -> Result<Self> {
        if key.len() < SHORTEST || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::invalid(format!(
                "the key of {:?} is not {SHORTEST} printable ASCII characters or more",
                caller.name
            )));
        }
        self.with_digest(caller, Digest::of(key))
    }

    /// Knows this caller by the key of this SHA-256.
    pub fn with_digest(mut self, caller: Principal, digest: Digest) -> Result<Self> {
        if let Some((_, other)) = self.0.iter().find(|(known, _)| *known == digest) {
            let text = format!("{:?} and {:?} have the same key", other.name, caller.name);
            return Err(Error::invalid(text));
        }
        self.0.push((digest, caller));
        Ok(self)
    }

    /// Reads `NAME KEY` or `NAME sha256:HEX` a line, and after it, if the key has any, its roles:
    /// `NAME KEY admin` or `NAME KEY admin,other`. Empty lines and those that begin with `#` are left
    /// out. Several lines may give one name several keys, each with roles of its own. Errors name the
    /// line, never the key.
    pub fn parse(text: &str) -> Result<Self> {
        let mut keys = Self::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            keys = keys.with_line(line).map_err(|error| {
                let number = number + 1;
                Error::new(error.kind(), format!("line {number}: {}", error.message()))
            })?;
        }
        Ok(keys)
    }

    fn with_line(self, line: &str) -> Result<Self> {
        let mut words = line.split_whitespace();
        let (Some(name), Some(key)) = (words.next(), words.next()) else {
            return Err(Error::invalid("is not a name and a key"));
        };
        let roles = words.next().unwrap_or_default();
        if words.next().is_some() {
            return Err(Error::invalid("is more than a name, a key and roles with commas between"));
        }
        let roles = roles.split(',').filter(|role| !role.is_empty());
        let caller = roles.fold(Principal::new(name), Principal::with_role);
        match key.strip_prefix("sha256:") {
            None => self.with_key(caller, key),
            Some(hex) => {
                let digest = hex.parse::<Digest>();
                let wrong = |_| Error::invalid("what follows sha256: is not 64 hexadecimal digits");
                self.with_digest(caller, digest.map_err(wrong)?)
            }
        }
    }

    /// How many keys it knows.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it knows nobody.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Authenticator for ApiKeys {
    fn authenticate(&self, authorization: Option<&str>) -> Result<Principal> {
        let refuse = |message: &'static str| Error::new(ErrorKind::Unauthenticated, message);
        let given = authorization.ok_or_else(|| refuse("an API key is missing"))?;
        let bearer = given.split_once(' ').filter(|(form, _)| form.eq_ignore_ascii_case("bearer"));
        let (_, key) = bearer.ok_or_else(|| refuse("the credentials are not a bearer's key"))?;
        let given = Digest::of(key.trim());
        let mut known = None;
        for (digest, caller) in &self.0 {
            let pairs = digest.as_bytes().iter().zip(given.as_bytes());
            let differ = pairs.fold(0, |differ, (one, other)| differ | (one ^ other));
            // All are looked at, whichever fits.
            if black_box(differ) == 0 {
                known = Some(caller);
            }
        }
        known.cloned().ok_or_else(|| refuse("the API key is not known"))
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let callers = self.0.iter().map(|(_, caller)| &caller.name);
        f.debug_tuple("ApiKeys").field(&callers.collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_keys_are_read_and_mistakes_name_the_line() {
        let hex = Digest::of("0123456789abcdef").to_hex();
        let keys = ApiKeys::parse(&format!(
            "# callers\n\nshop  shop-secret-000001\r\nshop shop-secret-000002 ops,admin\nother sha256:{hex} admin\n"
        ));
        let keys = keys.unwrap();
        assert_eq!((keys.len(), keys.is_empty()), (3, false));
        for (key, name) in [
            ("bearer shop-secret-000001", "shop"),
            ("Bearer  shop-secret-000002 ", "shop"),
            ("BEARER 0123456789abcdef", "other"),
        ] {
            assert_eq!(&*keys.authenticate(Some(key)).unwrap().name, name);
        }
        for (key, roles) in [
            ("Bearer shop-secret-000001", &[][..]),
            ("Bearer shop-secret-000002", &["admin", "ops"]),
            ("Bearer 0123456789abcdef", &["admin"]),
        ] {
            let caller = keys.authenticate(Some(key)).unwrap();
            assert_eq!(caller.roles.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), roles);
        }
        assert_eq!(format!("{keys:?}"), "ApiKeys([\"shop\", \"shop\", \"other\"])");
        for (text, says) in [
            ("a 0123456789abcdef b c", "line 1: is more than a name, a key and roles"),
            ("#\na", "line 2: is not a name and a key"),
            ("a short", "line 1: the key of \"a\" is not 16 printable"),
            ("a sha256:12", "line 1: what follows sha256:"),
            ("a 0123456789abcdef\nb 0123456789abcdef", "line 2: \"a\" and \"b\" have the same key"),
        ] {
            let error = ApiKeys::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(says) && !error.contains("0123456789"), "{error}");
        }
    }

    #[test]
    fn who_is_not_known_is_unauthenticated_and_hears_nothing() {
        let keys = ApiKeys::new().with_key(Principal::new("a"), "0123456789abcdef").unwrap();
        let near = "Bearer 0123456789abcdeF";
        for given in [None, Some(""), Some("Bearer"), Some("Basic 0123456789abcdef"), Some(near)] {
            let error = keys.authenticate(given).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unauthenticated);
            assert!(!error.to_string().contains("0123"), "{error}");
        }
    }
}
