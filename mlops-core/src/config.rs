//! Configuration from layers, and secrets that never print.

use crate::{Error, Result};
use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, IgnoredAny},
};
use std::{collections::BTreeMap, fmt, path::PathBuf};
use toml::{Table, Value};

/// One TOML tree merged from layers: a later layer wins key by key.
///
/// The program's order is file < environment < flags < code.
///
/// ```
/// use mlops_core::config::Config;
///
/// let file = "[serve]\nport = 8080\nhost = \"127.0.0.1\"";
/// let environment = [("MLOPS__SERVE__PORT", "9090")];
/// let config = Config::new().with_toml("mlops.toml", file)?.with_environment("MLOPS", environment)?;
///
/// #[derive(serde::Deserialize)]
/// struct Serve { host: String, port: u16 }
/// let serve: Serve = config.section("serve")?;
/// assert_eq!((serve.host.as_str(), serve.port), ("127.0.0.1", 9090));
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Config {
    tree: Table,
    /// Which layer set each key, by its dotted path: errors and `config show` name it.
    origins: BTreeMap<String, String>,
}

impl Config {
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a layer of TOML; `InvalidInput` names the layer and the line, and does not repeat it: what
    /// stands there may be what nobody should read.
    pub fn with_toml(self, layer: &str, text: &str) -> Result<Self> {
        let table: Table = text.parse().map_err(|cause: toml::de::Error| {
            let before = cause.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let (line, why) = (before.split('\n').count(), cause.message());
            Error::invalid(format!("{layer}: line {line}: {why}"))
        })?;
        Ok(self.with_layer(layer, table))
    }

    /// Adds the variables `PREFIX__SECTION__KEY=value`; a value that is no TOML value is text.
    pub fn with_environment<'a>(
        self,
        prefix: &str,
        variables: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let start = format!("{prefix}__");
        let mut config = self;
        for (name, text) in variables {
            let Some(path) = name.strip_prefix(&start) else { continue };
            let keys: Vec<String> = path.split("__").map(str::to_lowercase).collect();
            if keys.iter().any(String::is_empty) {
                return Err(Error::invalid(format!(
                    "environment variable {name} has an empty key"
                )));
            }
            config = config.with_layer(&format!("${name}"), nested(&keys, scalar(text)));
        }
        Ok(config)
    }

    /// Sets one key by its dotted path, as a flag does.
    pub fn with_value(self, layer: &str, path: &str, value: impl Into<Value>) -> Self {
        let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
        self.with_layer(layer, nested(&keys, value.into()))
    }

    fn with_layer(mut self, layer: &str, table: Table) -> Self {
        merge(&mut self.tree, table, "", layer, &mut self.origins);
        self
    }

    /// One section as a type; an absent one is the type's defaults, if it has them. The error names
    /// the section, the key and the layer that set it.
    pub fn section<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let value = self.tree.get(name).cloned().unwrap_or_else(|| Value::Table(Table::new()));
        self.typed(value, name)
    }

    fn typed<T: DeserializeOwned>(&self, value: Value, path: &str) -> Result<T> {
        value.try_into().map_err(|cause: toml::de::Error| {
            let text = hinted(cause.message().trim_end());
            let from = self.layers_of(path);
            Error::invalid(format!("configuration [{path}]{from}: {text}")).with_source(cause)
        })
    }

    /// Every entry of a section of named things, such as `[models.NAME]`, each as a type. The error names
    /// the entry, the key and the layer that set it.
    ///
    /// ```
    /// # use mlops_core::config::Config;
    /// #[derive(Debug, serde::Deserialize)]
    /// #[serde(deny_unknown_fields)]
    /// struct Model { source: String }
    ///
    /// let config = Config::new().with_toml("f", "[models.risk]\nsuorce = \"a.onnx\"")?;
    /// let error = config.entries::<Model>("models").unwrap_err();
    /// assert!(error.to_string().starts_with("configuration [models.risk] (from f): unknown field `suorce`"));
    /// assert!(error.to_string().ends_with("; is `source` meant?"));
    /// # Ok::<(), mlops_core::Error>(())
    /// ```
    pub fn entries<T: DeserializeOwned>(&self, section: &str) -> Result<BTreeMap<String, T>> {
        let Some(value) = self.tree.get(section) else { return Ok(BTreeMap::new()) };
        let Value::Table(entries) = value else {
            let from = self.origin(section).unwrap_or("code");
            return Err(Error::invalid(format!(
                "configuration {section} (from {from}) is no table"
            )));
        };
        let one = |(name, value): (&String, &Value)| {
            let path = format!("{section}.{name}");
            Ok((name.clone(), self.typed(value.clone(), &path)?))
        };
        entries.iter().map(one).collect()
    }

    /// `InvalidInput` names a section that none of these is, and the nearest that is.
    pub fn check_sections(&self, known: &[&str]) -> Result<()> {
        let unknown = self.tree.keys().find(|name| !known.contains(&name.as_str()));
        let Some(name) = unknown else { return Ok(()) };
        let layers = self.layers_of(name);
        let from = self.origin(name).map_or(layers, |layer| format!(" (from {layer})"));
        let hint = meant(name, known.iter().copied());
        Err(Error::invalid(format!("configuration has no section [{name}]{from}{hint}")))
    }

    /// The layer that set a key, by its dotted path.
    pub fn origin(&self, path: &str) -> Option<&str> {
        self.origins.get(path).map(String::as_str)
    }

    /// Every key that is set: path, value and layer, in the order of the paths.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value, &str)> {
        self.origins.iter().filter_map(|(path, layer)| {
            let mut keys = path.split('.');
            let first = self.tree.get(keys.next()?)?;
            let value = keys.try_fold(first, |value, key| value.get(key))?;
            Some((path.as_str(), value, layer.as_str()))
        })
    }

    fn layers_of(&self, section: &str) -> String {
        let start = format!("{section}.");
        let within = self.origins.iter().filter(|(path, _)| path.starts_with(&start));
        let mut layers: Vec<&str> = within.map(|(_, layer)| layer.as_str()).collect();
        layers.sort_unstable();
        layers.dedup();
        if layers.is_empty() { String::new() } else { format!(" (from {})", layers.join(", ")) }
    }
}

