//! What models, versions, aliases and their tags may be called: MLflow's rules, in its words.

use super::args::{Args, invalid, missing};
use mlops_core::{Alias, Error, ModelName, Result, VersionId, tracker::Tags};
use serde_json::json;

/// The longest key and value of a tag, in characters.
const TAG: (usize, usize) = (250, 100_000);

/// The name of a model to be made.
pub(super) fn new_model(args: &Args, field: &str) -> Result<ModelName> {
    ModelName::new(model_text(args, field)?)
}

/// The name of a model that should be there; one that we would give to none is not there.
pub(super) fn model(args: &Args) -> Result<ModelName> {
    let text = model_text(args, "name")?;
    ModelName::new(text).map_err(|_| unknown_model(text))
}

fn model_text<'a>(args: &'a Args, field: &str) -> Result<&'a str> {
    let text = args.required_text(field)?;
    if text.trim().is_empty() {
        return Err(missing(field));
    }
    if text.contains(['/', ':']) {
        let text = format!("Invalid model name '{text}'. Names cannot contain '/' or ':'.");
        return Err(Error::invalid(text));
    }
    if is_normal(text) { Ok(text) } else { Err(not_normal(text, field)) }
}

pub(super) fn unknown_model(name: &str) -> Error {
    Error::not_found(format!("Registered Model with name={name} not found"))
}

/// A version that should be there.
pub(super) fn version(args: &Args) -> Result<VersionId> {
    let text = args.required_text("name")?;
    let number = number(args.required_text("version")?)?;
    let unknown =
        || Error::not_found(format!("Model Version (name={text}, version={number}) not found"));
    let name = model(args).map_err(|error| match error.kind() {
        mlops_core::ErrorKind::NotFound => unknown(),
        _ => error,
    })?;
    u64::try_from(number).map(|number| VersionId::new(name, number)).map_err(|_| unknown())
}

/// A version's number, which comes as a text.
pub(super) fn number(text: &str) -> Result<i64> {
    let whole = text.trim().parse();
    whole.map_err(|_| {
        Error::invalid(format!("Parameter 'version' must be an integer, got '{text}'."))
    })
}

/// An alias to be set.
pub(super) fn new_alias(args: &Args) -> Result<Alias> {
    Alias::new(alias_text(args)?)
}

/// An alias that should be there; `None` for one that can be nobody's.
pub(super) fn alias(args: &Args) -> Result<Option<Alias>> {
    Ok(Alias::new(alias_text(args)?).ok())
}

pub(super) fn alias_text(args: &Args) -> Result<&str> {
    let text = args.required_text("alias")?;
    if text.chars().any(|c| !(c.is_alphanumeric() || matches!(c, '_' | '-'))) {
        return Err(Error::invalid(format!(
            "Invalid alias name: '{text}'. Names may only contain alphanumerics, underscores (_), and \
             dashes (-)."
        )));
    }
    within(text, "Registered model alias name", 255)?;
    Ok(text)
}

/// The tags of something to be made; of one key that is there twice the last counts.
pub(super) fn tags(args: &Args) -> Result<Tags> {
    let mut tags = Tags::new();
    for tag in args.objects("tags")? {
        let (key, value) = (tag.text("key")?, tag.text("value")?);
        let (key, value) = tag_of(key.unwrap_or_default(), value.unwrap_or_default())?;
        tags.insert(key, value);
    }
    Ok(tags)
}

/// The one tag that a call sets.
pub(super) fn tag(args: &Args) -> Result<(String, String)> {
    tag_of(args.required_text("key")?, args.text("value")?.unwrap_or_default())
}

fn tag_of(key: &str, value: &str) -> Result<(String, String)> {
    let key = tag_key(key)?;
    within(key, "key", TAG.0)?;
    within(value, "value", TAG.1)?;
    Ok((key.to_owned(), value.to_owned()))
}

/// The key of a tag.
pub(super) fn tag_key(key: &str) -> Result<&str> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    if !key.chars().all(fits) {
        let why = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), \
                   spaces ( ), colon(:) and slashes (/)";
        return Err(invalid(&json!(key), "key", why));
    }
    if is_normal(key) { Ok(key) } else { Err(not_normal(key, "key")) }
}

/// Whether a name taken for a path is the only one of its place: what Python's `normpath` leaves alone.
fn is_normal(name: &str) -> bool {
    !name.starts_with("..") && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

fn not_normal(name: &str, field: &str) -> Error {
    let why = "Names may be treated as files in certain cases, and must not resolve to other names when \
               treated as such";
    invalid(&json!(name), field, why)
}

fn within(text: &str, what: &str, most: usize) -> Result<()> {
    if text.chars().nth(most).is_none() {
        return Ok(());
    }
    Err(Error::invalid(format!("'{what}' exceeds the maximum length of {most} characters")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_mlflow_takes() {
        for (name, fits) in [
            ("a", true),
            ("a/b", true),
            ("a..b", true),
            (".a", true),
            ("é", true),
            ("", false),
            (".", false),
            ("..", false),
            ("..a", false),
            ("/a", false),
            ("a/", false),
            ("a//b", false),
            ("a/./b", false),
            ("a/../b", false),
            ("a*", false),
            ("a\n", false),
        ] {
            assert_eq!(tag_key(name).is_ok(), fits, "{name:?}");
        }
        assert_eq!((number(" 12 ").unwrap(), number("-1").unwrap()), (12, -1));
        assert!(number("1.0").is_err() && number("").is_err());
    }
}
