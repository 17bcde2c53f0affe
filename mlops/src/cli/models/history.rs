//! `mlops models history`.

use super::{
    super::{
        Answer, Console,
        columns::{Columns, second},
        record::Asked,
    },
    present,
};
use crate::{
    Alias, Error, ModelName, Registry, Result,
    event::{Cursor, Event, EventKind},
    registry::{HistoryQuery, ModelUri},
};
use clap::Args;
use serde_json::{Value, json};

/// Show what happened to a model, oldest first: who did what, when and why
#[derive(Debug, Args)]
#[command(after_help = "As JSON each event is an object on a line of its own.\n\n\
    Example:\n  mlops models history risk --alias champion")]
pub(in super::super) struct History {
    /// The model
    name: ModelName,
    /// Only moves of this alias
    #[arg(long, conflicts_with = "model_version")]
    alias: Option<Alias>,
    /// Only what happened to this version
    #[arg(long = "of-version", value_name = "VERSION")]
    model_version: Option<u64>,
    /// Only this kind of event, such as alias.moved; may be given again
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl History {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        present(registry, &self.name).await?;
        let mut columns = Columns::new(["time", "event", "by", "of", "detail", "reason"]);
        let mut after = None;
        loop {
            let page = registry.history(self.query(after)).await?;
            for event in &page.items {
                if console.json() {
                    console.say_json(&object(event))?;
                } else {
                    columns.add(row(event));
                }
            }
            let Some(next) = page.next else { break };
            let place = next.parse().map_err(|_| Error::corrupt("a page has no place"))?;
            after = Some(Cursor(place));
        }
        if !console.json() {
            columns.say(console)?;
        }
        Ok(Answer::Yes)
    }

    fn query(&self, after: Option<Cursor>) -> HistoryQuery {
        let name = self.name.clone();
        let of = match (&self.alias, self.model_version) {
            (Some(alias), _) => ModelUri::alias(name, alias.clone()),
            (None, Some(version)) => ModelUri::version(name, version),
            // Of the whole model.
            (None, None) => ModelUri::latest(name),
        };
        let kinds = self.kind.iter().map(EventKind::new).collect();
        let mut query = HistoryQuery::new(of).with_kinds(kinds);
        query.after = after;
        query
    }
}

fn row(event: &Event) -> [String; 6] {
    let detail = match &event.detail {
        Value::Null => String::new(),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| match value {
                Value::String(text) => format!("{key} {text}"),
                other => format!("{key} {other}"),
            });
            fields.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let reason = event.reason.as_deref().unwrap_or_default().to_owned();
    let (kind, actor, subject) = (&event.kind, &event.actor, &event.subject);
    [second(event.time), kind.to_string(), actor.to_string(), subject.to_string(), detail, reason]
}

/// An event as JSON: its time is RFC 3339.
fn object(event: &Event) -> Value {
    json!({
        "id": event.id,
        "time": event.time.to_string(),
        "kind": event.kind,
        "subject": event.subject,
        "actor": event.actor,
        "reason": event.reason,
        "detail": event.detail,
    })
}