/// serde's message, with the nearest of the names that it lists if it says that one is unknown.
fn hinted(text: &str) -> String {
    let mut quoted = text.split('`').skip(1).step_by(2);
    let hint = match quoted.next() {
        Some(given) if text.starts_with("unknown ") => meant(given, quoted),
        _ => String::new(),
    };
    format!("{text}{hint}")
}

/// What to add to a message that a name is unknown.
fn meant<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, known).map_or(String::new(), |name| format!("; is `{name}` meant?"))
}

/// The known name that a given one is most likely to mean: the one with the fewest letters to add, to
/// leave out or to change, if that are few.
///
/// ```
/// use mlops_core::config::nearest;
///
/// assert_eq!(nearest("ensembel", ["split", "ensemble"]), Some("ensemble"));
/// assert_eq!(nearest("x", ["split", "ensemble"]), None);
/// ```
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (given.chars().count() / 2).clamp(1, 3);
    let near = known.into_iter().map(|name| (distance(given, name), name));
    near.filter(|(distance, _)| *distance <= most).min().map(|(_, name)| name)
}

/// Levenshtein's.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, letter) in one.chars().enumerate() {
        let mut before = row[0];
        row[0] = at + 1;
        for (place, other) in other.iter().enumerate() {
            let changed = before + usize::from(letter != *other);
            before = row[place + 1];
            row[place + 1] = changed.min(before + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}

fn scalar(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::from(text))
}

fn nested(keys: &[String], value: Value) -> Table {
    let (first, rest) = keys.split_first().expect("a path has at least one key");
    let value = if rest.is_empty() { value } else { Value::Table(nested(rest, value)) };
    Table::from_iter([(first.clone(), value)])
}

fn merge(
    into: &mut Table,
    from: Table,
    path: &str,
    layer: &str,
    origins: &mut BTreeMap<String, String>,
) {
    for (key, value) in from {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (into.get_mut(&key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new, &path, layer, origins),
            (_, Value::Table(new)) => {
                let mut table = Table::new();
                merge(&mut table, new, &path, layer, origins);
                origins.remove(&path);
                into.insert(key, Value::Table(table));
            }
            (_, value) => {
                let below = format!("{path}.");
                origins.retain(|own, _| !own.starts_with(&below));
                origins.insert(path, layer.to_owned());
                into.insert(key, value);
            }
        }
    }
}

/// A secret, given by reference: configuration holds where it is, never what it is.
///
/// ```
/// use mlops_core::config::Secret;
///
/// let secret: Secret = serde_json::from_str(r#"{"env": "MLOPS_TOKEN"}"#)?;
/// assert_eq!(format!("{secret:?}"), "Secret($MLOPS_TOKEN)");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "Written")]
#[non_exhaustive]
pub enum Secret {
    /// In an environment variable.
    Env(String),
    /// In a file, without its last line break.
    File(PathBuf),
}

