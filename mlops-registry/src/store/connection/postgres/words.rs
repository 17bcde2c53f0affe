//! Migrations are written once, in the types that both databases share; where the same word means something
//! else in Postgres, this is the one place where another is put for it.

/// Texts sort by their bytes, as in memory; what both call a blob is `bytea`. An index takes at most a third
/// of a page, which a long value would not fit: its beginning is enough to find it by, and fits beside a key of
/// 250 characters of any alphabet.
const WORDS: [(&str, &str); 4] = [
    (" text", " text collate \"C\""),
    (" blob", " bytea"),
    ("on run_params (key, value, run)", "on run_params (key, left(value, 250), run)"),
    ("on run_tags (key, value, run)", "on run_tags (key, left(value, 250), run)"),
];

pub(super) fn translated(script: &str) -> String {
    // Comments stay out of the server's log, and out of the way of the words.
    let lines = script.lines().filter(|line| !line.trim_start().starts_with("--"));
    let mut text = lines.collect::<Vec<_>>().join("\n");
    for (shared, own) in WORDS {
        text = words(&text, shared, own);
    }
    text
}

/// Puts one word for another where it stands as a whole.
fn words(text: &str, shared: &str, own: &str) -> String {
    let mut parts = text.split(shared);
    let mut translated = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let whole = !part.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        translated.push_str(if whole { own } else { shared });
        translated.push_str(part);
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_translated_and_nothing_else() {
        let script =
            "-- a text\ncreate table a (b text not null, text_c bigint, d textual, e blob);
            create index i on run_tags (key, value, run);";
        let own =
            "create table a (b text collate \"C\" not null, text_c bigint, d textual, e bytea);
            create index i on run_tags (key, left(value, 250), run);";
        assert_eq!(translated(script), own);
    }
}
