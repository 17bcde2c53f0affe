//! Which traces a client looks for.

use crate::store::{
    connection::{Connection, Value},
    experiments,
    listed::Listing,
    tokens,
};
use mlops_core::{
    Error, ExperimentId, Result,
    page::Page,
    search::{Attribute, Condition, Filter, Key, List, Order, Test},
};

/// MLflow's number of traces in a page if nobody says, and its most.
const PAGE: (usize, usize) = (100, 500);
/// Where clients note the run that made a trace.
const SOURCE_RUN: &str = "mlflow.sourceRun";

/// What a search of traces asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct TraceSearch {
    pub(crate) experiments: Vec<ExperimentId>,
    pub(crate) filter: String,
    pub(crate) order_by: Vec<String>,
    pub(crate) max_results: Option<usize>,
    pub(crate) page: Option<String>,
}

/// The identities of what a search finds, in order.
pub(super) async fn find(db: &mut Connection, asked: &TraceSearch) -> Result<Page<Value>> {
    let limit = tokens::limit(asked.max_results, PAGE.0, PAGE.1)?;
    let filter = Filter::parse(List::Traces, &asked.filter)?;
    let order = Order::parse(List::Traces, &asked.order_by)?;
    if asked.experiments.is_empty() {
        return Ok(Page::default());
    }
    let mut listing = Listing::new("traces", db.dialect());
    let numbers = asked.experiments.iter().map(|id| experiments::number(id).map(Value::from));
    let numbers = listing.bind_all(numbers.collect::<Result<Vec<_>>>()?);
    listing.require(format!("item.experiment in ({numbers})"));
    for Condition { key, test, .. } in filter.conditions() {
        let condition = condition(&mut listing, key, test)?;
        listing.require(condition);
    }
    for key in order.keys() {
        let column = match &key.key {
            Key::Attribute(attribute) => column(*attribute).map(str::to_owned),
            Key::Tag(name) => Some(pair(&mut listing, "trace_tags", name)),
            Key::Metadata(name) => Some(pair(&mut listing, "trace_metadata", name)),
            _ => None,
        };
        if let Some(column) = column {
            listing.order(&column, key.descending);
        }
    }
    let question = format!("{:?} {:?} {:?}", asked.experiments, asked.filter, asked.order_by);
    listing.page(db, limit, asked.page.as_deref(), &question).await
}

fn pair(listing: &mut Listing, table: &str, key: &str) -> String {
    let key = listing.bind(key);
    format!("(select part.value from {table} part where part.trace = item.id and part.key = {key})")
}

fn condition(listing: &mut Listing, key: &Key, test: &Test) -> Result<String> {
    match key {
        Key::Attribute(Attribute::RunId) => {
            let named = listing.pair_holds("trace_metadata", "trace", SOURCE_RUN, test)?;
            let linked = listing.holds("part.run", test)?;
            Ok(format!(
                "({named} or exists (select 1 from trace_runs part
                 where part.trace = item.id and {linked}))"
            ))
        }
        Key::Attribute(attribute) => match column(*attribute) {
            Some(column) => listing.holds(column, test),
            None => Ok("1 = 0".to_owned()),
        },
        Key::Tag(name) if name.as_ref() == "mlflow.traceName" => listing.holds("item.name", test),
        Key::Tag(name) => listing.pair_holds("trace_tags", "trace", name, test),
        Key::Metadata(name) => listing.pair_holds("trace_metadata", "trace", name, test),
        _ => Err(Error::unsupported("this record does not know a part of the filter")),
    }
}

fn column(attribute: Attribute) -> Option<&'static str> {
    Some(match attribute {
        Attribute::TraceId => "item.id",
        Attribute::ClientRequestId => "item.client_request",
        Attribute::Name => "item.name",
        Attribute::Status => "item.state",
        Attribute::ExperimentId => "cast(item.experiment as text)",
        // Clients count in milliseconds.
        Attribute::StartTime => "(item.started / 1000)",
        // The sum of what is extreme would be no number of the database.
        Attribute::EndTime => {
            "(item.started / 1000 + item.duration / 1000
                + (item.started % 1000 + item.duration % 1000) / 1000)"
        }
        Attribute::Duration => "(item.duration / 1000)",
        _ => return None,
    })
}