/// A secret as configuration has it. What is neither may be the secret itself, so that no error repeats it.
#[derive(Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Written {
    Env { env: String },
    File { file: PathBuf },
    Other(IgnoredAny),
}

impl TryFrom<Written> for Secret {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        match written {
            Written::Env { env } => Ok(Self::Env(env)),
            Written::File { file } => Ok(Self::File(file)),
            Written::Other(IgnoredAny) => Err(
                "a secret is named, never written down: { env = \"NAME\" } or { file = \"PATH\" }",
            ),
        }
    }
}

impl Secret {
    /// Reads it now; the error names the place, never the content.
    pub fn reveal(&self) -> Result<Revealed> {
        match self {
            Self::Env(name) => std::env::var(name)
                .map(Revealed)
                .map_err(|_| Error::not_found(format!("secret ${name} is not set or not text"))),
            Self::File(path) => std::fs::read_to_string(path)
                .map(|text| Revealed(text.trim_end_matches(['\r', '\n']).to_owned()))
                .map_err(|source| Error::io(format!("secret file {}", path.display()), source)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "Secret(${name})"),
            Self::File(path) => write!(f, "Secret({})", path.display()),
        }
    }
}

/// A secret's content. Has no `Display`, and a `Debug` that shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Revealed(String);

impl Revealed {
    /// The content, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revealed(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Serve {
        host: String,
        port: u16,
    }

    impl Default for Serve {
        fn default() -> Self {
            Self { host: "127.0.0.1".to_owned(), port: 8080 }
        }
    }

    #[test]
    fn later_layers_win_key_by_key() {
        let config = Config::new()
            .with_toml("mlops.toml", "[serve]\nport = 1\nhost = \"a\"\n[drift]\nalpha = 0.05")
            .unwrap()
            .with_environment("MLOPS", [("MLOPS__SERVE__PORT", "2"), ("PATH", "/bin")])
            .unwrap()
            .with_value("--host", "serve.host", "b");
        let serve: Serve = config.section("serve").unwrap();
        assert_eq!((serve.host.as_str(), serve.port), ("b", 2));
        assert_eq!(config.origin("serve.port"), Some("$MLOPS__SERVE__PORT"));
        let paths: Vec<_> = config.iter().map(|(path, _, layer)| (path, layer)).collect();
        assert_eq!(paths[0], ("drift.alpha", "mlops.toml"));
        assert_eq!(config.section::<Serve>("absent").unwrap().port, 8080);
    }

    #[test]
    fn a_mistake_names_section_key_and_layer() {
        let config = Config::new().with_toml("mlops.toml", "[serve]\nprot = 1").unwrap();
        let text = config.section::<Serve>("serve").unwrap_err().to_string();
        assert!(
            text.starts_with("configuration [serve] (from mlops.toml): unknown field `prot`"),
            "{text}"
        );
        assert!(text.contains("expected `host` or `port`") && text.ends_with("; is `port` meant?"));
        let known = config.check_sections(&["serve"]);
        assert!(known.is_ok());
        let error = config.check_sections(&["server", "models"]).unwrap_err().to_string();
        let expected = "configuration has no section [serve] (from mlops.toml); is `server` meant?";
        assert_eq!(error, expected);
        let error = Config::new().with_toml("f", "b = 1\na = hunter2").unwrap_err();
        assert!(error.to_string().starts_with("f: line 2: "), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn a_secret_is_read_but_never_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "hunter2\n").unwrap();
        let revealed = Secret::File(path).reveal().unwrap();
        assert_eq!(revealed.expose(), "hunter2");
        assert!(!format!("{revealed:?}").contains("hunter2"));
        assert!(Secret::Env("MLOPS_TEST_ABSENT".into()).reveal().is_err());
    }

    #[test]
    fn a_secret_that_is_written_down_is_refused_and_not_repeated() {
        for text in [
            "\"hunter2\"",
            "112233",
            "[\"hunter2\"]",
            "{ value = \"hunter2\" }",
            "{ hunter2 = 1 }",
            "{ env = 112233 }",
            "{ env = \"A\", file = \"hunter2\" }",
        ] {
            let config = Config::new().with_toml("f", &format!("[a]\nb = {text}")).unwrap();
            let error = config.section::<BTreeMap<String, Secret>>("a").unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("never written down"), "{shown}");
            assert!(!shown.contains("hunter2") && !shown.contains("112233"), "{shown}");
        }
        for secret in [Secret::Env("A".into()), Secret::File("a".into())] {
            let text = serde_json::to_string(&secret).unwrap();
            assert_eq!(serde_json::from_str::<Secret>(&text).unwrap(), secret);
        }
    }
}
