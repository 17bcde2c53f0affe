//! A filter and an order as one statement, for every list alike.
//!
//! The meaning is that of `mlops_core::search`; what it says about a thing in memory, this says about rows.

mod beginning;
mod columns;
mod mark;

use super::{
    connection::{Connection, Dialect, Value, placeholders},
    experiments, tags,
    tags::TagTable,
    tokens,
    words::{int, word},
};
use columns::{attribute_column, dataset_column, source, tag_table};
use mark::Mark;
use mlops_core::{
    Error, Result,
    page::{Page, Search, View},
    search::{Attribute, Comparison, Condition, Filter, Key, List, Order, Test},
    tracker::Lifecycle,
};
use std::{ptr, sync::Arc};

/// Conditions whose rows are joined; more are asked for one by one. SQLite joins 64 tables, and an order has its own.
const MOST_JOINED: usize = 24;
/// The most values that one statement takes.
pub(super) const MOST_VALUES: usize = 30_000;

/// The tag of what MLflow keeps among models and is none.
pub(super) const PROMPT: &str = "mlflow.prompt.is_prompt";

/// The identities of what a search finds, in order, and where the next page begins.
pub(super) async fn find(db: &mut Connection, list: List, search: &Search) -> Result<Page<Value>> {
    let filter = Filter::parse(list, &search.filter)?;
    found(db, list, search, filter.conditions(), false).await
}

/// The same for MLflow's clients, who do not see prompts, which MLflow keeps as models with a tag, unless
/// they ask for them by that tag.
pub(super) async fn find_for_mlflow(
    db: &mut Connection,
    list: List,
    search: &Search,
) -> Result<Page<Value>> {
    let filter = Filter::parse(list, &search.filter)?;
    let (about, mut others): (Vec<_>, Vec<_>) =
        filter.conditions().iter().cloned().partition(|condition| is_about_prompts(&condition.key));
    // The first that is about them decides.
    let asked = about.first().is_some_and(|condition| match &condition.test {
        Test::Equals { text, not } => {
            text.eq_ignore_ascii_case(if *not { "false" } else { "true" })
        }
        _ => false,
    });
    others.extend(about.into_iter().filter(|_| asked));
    found(db, list, search, &others, !asked).await
}

fn is_about_prompts(key: &Key) -> bool {
    matches!(key, Key::Tag(name) if name.as_ref() == PROMPT)
}

async fn found(
    db: &mut Connection,
    list: List,
    search: &Search,
    conditions: &[Condition],
    without_prompts: bool,
) -> Result<Page<Value>> {
    let (default, most) = sizes(list);
    let limit = tokens::limit(search.max_results, default, most)?;
    let mut query = Query::new(list, db.dialect());
    let beginning = beginning::choose(db, list, conditions).await?;
    query.filter(conditions, beginning)?;
    if without_prompts {
        query.leave_out_prompts();
    }
    query.view(search)?;
    query.order(&Order::parse(list, &search.order_by)?);
    if let Some(token) = &search.page {
        query.after(tokens::read(token)?)?;
    }
    query.page(db, limit).await
}

/// How many items a page has if nobody says, and at most: MLflow's numbers.
fn sizes(list: List) -> (usize, usize) {
    match list {
        List::Models => (100, 1000),
        List::Versions => (10_000, 200_000),
        _ => (1000, 50_000),
    }
}

/// A statement in the making. The thing that is looked for is `item`.
struct Query {
    list: List,
    dialect: Dialect,
    /// Whether a search begins with the rows of its conditions, before the items.
    rows_first: bool,
    /// These rows.
    first: Vec<String>,
    /// The identity of an item, in the first of these rows if there are any.
    id: String,
    joins: Vec<String>,
    conditions: Vec<String>,
    terms: Vec<Term>,
    values: Vec<Value>,
    /// Metrics that a condition asks to be numbers, and the rows that have them.
    numbers: Vec<(Arc<str>, String)>,
}

