//! The JSON of a scoring request: a table in one of four shapes, into the model's inputs.

use super::{super::oip, super::oip::Limits, Form, table::Table, walk::Cursor};
use mlops_core::{
    Error, Result, predictor::PredictRequest, signature::ModelSignature, tensor::Tensors,
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::value::RawValue;
use std::{borrow::Cow, sync::Arc};

#[derive(Deserialize)]
struct Body<'a> {
    #[serde(borrow)]
    dataframe_split: Option<&'a RawValue>,
    #[serde(borrow)]
    dataframe_records: Option<&'a RawValue>,
    #[serde(borrow)]
    instances: Option<&'a RawValue>,
    #[serde(borrow)]
    inputs: Option<&'a RawValue>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// Reads a scoring request in JSON, and how its answer is to be written.
///
/// # Behavior
/// - exactly one of `dataframe_split`, `dataframe_records`, `instances` and `inputs` is there
/// - a column that the model does not take is left out; one that it takes and that is missing is
///   named; one that some records lack is null there
/// - a packed input is made of the columns that it names; one without named columns, if it is the
///   model's only input, of all columns in their order
/// - `params` travel on with the request
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit, and names the part; no value of the
///   request stands in a message
/// - what is held is a small multiple of the text, whatever stands in it
pub fn decode_request(
    json: &[u8],
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<(PredictRequest, Form)> {
    let body: Body<'_> = parse(json)?;
    let given = [
        ("dataframe_split", body.dataframe_split),
        ("dataframe_records", body.dataframe_records),
        ("instances", body.instances),
        ("inputs", body.inputs),
    ];
    let mut given = given.into_iter().filter_map(|(name, json)| json.map(|json| (name, json)));
    let (Some((name, json)), None) = (given.next(), given.next()) else {
        return Err(Error::invalid(
            "the request holds exactly one of \"dataframe_split\", \"dataframe_records\", \"instances\" and \"inputs\"",
        ));
    };
    let params = oip::parse_parameters(body.params, "\"params\"", limits)?;
    let most_columns = super::most_columns(signature, limits);
    let reader = Reader { signature, limits, most_columns, bytes: json.get().len() };
    let (inputs, form) = match name {
        "dataframe_split" => (reader.split(json)?, Form::Table),
        "dataframe_records" => (reader.records(name, json)?, Form::Table),
        "instances" if holds_objects(json) => (reader.records(name, json)?, Form::Table),
        _ => (reader.tensors(name, json)?, Form::Tensors),
    };
    let mut request = PredictRequest::new(inputs);
    request.parameters = (!params.is_empty()).then(|| Arc::new(params));
    Ok((request, form))
}

/// serde's messages quote values, and values never leave; its places are safe.
fn parse<'a, T: Deserialize<'a>>(json: &'a [u8]) -> Result<T> {
    serde_json::from_slice(json).map_err(|cause| {
        let place = format!("at line {} column {}", cause.line(), cause.column());
        Error::invalid(if cause.is_data() {
            format!("the request is no object of the form that scoring takes, {place}")
        } else {
            format!("the request is not valid JSON {place}")
        })
    })
}

fn holds_objects(json: &RawValue) -> bool {
    let mut cursor = Cursor::new(json.get());
    cursor.enter(b'[') && cursor.more() && cursor.is_at(b'{')
}

/// What a name says, unquoted.
fn unquoted(quoted: &str) -> Result<Cow<'_, str>> {
    match quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        Some(_) => serde_json::from_str(quoted)
            .map(Cow::Owned)
            .map_err(|_| Error::invalid("a column's name has an escape that is no character")),
        // pandas names columns by numbers too.
        None => Ok(Cow::Borrowed(quoted)),
    }
}

struct Reader<'s> {
    signature: &'s ModelSignature,
    limits: &'s Limits,
    most_columns: usize,
    bytes: usize,
}

