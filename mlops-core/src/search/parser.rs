//! From text to conditions.

use super::{
    Comparison, Condition, Filter, Key, List, MAX_CONDITIONS, MAX_LISTED, Test,
    scanner::{Scanner, is_word},
};
use crate::{Error, Result};

/// Longer signs first: `<=` also begins with `<`.
const SIGNS: &[(&str, Comparison)] = &[
    ("<=", Comparison::LessOrEqual),
    (">=", Comparison::GreaterOrEqual),
    ("!=", Comparison::NotEqual),
    ("<", Comparison::Less),
    (">", Comparison::Greater),
    ("=", Comparison::Equal),
];

impl Filter {
    /// Reads a filter of a list; `InvalidInput` says at which byte it is wrong, `TooLarge` which
    /// bound it passes. An empty text has no conditions.
    pub fn parse(list: List, text: &str) -> Result<Self> {
        let mut scanner = Scanner::new("filter", text)?;
        let mut conditions = Vec::new();
        if scanner.space().is_at_end() {
            return Ok(Self { conditions });
        }
        loop {
            if conditions.len() == MAX_CONDITIONS {
                return Err(Error::too_large(format!(
                    "filter: more than {MAX_CONDITIONS} conditions"
                )));
            }
            conditions.push(condition(scanner.space(), list)?);
            if scanner.space().is_at_end() {
                return Ok(Self { conditions });
            }
            if !scanner.keyword("AND") {
                let found = found(&scanner);
                return Err(scanner.error(scanner.at(), format!("AND is expected{found}")));
            }
        }
    }
}

/// The keyword that is there instead: `OR` is what people try.
fn found(scanner: &Scanner<'_>) -> String {
    let word = scanner.peek_word().to_ascii_uppercase();
    let known = ["OR", "NOT", "XOR", "BETWEEN", "ORDER", "LIMIT"].contains(&word.as_str());
    if known { format!(", {word} is not part of the grammar") } else { String::new() }
}

fn condition(scanner: &mut Scanner<'_>, list: List) -> Result<Condition> {
    let start = scanner.at();
    let key = scanner.key(list, is_word)?;
    let named = scanner.since(start);
    let operator = scanner.space().at();
    if scanner.keyword("IS") {
        let not = scanner.space().keyword("NOT");
        if !scanner.space().keyword("NULL") {
            return Err(scanner.error(scanner.at(), "NULL or NOT NULL is expected after IS"));
        }
        if !key.may_be_null(list) {
            return Err(scanner.error(operator, format!("`{named}` cannot be NULL")));
        }
        return Ok(Condition { key: key.kept(list), test: Test::Null { not } });
    }
    let test = if key.is_number() {
        number(scanner, &key, start, &named)?
    } else {
        text(scanner, list, &key, start, &named)?
    };
    Ok(Condition { key: key.kept(list), test })
}

fn number(scanner: &mut Scanner<'_>, key: &Key, start: usize, named: &str) -> Result<Test> {
    let operator = scanner.at();
    let comparison = comparison(scanner).ok_or_else(|| {
        scanner.error(operator, format!("=, !=, <, <=, > or >= is expected after `{named}`"))
    })?;
    let asked = scanner.since(start);
    let at = scanner.space().at();
    let number = match scanner.number()? {
        None if key.may_be_quoted() => {
            let text = scanner.quoted(&['\'', '"'])?.unwrap_or_default();
            let whole = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number: &f64| whole && number.is_finite())
        }
        number => number,
    };
    let missing = || scanner.error(at, format!("a number is expected after `{asked}`"));
    number.map(|number| Test::Number(comparison, number)).ok_or_else(missing)
}

fn text(
    scanner: &mut Scanner<'_>,
    list: List,
    key: &Key,
    start: usize,
    named: &str,
) -> Result<Test> {
    let operator = scanner.at();
    let not = scanner.keyword("NOT");
    if scanner.space().keyword("IN") {
        if !key.may_be_listed(list) {
            return Err(scanner.error(operator, format!("`{named}` cannot be asked with IN")));
        }
        return Ok(Test::In { texts: texts(scanner)?, not });
    }
    if not {
        return Err(scanner.error(scanner.at(), "IN is expected after NOT"));
    }
    for (keyword, ignore_case) in [("LIKE", false), ("ILIKE", true)] {
        if key.may_be_like(list) && scanner.keyword(keyword) {
            let pattern = quoted(scanner, start)?;
            return Ok(Test::Like { pattern, ignore_case });
        }
    }
    match comparison(scanner) {
        Some(Comparison::Equal) => Ok(Test::Equals { text: quoted(scanner, start)?, not: false }),
        Some(Comparison::NotEqual) => Ok(Test::Equals { text: quoted(scanner, start)?, not: true }),
        _ => {
            let listed = if key.may_be_listed(list) { ", IN, NOT IN" } else { "" };
            let null = if key.may_be_null(list) { ", IS NULL, IS NOT NULL" } else { "" };
            let like = if key.may_be_like(list) { ", LIKE, ILIKE" } else { "" };
            let why = format!("=, !={like}{listed}{null} is expected after `{named}`");
            Err(scanner.error(operator, why))
        }
    }
}

fn comparison(scanner: &mut Scanner<'_>) -> Option<Comparison> {
    SIGNS.iter().find(|(sign, _)| scanner.sign(sign)).map(|(_, comparison)| *comparison)
}

fn quoted(scanner: &mut Scanner<'_>, start: usize) -> Result<String> {
    let asked = scanner.since(start);
    let at = scanner.space().at();
    let text = scanner.quoted(&['\'', '"'])?;
    text.ok_or_else(|| scanner.error(at, format!("a quoted text is expected after `{asked}`")))
}

/// `('a', 'b')`, with a comma at the end if one likes; at least one text.
fn texts(scanner: &mut Scanner<'_>) -> Result<Vec<String>> {
    if !scanner.space().sign("(") {
        return Err(scanner.error(scanner.at(), "( is expected after IN"));
    }
    let mut texts = Vec::new();
    loop {
        let at = scanner.space().at();
        let text = scanner.quoted(&['\'', '"'])?;
        texts.push(text.ok_or_else(|| scanner.error(at, "a quoted text is expected"))?);
        if texts.len() > MAX_LISTED {
            return Err(Error::too_large(format!("filter: more than {MAX_LISTED} texts in IN")));
        }
        let comma = scanner.space().sign(",");
        if scanner.space().sign(")") {
            return Ok(texts);
        }
        if !comma {
            return Err(scanner.error(scanner.at(), "a comma or ) is expected"));
        }
    }
}
