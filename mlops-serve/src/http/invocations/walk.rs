//! Steps through a JSON text that is known to be valid: no allocation, no recursion, each byte read once.

use super::super::oip::closing_quote;

/// A place in a valid JSON text.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// At the start of this text.
    pub(super) fn new(json: &'a str) -> Self {
        Self { rest: json.trim_start() }
    }

    /// Whether the value here starts so: `[`, `{`, `"` and so on.
    pub(super) fn is_at(&self, first: u8) -> bool {
        self.rest.as_bytes().first() == Some(&first)
    }

    /// Steps into the array or object here, if it starts so.
    pub(super) fn enter(&mut self, open: u8) -> bool {
        let is_there = self.is_at(open);
        if is_there {
            self.skip(1);
        }
        is_there
    }

    /// Steps to the next element or member of the array or object that was entered, or, behind the
    /// last one, out of it.
    pub(super) fn more(&mut self) -> bool {
        let ends = self.is_at(b']') || self.is_at(b'}');
        if ends || self.is_at(b',') {
            self.skip(1);
        }
        !ends && !self.rest.is_empty()
    }

    /// Takes a member's name, quoted as it stands, and steps to its value.
    pub(super) fn key(&mut self) -> &'a str {
        let key = self.value();
        // The colon.
        self.skip(1);
        key
    }

    /// Takes the value here, as it stands.
    pub(super) fn value(&mut self) -> &'a str {
        let value = &self.rest[..self.length()];
        self.skip(value.len());
        value
    }

    fn length(&self) -> usize {
        let bytes = self.rest.as_bytes();
        let end = match bytes.first() {
            Some(b'"') => closing_quote(bytes),
            Some(b'[' | b'{') => closing_bracket(bytes),
            _ => bytes.iter().position(|byte| b",]} \t\n\r".contains(byte)),
        };
        end.unwrap_or(bytes.len())
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default().trim_ascii_start();
    }
}

/// The length of the array or object at the start.
fn closing_bracket(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at += closing_quote(&bytes[at..])?;
                continue;
            }
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn read(cursor: &mut Cursor<'_>) -> Value {
        if cursor.enter(b'[') {
            let mut items = Vec::new();
            while cursor.more() {
                items.push(read(cursor));
            }
            return Value::Array(items);
        }
        if cursor.enter(b'{') {
            let mut members = serde_json::Map::new();
            while cursor.more() {
                let key = serde_json::from_str(cursor.key()).unwrap();
                members.insert(key, read(cursor));
            }
            return Value::Object(members);
        }
        serde_json::from_str(cursor.value()).unwrap()
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\\\\\"\\[\\]{},: \u{e9}\n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            let texts = "[a\\\\\"\\]}:,]{0,4}";
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(texts, inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_walked_is_what_serde_reads(value in values(), pretty: bool) {
            let json = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let json = format!(" {} ", json.unwrap());
            prop_assert_eq!(&read(&mut Cursor::new(&json)), &value);
            let mut whole = Cursor::new(&json);
            prop_assert_eq!(whole.value(), json.trim());
        }
    }
}
