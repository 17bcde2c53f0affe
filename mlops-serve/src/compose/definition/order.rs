//! What has to be there before what: each part before what is made of it.

use super::Definitions;
use mlops_core::{Error, Result, config::nearest};
use std::collections::BTreeSet;

/// The names of what is wanted and of all that it is made of, each after its parts.
///
/// `InvalidInput` names what is unknown, with the nearest that is known, and a circle by all who are on it;
/// `AlreadyExists` names what is a model and a composition.
pub(super) fn order<'a>(
    definitions: &'a Definitions,
    wanted: impl IntoIterator<Item = &'a str>,
) -> Result<Vec<&'a str>> {
    if let Some(name) =
        definitions.compose.keys().find(|name| definitions.models.contains_key(*name))
    {
        return Err(Error::already_exists(format!("{name:?} is a model and a composition")));
    }
    let mut found = Order { definitions, done: Vec::new(), seen: BTreeSet::new() };
    for name in wanted {
        found.visit(name, &mut Vec::new())?;
    }
    Ok(found.done)
}

struct Order<'a> {
    definitions: &'a Definitions,
    done: Vec<&'a str>,
    seen: BTreeSet<&'a str>,
}

/// A composition of compositions of so many others is a mistake, and the stack is not without end.
const DEEPEST: usize = 64;

impl<'a> Order<'a> {
    fn visit(&mut self, name: &'a str, above: &mut Vec<&'a str>) -> Result<()> {
        if let Some(at) = above.iter().position(|outer| *outer == name) {
            let circle: Vec<String> =
                above[at..].iter().chain([&name]).map(|name| format!("{name:?}")).collect();
            return Err(Error::invalid(format!("compose: {} is a circle", circle.join(" of "))));
        }
        if above.len() == DEEPEST {
            return Err(Error::too_large(format!("compose: {name:?} lies deeper than {DEEPEST}")));
        }
        if !self.seen.insert(name) {
            return Ok(());
        }
        match self.definitions.compose.get_key_value(name) {
            Some((own, composition)) => {
                above.push(own);
                for part in composition.parts() {
                    self.visit(part, above)?;
                }
                above.pop();
                self.check_store(name, composition.store())?;
            }
            None if self.definitions.models.contains_key(name) => {}
            None => {
                let known = self.definitions.models.keys().chain(self.definitions.compose.keys());
                let within = above.last().map_or(String::new(), |outer| format!(" {outer:?}"));
                return Err(unknown(
                    &format!("compose{within}: there is no model or composition {name:?}"),
                    name,
                    known,
                ));
            }
        }
        self.done.push(name);
        Ok(())
    }

    fn check_store(&self, name: &str, store: Option<&str>) -> Result<()> {
        let stores = &self.definitions.stores;
        match store {
            Some(store) if !stores.contains_key(store) => Err(unknown(
                &format!("compose {name:?}: there is no store {store:?}"),
                store,
                stores.keys(),
            )),
            _ => Ok(()),
        }
    }
}

fn unknown<'a>(text: &str, name: &str, known: impl Iterator<Item = &'a String>) -> Error {
    let near = nearest(name, known.map(String::as_str));
    let hint = near.map_or(String::new(), |near| format!("; is {near:?} meant?"));
    Error::invalid(format!("{text}{hint}"))
}