impl<'s> Reader<'s> {
    fn table(&self, head: &[impl AsRef<str>]) -> Table<'s> {
        Table::new(self.signature, self.limits, head, self.bytes)
    }

    /// `{"columns": […], "data": [[…], …]}`
    fn split(&self, json: &RawValue) -> Result<Tensors> {
        #[derive(Deserialize)]
        struct Split<'a> {
            #[serde(borrow)]
            columns: Option<&'a RawValue>,
            #[serde(rename = "index")]
            _index: Option<IgnoredAny>,
            #[serde(borrow)]
            data: &'a RawValue,
        }
        let wrong = || {
            let form = "object of \"columns\", \"data\" and perhaps \"index\"";
            Error::invalid(format!("\"dataframe_split\" is no {form}"))
        };
        let Split { columns, data, .. } = serde_json::from_str(json.get()).map_err(|_| wrong())?;
        let mut rows = Cursor::new(data.get());
        let head = match columns {
            Some(columns) => self.columns(columns.get())?,
            None => self.numbers(&rows)?,
        };
        let mut table = self.table(&head);
        let slots = table.find_all(&head)?;
        let mut row = vec![None; table.width()];
        if !rows.enter(b'[') {
            return Err(wrong());
        }
        for at in 0_usize.. {
            if !rows.more() {
                break;
            }
            if !rows.enter(b'[') {
                return Err(Error::invalid(format!("row {at} of \"dataframe_split\" is no array")));
            }
            let mut count = 0;
            while rows.more() {
                let cell = rows.value();
                if let Some(Some(slot)) = slots.get(count) {
                    row[*slot] = Some(cell);
                }
                count += 1;
            }
            if count != slots.len() {
                let wanted = slots.len();
                return Err(Error::invalid(format!(
                    "row {at} has {count} cells for {wanted} columns"
                )));
            }
            table.push(|slot| row[slot])?;
        }
        table.finish()
    }

    /// The names of the columns.
    fn columns<'a>(&self, json: &'a str) -> Result<Vec<Cow<'a, str>>> {
        let mut names = Vec::new();
        let mut cursor = Cursor::new(json);
        if !cursor.enter(b'[') {
            return Err(Error::invalid("\"columns\" of \"dataframe_split\" is no array"));
        }
        while cursor.more() {
            self.one_more(names.len())?;
            names.push(unquoted(cursor.value())?);
        }
        Ok(names)
    }

    /// Names for columns that have none: pandas numbers them.
    fn numbers(&self, rows: &Cursor<'_>) -> Result<Vec<Cow<'static, str>>> {
        let (mut first, mut names) = (rows.clone(), Vec::new());
        if first.enter(b'[') && first.more() && first.enter(b'[') {
            while first.more() {
                self.one_more(names.len())?;
                first.value();
                names.push(Cow::Owned(names.len().to_string()));
            }
        }
        Ok(names)
    }

    fn one_more(&self, columns: usize) -> Result<()> {
        super::one_more_column(columns, self.most_columns)
    }

    /// `[{"age": 41, …}, …]`
    fn records(&self, name: &str, json: &RawValue) -> Result<Tensors> {
        let mut records = Cursor::new(json.get());
        let mut table = self.table(&self.first_names(&records)?);
        if !records.enter(b'[') {
            return Err(Error::invalid(format!("{name:?} is no array of objects")));
        }
        let mut row = vec![None; table.width()];
        for at in 0_usize.. {
            if !records.more() {
                break;
            }
            if !records.enter(b'{') {
                return Err(Error::invalid(format!("row {at} of {name:?} is no object")));
            }
            row.fill(None);
            while records.more() {
                let (key, cell) = (unquoted(records.key())?, records.value());
                let Some(slot) = table.find(&key) else {
                    if table.takes_all() {
                        let what = format!("row {at} of {name:?} has {key:?}, and row 0 has not");
                        return Err(Error::invalid(what));
                    }
                    continue;
                };
                if row[slot].replace(cell).is_some() {
                    return Err(Error::invalid(format!("row {at} of {name:?} has {key:?} twice")));
                }
            }
            table.push(|slot| row[slot])?;
        }
        table.finish()
    }

    /// The first record's names.
    fn first_names<'a>(&self, records: &Cursor<'a>) -> Result<Vec<Cow<'a, str>>> {
        let (mut first, mut names) = (records.clone(), Vec::new());
        if first.enter(b'[') && first.more() && first.enter(b'{') {
            while first.more() {
                self.one_more(names.len())?;
                names.push(unquoted(first.key())?);
                first.value();
            }
        }
        Ok(names)
    }

    /// `{"x": […], …}`, or the array of the only input
    fn tensors(&self, name: &str, json: &RawValue) -> Result<Tensors> {
        let whole = Cursor::new(json.get());
        if whole.is_at(b'[') {
            let [only] = self.signature.inputs.as_slice() else {
                let count = self.signature.inputs.len();
                return Err(Error::invalid(format!(
                    "{name:?} is an array, and the model has {count} inputs: name them"
                )));
            };
            return self.side_by_side(&[Cow::Borrowed(&*only.name)], vec![whole]);
        }
        let (mut members, mut names, mut columns) = (whole, Vec::new(), Vec::new());
        if !members.enter(b'{') {
            return Err(Error::invalid(format!("{name:?} is neither an array nor an object")));
        }
        while members.more() {
            self.one_more(names.len())?;
            let key = unquoted(members.key())?;
            columns.push(Cursor::new(members.value()));
            names.push(key);
        }
        self.side_by_side(&names, columns)
    }

    /// Columns, each an array, a row at a time.
    fn side_by_side(
        &self,
        names: &[Cow<'_, str>],
        mut columns: Vec<Cursor<'_>>,
    ) -> Result<Tensors> {
        let mut table = self.table(names);
        let slots = table.find_all(names)?;
        // The model's first column says how many rows there are.
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (at, slot) in slots.into_iter().enumerate() {
            let Some(slot) = slot else { continue };
            if !columns[at].enter(b'[') {
                return Err(Error::invalid(format!("{:?} is no array", names[at])));
            }
            taken.push((at, slot));
        }
        let mut row = vec![None; table.width()];
        for rows in 0_usize.. {
            let mut ended = 0;
            for &(at, slot) in &taken {
                let more = columns[at].more();
                row[slot] = more.then(|| columns[at].value());
                ended += usize::from(!more);
            }
            if ended == taken.len() {
                break;
            }
            if ended > 0 {
                let short = taken.iter().find(|(_, slot)| row[*slot].is_none());
                let (at, _) = short.expect("one has ended");
                return Err(Error::invalid(format!(
                    "{:?} has {rows} rows, not {}",
                    names[*at],
                    rows + left(&taken, &row, &mut columns)
                )));
            }
            table.push(|slot| row[slot])?;
        }
        table.finish()
    }
}

/// How many rows more the first column has that has not ended.
fn left(taken: &[(usize, usize)], row: &[Option<&str>], columns: &mut [Cursor<'_>]) -> usize {
    let longer = taken.iter().find(|(_, slot)| row[*slot].is_some());
    let mut count = 0;
    if let Some((at, _)) = longer {
        count = 1;
        while columns[*at].more() {
            columns[*at].value();
            count += 1;
        }
    }
    count
}