/// Something to order by.
struct Term {
    sql: String,
    descending: bool,
}

impl Query {
    fn new(list: List, dialect: Dialect) -> Self {
        let (first, joins, conditions, terms, values, numbers) = Default::default();
        let (rows_first, id) = (false, "item.id".to_owned());
        Self { list, dialect, rows_first, first, id, joins, conditions, terms, values, numbers }
    }

    /// The placeholder of one more value.
    fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    fn view(&mut self, search: &Search) -> Result<()> {
        let column = match self.list {
            List::Runs => "item.experiment",
            List::Experiments => "item.id",
            _ => return Ok(()),
        };
        if !search.experiments.is_empty() {
            let first = self.values.len() + 1;
            let list = placeholders(first, search.experiments.len());
            for id in &search.experiments {
                self.values.push(experiments::number(id)?.into());
            }
            self.conditions.push(format!("{column} in ({list})"));
        }
        let lifecycle = match search.view {
            View::Active => Lifecycle::Active,
            View::Deleted => Lifecycle::Deleted,
            _ => return Ok(()),
        };
        let lifecycle = self.bind(word(&lifecycle)?);
        self.conditions.push(format!("item.lifecycle = {lifecycle}"));
        Ok(())
    }

    fn filter(&mut self, conditions: &[Condition], beginning: Option<&Condition>) -> Result<()> {
        // Its rows, then those of what else is asked, and the items last: a database that has counted nothing
        // thinks that an item costs nothing.
        self.rows_first = beginning.is_some();
        let others =
            conditions.iter().filter(|other| beginning.is_none_or(|own| !ptr::eq(own, *other)));
        for Condition { key, test, .. } in beginning.into_iter().chain(others) {
            let condition = self.condition(key, test)?;
            self.conditions.push(condition);
        }
        Ok(())
    }

    fn leave_out_prompts(&mut self) {
        let (key, value) = (self.bind(PROMPT), self.bind("true"));
        // Of versions, one that is tagged makes all of its model prompts.
        let rows = match self.list {
            List::Models => "model_tags part where part.model = item.id",
            List::Versions => {
                "version_tags part join versions other on other.id = part.version
                 where other.model = item.model"
            }
            _ => return,
        };
        self.conditions.push(format!(
            "not exists (select 1 from {rows} and part.key = {key} and part.value = {value})"
        ));
    }

    fn condition(&mut self, key: &Key, test: &Test) -> Result<String> {
        // It takes no index for what has a sign, and thinks that a range of numbers is short.
        let sign = if self.first.is_empty() { "" } else { "+" };
        let joined = self.first.len() + self.joins.len();
        let part = format!("test{joined}");
        let (rows, column) = match key {
            Key::Attribute(attribute) => {
                return match attribute_column(self.list, *attribute) {
                    // A fact that these things do not have here.
                    None => Ok("1 = 0".to_owned()),
                    Some(column) => self.attribute(*attribute, column, test),
                };
            }
            Key::Metric(name) => {
                let name = self.bind(name);
                let own = format!("{part}.run = {} and {part}.metric = {name}", self.id);
                (("metric_series", own), format!("{sign}{part}.number"))
            }
            Key::Param(name) => (self.tag_rows(tags::PARAM, &part, name), format!("{part}.value")),
            Key::Tag(name) => {
                (self.tag_rows(tag_table(self.list), &part, name), format!("{part}.value"))
            }
            Key::Dataset(field) => {
                let own = format!("{part}.run = item.id");
                (("run_inputs", own), format!("{part}.{}", dataset_column(*field)))
            }
            _ => return Err(unknown()),
        };
        let (table, own) = rows;
        if let Test::Null { not } = test {
            let word = if *not { "" } else { "not " };
            return Ok(format!("{word}exists (select 1 from {table} {part} where {own})"));
        }
        let holds = self.holds(&column, test)?;
        // Of datasets there may be several.
        if matches!(key, Key::Dataset(_)) || joined == MOST_JOINED {
            return Ok(format!("exists (select 1 from {table} {part} where {own} and {holds})"));
        }
        if let (Key::Metric(name), Test::Number(comparison, _)) = (key, test)
            && *comparison != Comparison::NotEqual
        {
            self.numbers.push((Arc::clone(name), part.clone()));
        }
        // There is at most one such row: joined, the database may begin with it.
        if self.rows_first {
            if self.first.is_empty() {
                self.id = format!("{part}.{}", tag_table(self.list).owner);
            }
            self.first.push(format!("{table} {part} cross join"));
            return Ok(format!("{own} and {holds}"));
        }
        self.joins.push(format!("join {table} {part} on {own}"));
        Ok(holds)
    }

