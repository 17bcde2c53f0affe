//! Which logged models a client looks for.

use crate::store::{
    connection::{Connection, Value},
    experiments,
    listed::Listing,
    tokens,
    words::word,
};
use mlops_core::{
    Error, ExperimentId, Result,
    page::Page,
    search::{Attribute, Condition, Filter, Key, List, Order, Test},
    tracker::Lifecycle,
};

/// MLflow's number of models in a page if nobody says, and the most that this record gives.
const PAGE: (usize, usize) = (100, 5000);

/// What a search of logged models asks for.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoggedModelSearch {
    pub(crate) experiments: Vec<ExperimentId>,
    pub(crate) filter: String,
    /// Name and, if not empty, digest: only what was measured on one of these counts as a metric, and
    /// without a condition on metrics a model must have been measured on one.
    pub(crate) datasets: Vec<(String, String)>,
    pub(crate) order_by: Vec<LoggedModelOrder>,
    pub(crate) max_results: Option<usize>,
    pub(crate) page: Option<String>,
}

/// One key to order by.
#[derive(Clone, Debug)]
pub(crate) struct LoggedModelOrder {
    /// `name`, `creation_timestamp`, `metrics.auc` …
    pub(crate) field: String,
    pub(crate) descending: bool,
    /// Only what was measured on this data, if not empty.
    pub(crate) dataset: (String, String),
}

/// The identities of what a search finds, in order.
pub(super) async fn find(db: &mut Connection, asked: &LoggedModelSearch) -> Result<Page<Value>> {
    let limit = tokens::limit(asked.max_results, PAGE.0, PAGE.1)?;
    let filter = Filter::parse(List::LoggedModels, &asked.filter)?;
    if asked.experiments.is_empty() {
        return Ok(Page::default());
    }
    let mut listing = Listing::new("logged_models", db.dialect());
    let numbers = asked.experiments.iter().map(|id| experiments::number(id).map(Value::from));
    let numbers = listing.bind_all(numbers.collect::<Result<Vec<_>>>()?);
    listing.require(format!("item.experiment in ({numbers})"));
    let active = listing.bind(word(&Lifecycle::Active)?);
    listing.require(format!("item.lifecycle = {active}"));
    let mut of_metrics = false;
    for Condition { key, test, .. } in filter.conditions() {
        of_metrics |= matches!(key, Key::Metric(_));
        let condition = condition(&mut listing, key, test, &asked.datasets)?;
        listing.require(condition);
    }
    if !asked.datasets.is_empty() && !of_metrics {
        let measured = on(&mut listing, &asked.datasets);
        listing.require(format!(
            "exists (select 1 from logged_model_metrics part where part.model = item.id {measured})"
        ));
    }
    order(&mut listing, &asked.order_by)?;
    let question = format!(
        "{:?} {:?} {:?} {:?}",
        asked.experiments, asked.filter, asked.datasets, asked.order_by
    );
    listing.page(db, limit, asked.page.as_deref(), &question).await
}

fn condition(
    listing: &mut Listing,
    key: &Key,
    test: &Test,
    datasets: &[(String, String)],
) -> Result<String> {
    match key {
        Key::Attribute(attribute) => match column(*attribute) {
            Some(column) => listing.holds(column, test),
            None => Ok("1 = 0".to_owned()),
        },
        Key::Metric(name) => {
            let name = listing.bind(name);
            let holds = listing.holds("part.number", test)?;
            let measured = on(listing, datasets);
            Ok(format!(
                "exists (select 1 from logged_model_metrics part
                 where part.model = item.id and part.metric = {name} and {holds} {measured})"
            ))
        }
        Key::Param(name) => listing.pair_holds("logged_model_params", "model", name, test),
        Key::Tag(name) => listing.pair_holds("logged_model_tags", "model", name, test),
        _ => Err(Error::unsupported("this record does not know a part of the filter")),
    }
}

/// `and (…)`: measured on one of these; nothing if there is none.
fn on(listing: &mut Listing, datasets: &[(String, String)]) -> String {
    if datasets.is_empty() {
        return String::new();
    }
    let ways = datasets.iter().map(|(name, digest)| {
        let name = format!("part.dataset_name = {}", listing.bind(name));
        if digest.is_empty() {
            return name;
        }
        format!("({name} and part.dataset_digest = {})", listing.bind(digest))
    });
    format!("and ({})", ways.collect::<Vec<_>>().join(" or "))
}

fn order(listing: &mut Listing, keys: &[LoggedModelOrder]) -> Result<()> {
    let mut last = vec![("(item.created / 1000)", true), ("item.id", false)];
    for LoggedModelOrder { field, descending, dataset } in keys {
        let key = key(field)?;
        let column = match &key {
            Key::Attribute(attribute) => column(*attribute).map(str::to_owned),
            Key::Metric(name) => {
                let name = listing.bind(name);
                let datasets =
                    if dataset.0.is_empty() { &[] } else { std::slice::from_ref(dataset) };
                let measured = on(listing, datasets);
                Some(format!(
                    "(select part.number from logged_model_metrics part
                     where part.model = item.id and part.metric = {name} {measured}
                     order by part.time desc, part.step desc, part.run limit 1)"
                ))
            }
            _ => None,
        };
        let wrong = || Error::invalid(format!("Invalid order by field name: {field}"));
        let column = column.ok_or_else(wrong)?;
        last.retain(|(own, _)| *own != column);
        listing.order(&column, *descending);
    }
    for (column, descending) in last {
        listing.order(column, descending);
    }
    Ok(())
}

/// What a key to order by names, an attribute by its name alone or a metric: all of its text is a name,
/// so it is quoted before it is read.
fn key(field: &str) -> Result<Key> {
    let quoted = |name: &str| format!("`{}`", name.replace('`', "``"));
    let wrong = || Error::invalid(format!("Invalid order by field name: {field}"));
    let text = match field.split_once('.') {
        Some(("metrics", name)) => format!("metrics.{}", quoted(name)),
        Some(_) => return Err(wrong()),
        None => quoted(field),
    };
    let order = Order::parse(List::LoggedModels, &[text]).map_err(|_| wrong())?;
    let first = order.keys().first().map(|key| key.key.clone());
    first.ok_or_else(|| Error::internal("an order of one key has one"))
}

/// Where MLflow's clients find the artifacts of a model.
const ARTIFACT_URI: &str = "(select coalesce(rtrim(own.artifact_location, '/'),
    'mlflow-artifacts:/' || cast(own.id as text)) || '/models/' || item.id || '/artifacts'
    from experiments own where own.id = item.experiment)";

fn column(attribute: Attribute) -> Option<&'static str> {
    Some(match attribute {
        Attribute::Name => "item.name",
        Attribute::ModelId => "item.id",
        // What nobody said is the empty text, as MLflow's clients send it.
        Attribute::ModelType => "coalesce(item.model_type, '')",
        Attribute::Status => "item.status",
        Attribute::SourceRunId => "coalesce(item.source_run, '')",
        Attribute::ArtifactUri => ARTIFACT_URI,
        Attribute::ExperimentId => "cast(item.experiment as text)",
        // Clients count in milliseconds.
        Attribute::Created => "(item.created / 1000)",
        Attribute::Updated => "(item.updated / 1000)",
        _ => return None,
    })
}
