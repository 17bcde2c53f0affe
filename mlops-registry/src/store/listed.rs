//! Lists that only MLflow's clients ask for: logged models and traces. As [`super::search`], a filter in
//! the same grammar becomes one statement; a page begins so many items after the first.

use super::{
    connection::{Connection, Dialect, Value, placeholders},
    search::MOST_VALUES,
    tokens,
    words::int,
};
use mlops_core::{Digest, Error, Result, page::Page, search::Test};

/// A statement in the making. The thing that is looked for is `item`, its identity `item.id`.
pub(super) struct Listing {
    from: &'static str,
    dialect: Dialect,
    conditions: Vec<String>,
    orders: Vec<String>,
    values: Vec<Value>,
}

impl Listing {
    /// Looks in this table of a database that speaks so.
    pub(super) fn new(from: &'static str, dialect: Dialect) -> Self {
        Self { from, dialect, conditions: Vec::new(), orders: Vec::new(), values: Vec::new() }
    }

    /// The placeholder of one more value.
    pub(super) fn bind(&mut self, value: impl Into<Value>) -> String {
        self.values.push(value.into());
        format!("${}", self.values.len())
    }

    /// The placeholders of several more values, with commas between them.
    pub(super) fn bind_all(&mut self, values: impl IntoIterator<Item = Value>) -> String {
        let before = self.values.len();
        self.values.extend(values);
        placeholders(before + 1, self.values.len() - before)
    }

    /// What must hold.
    pub(super) fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// Whether a test holds of a column; of what is not there none does but `IS NULL`.
    pub(super) fn holds(&mut self, column: &str, test: &Test) -> Result<String> {
        let word = |not: bool| if not { "not " } else { "" };
        Ok(match test {
            Test::Number(comparison, number) => {
                format!("{column} {} {}", comparison.as_str(), self.bind(*number))
            }
            Test::Equals { text, not } => {
                format!("{column} {} {}", if *not { "!=" } else { "=" }, self.bind(text))
            }
            Test::Like { pattern: wanted, ignore_case } => {
                let wanted = self.bind(self.dialect.pattern(wanted, *ignore_case)?);
                self.dialect.like(column, &wanted, *ignore_case)
            }
            Test::In { texts, not } => {
                let list = self.bind_all(texts.iter().map(Value::from));
                format!("{column} {}in ({list})", word(*not))
            }
            Test::Null { not } => format!("{column} is {}null", word(*not)),
            _ => return Err(Error::unsupported("this record does not know a part of the filter")),
        })
    }

    /// Whether a test holds of the value of a key, in a table of keys and values.
    pub(super) fn pair_holds(
        &mut self,
        table: &str,
        owner: &str,
        key: &str,
        test: &Test,
    ) -> Result<String> {
        let key = self.bind(key);
        let rows = format!("{table} part where part.{owner} = item.id and part.key = {key}");
        if let Test::Null { not } = test {
            let word = if *not { "" } else { "not " };
            return Ok(format!("{word}exists (select 1 from {rows})"));
        }
        let holds = self.holds("part.value", test)?;
        Ok(format!("exists (select 1 from {rows} and {holds})"))
    }

    /// Orders by a column; what lacks it comes last either way.
    pub(super) fn order(&mut self, column: &str, descending: bool) {
        self.orders.push(format!("case when {column} is null then 1 else 0 end"));
        self.orders.push(format!("{column} {}", if descending { "desc" } else { "asc" }));
    }

    /// The identities of a page. `asked` is all that was asked for but the page: a token of another
    /// question is refused.
    pub(super) async fn page(
        mut self,
        db: &mut Connection,
        limit: usize,
        token: Option<&str>,
        asked: &str,
    ) -> Result<Page<Value>> {
        let asked = Digest::of(asked).to_hex();
        let begins = match token.map(tokens::read::<(u64, String)>).transpose()? {
            Some((begins, own)) if own == asked => begins,
            Some(_) => return Err(Error::invalid("the page belongs to another search")),
            None => 0,
        };
        let (most, skip) = (self.bind(int(limit as u64 + 1)?), self.bind(int(begins)?));
        let conditions = if self.conditions.is_empty() {
            "1 = 1".to_owned()
        } else {
            self.conditions.join(" and ")
        };
        let sql = format!(
            "select item.id from {} item where {conditions} order by {} limit {most} offset {skip}",
            self.from,
            self.orders.join(", ")
        );
        if self.values.len() > MOST_VALUES {
            return Err(Error::too_large(format!("a search with more than {MOST_VALUES} texts")));
        }
        let rows = db.rows(sql, &self.values).await?;
        let next = (rows.len() > limit).then(|| tokens::write(&(begins + limit as u64, asked)));
        let items = rows.iter().take(limit).map(|row| row.any(0)).collect::<Result<_>>()?;
        Ok(Page { items, next: next.transpose()? })
    }
}