    fn tag_rows(&mut self, table: TagTable, part: &str, key: &str) -> (&'static str, String) {
        let (owner, key) = (table.owner, self.bind(key));
        (table.name, format!("{part}.{owner} = {} and {part}.key = {key}", self.id))
    }

    fn attribute(&mut self, attribute: Attribute, column: &str, test: &Test) -> Result<String> {
        match attribute {
            // Filters see whole milliseconds, rounded down also before 1970.
            Attribute::StartTime | Attribute::EndTime | Attribute::Created | Attribute::Updated => {
                let before = format!("case when {column} % 1000 < 0 then 1 else 0 end");
                let millis = format!("({column} / 1000 - {before})");
                self.holds(&millis, test)
            }
            Attribute::ExperimentId => self.holds("cast(item.id as text)", test),
            // Rows without a run are none of these, and the bare column has an index.
            Attribute::RunId if matches!(test, Test::Equals { text, not: false } if !text.is_empty()) =>
            {
                let own = if self.list == List::Versions { "item.run" } else { column };
                self.holds(own, test)
            }
            _ => self.holds(column, test),
        }
    }

    /// Whether a test holds of a column. NaN is null there, and the only null that `!=` holds of.
    fn holds(&mut self, column: &str, test: &Test) -> Result<String> {
        let word = |not: bool| if not { "not " } else { "" };
        Ok(match test {
            Test::Number(comparison, number) => {
                let (sign, bound) = (comparison.as_str(), self.bind(*number));
                let metric = column.trim_start_matches('+').starts_with("test");
                if *comparison == Comparison::NotEqual && metric {
                    format!("({column} is null or {column} {sign} {bound})")
                } else {
                    format!("{column} {sign} {bound}")
                }
            }
            Test::Equals { text, not } => {
                format!("{column} {} {}", if *not { "!=" } else { "=" }, self.bind(text))
            }
            Test::Like { pattern: wanted, ignore_case } => {
                let wanted = self.bind(self.dialect.pattern(wanted, *ignore_case)?);
                self.dialect.like(column, &wanted, *ignore_case)
            }
            Test::In { texts, not } => {
                let list = placeholders(self.values.len() + 1, texts.len());
                self.values.extend(texts.iter().map(Value::from));
                format!("{column} {}in ({list})", word(*not))
            }
            Test::Null { not } => format!("{column} is {}null", word(*not)),
            _ => return Err(unknown()),
        })
    }

