//! Walks over the text of a filter or an order key and remembers where it is.

use super::{Key, List, MAX_BYTES};
use crate::{Error, Result};

/// A place in a text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    /// What the text is, for messages.
    what: &'static str,
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(what: &'static str, text: &'a str) -> Result<Self> {
        if text.len() > MAX_BYTES {
            let length = text.len();
            return Err(Error::too_large(format!("{what}: {length} bytes, more than {MAX_BYTES}")));
        }
        Ok(Self { what, text, at: 0 })
    }

    /// Bytes before this place.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// What was read since a place, without the space around it, for messages.
    pub(super) fn since(&self, start: usize) -> String {
        shortened(self.text[start..self.at].trim())
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest().is_empty()
    }

    /// An error about a place of the text, as far as the text is the caller's grammar, not its data.
    pub(super) fn error(&self, at: usize, why: impl std::fmt::Display) -> Error {
        Error::invalid(format!("{}, byte {at}: {why}", self.what))
    }

    /// Passes white space.
    pub(super) fn space(&mut self) -> &mut Self {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
        self
    }

    /// Passes a sign such as `>=`, if it is next.
    pub(super) fn sign(&mut self, sign: &str) -> bool {
        let next = self.rest().starts_with(sign);
        if next {
            self.at += sign.len();
        }
        next
    }

    /// Passes a keyword in either case, if it is the next word.
    pub(super) fn keyword(&mut self, keyword: &str) -> bool {
        let word = self.peek_word();
        let next = word.eq_ignore_ascii_case(keyword);
        if next {
            self.at += word.len();
        }
        next
    }

    /// The word that is next, empty if none is.
    pub(super) fn peek_word(&self) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|c: char| !is_word(c)).unwrap_or(rest.len());
        &rest[..end]
    }

    /// A text in one of these quotes, in which the quote is doubled; `None` if none begins here.
    pub(super) fn quoted(&mut self, quotes: &[char]) -> Result<Option<String>> {
        let start = self.at;
        let Some(quote) = self.rest().chars().next().filter(|first| quotes.contains(first)) else {
            return Ok(None);
        };
        let mut text = String::new();
        self.at += quote.len_utf8();
        loop {
            let rest = self.rest();
            let end = rest
                .find(quote)
                .ok_or_else(|| self.error(start, format!("the quote {quote} is never closed")))?;
            text.push_str(&rest[..end]);
            self.at += end + quote.len_utf8();
            if !self.rest().starts_with(quote) {
                return Ok(Some(text));
            }
            text.push(quote);
            self.at += quote.len_utf8();
        }
    }

    /// A finite number; `None` if none begins here.
    pub(super) fn number(&mut self) -> Result<Option<f64>> {
        let (start, rest) = (self.at, self.rest());
        let body = rest.strip_prefix('-').unwrap_or(rest);
        if !body.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return Ok(None);
        }
        let mut previous = ' ';
        let end = rest.find(|c: char| {
            let sign = matches!(c, '+' | '-') && matches!(previous, ' ' | 'e' | 'E');
            previous = c;
            !(sign || is_word(c) || c == '.')
        });
        self.at += end.unwrap_or(rest.len());
        match rest[..end.unwrap_or(rest.len())].parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            Ok(_) => Err(self.error(start, "the number is too large")),
            Err(_) => Err(self.error(start, "not a number")),
        }
    }

    /// A key of a list. `bare` says which characters a name may have without quotes.
    pub(super) fn key(&mut self, list: List, bare: fn(char) -> bool) -> Result<Key> {
        let start = self.at;
        let first = self.name(bare)?;
        if !self.sign(".") {
            return list.key(None, &first).map_err(|why| self.error(start, why));
        }
        // Only words are joined by dots: after a quoted name nothing may follow.
        let quoted = self.rest().starts_with(['`', '"']);
        let mut name = self.name(bare)?;
        while !quoted && self.sign(".") {
            name = format!("{name}.{}", self.word(bare)?);
        }
        list.key(Some(&first), &name).map_err(|why| self.error(start, why))
    }

    /// A word or a quoted name.
    fn name(&mut self, bare: fn(char) -> bool) -> Result<String> {
        let name = self.quoted(&['`', '"'])?;
        name.map_or_else(|| self.word(bare), Ok)
    }

    fn word(&mut self, bare: fn(char) -> bool) -> Result<String> {
        let rest = self.rest();
        let end = rest.find(|c| !bare(c)).unwrap_or(rest.len());
        if end == 0 {
            return Err(self.error(self.at, "a key is expected"));
        }
        self.at += end;
        Ok(rest[..end].to_owned())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

/// As much of a name as a message carries.
pub(super) fn shortened(text: &str) -> String {
    const MOST: usize = 60;
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What a word is made of.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