    fn order(&mut self, order: &Order) {
        for (index, key) in order.keys().iter().enumerate() {
            let part = format!("part{index}");
            let (column, rank) = match &key.key {
                Key::Attribute(attribute) => match attribute_column(self.list, *attribute) {
                    Some(column) => (column.to_owned(), None),
                    None => continue,
                },
                Key::Metric(name) if let Some(known) = self.number(name) => {
                    // Every item has it: an index may have the order already.
                    self.terms.push(Term { sql: known, descending: key.descending });
                    continue;
                }
                Key::Metric(name) => {
                    let name = self.bind(name);
                    self.joins.push(format!(
                        "left join metric_series {part} on {part}.run = item.id and {part}.metric = {name}"
                    ));
                    (format!("{part}.number"), Some(format!("{part}.id is null")))
                }
                Key::Param(name) => (self.join_tag(tags::PARAM, &part, name), None),
                Key::Tag(name) => (self.join_tag(tag_table(self.list), &part, name), None),
                // The grammar orders by nothing else.
                _ => continue,
            };
            // What lacks the key comes last, NaN before it, in both directions.
            let term = |sql: String| Term { sql, descending: false };
            self.terms.extend(rank.map(|rank| term(format!("case when {rank} then 1 else 0 end"))));
            self.terms.push(term(format!("case when {column} is null then 1 else 0 end")));
            self.terms.push(Term { sql: column, descending: key.descending });
        }
    }

    /// The column of a metric that a condition asks to be a number.
    fn number(&self, name: &str) -> Option<String> {
        let known = self.numbers.iter().find(|(own, _)| **own == *name);
        known.map(|(_, part)| format!("{part}.number"))
    }

    fn join_tag(&mut self, table: TagTable, part: &str, key: &str) -> String {
        let (name, owner, key) = (table.name, table.owner, self.bind(key));
        self.joins.push(format!(
            "left join {name} {part} on {part}.{owner} = item.id and {part}.key = {key}"
        ));
        format!("{part}.value")
    }

    /// Only what comes after the end of another page.
    fn after(&mut self, marks: Vec<Mark>) -> Result<()> {
        if marks.len() != self.terms.len() {
            return Err(Error::invalid("the page belongs to a search in another order"));
        }
        let bound: Vec<String> =
            marks.into_iter().map(|mark| self.bind(Value::from(mark))).collect();
        let (mut same, mut ways) = (Vec::new(), Vec::with_capacity(bound.len()));
        for (Term { sql, descending }, mark) in self.terms.iter().zip(&bound) {
            let sign = if *descending { "<" } else { ">" };
            let way = same.iter().cloned().chain([format!("{sql} {sign} {mark}")]);
            ways.push(format!("({})", way.collect::<Vec<String>>().join(" and ")));
            same.push(format!("{sql} is not distinct from {mark}"));
        }
        self.conditions.push(format!("({})", ways.join(" or ")));
        Ok(())
    }

    async fn page(mut self, db: &mut Connection, limit: usize) -> Result<Page<Value>> {
        let limit_value = self.bind(int(limit as u64 + 1)?);
        if self.values.len() > MOST_VALUES {
            return Err(Error::too_large(format!("a search with more than {MOST_VALUES} texts")));
        }
        let (mut columns, mut orders) = (vec!["item.id"], Vec::new());
        for Term { sql, descending } in &self.terms {
            columns.push(sql);
            orders.push(format!("{sql} {}", if *descending { "desc" } else { "asc" }));
        }
        let conditions = if self.conditions.is_empty() {
            "1 = 1".to_owned()
        } else {
            self.conditions.join(" and ")
        };
        let from = format!("{} {}", self.first.join(" "), source(self.list));
        let joins = self.joins.join(" ");
        let (columns, orders) = (columns.join(", "), orders.join(", "));
        let sql = format!(
            "select {columns} from {from} {joins} where {conditions} order by {orders} limit {limit_value}"
        );
        let rows = db.rows(sql, &self.values).await?;
        let next = match rows.get(limit.saturating_sub(1)) {
            Some(last) if rows.len() > limit => {
                let marks: Vec<Mark> = (1..=self.terms.len())
                    .map(|column| last.any(column).map(Mark::from))
                    .collect::<Result<_>>()?;
                Some(tokens::write(&marks)?)
            }
            _ => None,
        };
        let items = rows.iter().take(limit).map(|row| row.any(0)).collect::<Result<_>>()?;
        Ok(Page { items, next })
    }
}

fn unknown() -> Error {
    Error::unsupported("this record does not know a part of the filter")
}
