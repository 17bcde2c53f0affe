//! Foreign text inside markup, and numbers as people read them.

use std::fmt;

/// Text in HTML or SVG, as content or inside double quotes.
///
/// The five characters of markup become references. Control characters and those that reverse the
/// direction of what follows, with which a name could pose as another, are shown as `\u{202e}`.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| match character {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            hidden if is_hidden(hidden) => write!(f, "\\u{{{:x}}}", u32::from(hidden)),
            plain => write!(f, "{plain}"),
        })
    }
}

fn is_hidden(character: char) -> bool {
    let direction = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    // Not characters at all in HTML.
    let no_character =
        u32::from(character) & 0xfffe == 0xfffe || ('\u{fdd0}'..='\u{fdef}').contains(&character);
    character.is_control() || direction || no_character
}

/// The start of a text, with an ellipsis if more follows.
pub(crate) fn short(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
        None => text.to_owned(),
    }
}

/// `12.3 %`; the smallest share shown apart from none is `0.01 %`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        tiny if tiny < 0.01 && percent > 0.0 => "under 0.01 %".to_owned(),
        tiny if tiny < 0.01 => "over -0.01 %".to_owned(),
        small if small < 1.0 => format!("{percent:.2} %"),
        _ => format!("{percent:.1} %"),
    }
}

/// `0.042`, `<0.0001` as a power of ten.
pub(super) fn probability(p: f64) -> String {
    if p < 1e-4 { format!("{p:.0e}") } else { format!("{p:.4}") }
}

/// An effect, or a metric: three decimals, more digits where that would show nothing.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        tiny if tiny > 0.0 && tiny < 0.0005 => format!("{value:.1e}"),
        huge if huge >= 1e6 => format!("{value:.3e}"),
        _ => format!("{value:.3}"),
    }
}

/// `1,234,567`.
pub(super) fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A name in Markdown, as code: nothing in it is markup, a link or a mention. A pipe is escaped, as
/// it must be in a table and may be elsewhere on the pages that this is for.
pub(super) fn code(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '|' => text.push_str("\\|"),
            hidden if is_hidden(hidden) => text.extend(hidden.escape_unicode()),
            plain => text.push(plain),
        }
    }
    // A fence is longer than any run of backquotes inside, and apart from one at an end.
    let runs = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(runs + 1);
    let apart = text.is_empty() || text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']);
    if apart { format!("{fence} {text} {fence}") } else { format!("{fence}{text}{fence}") }
}

/// What an effect's name stands for, in words; a name that is not known stands for itself.
pub(super) fn effect_in_words(name: &str) -> &str {
    match name {
        "total_variation" => "share of rows that lie elsewhere",
        "psi" => "population stability index beyond noise",
        "mean_shift_sd" => "shift of the mean, in deviations of the reference",
        "superiority" => "chance that a window value exceeds a reference value",
        "largest_distance" => "largest distance of the distribution functions",
        "cramers_v" => "Cramér's V",
        "share_difference" => "difference of a share",
        "jensen_shannon" => "Jensen–Shannon divergence",
        "wasserstein" => "Wasserstein distance",
        other => other,
    }
}

/// What a test's name stands for, in words.
pub(super) fn test_in_words(name: &str) -> &str {
    match name {
        "ks" => "Kolmogorov–Smirnov",
        "chi_square" => "chi-square homogeneity",
        "largest_share" => "exact test of the largest share",
        "missing" => "exact test of missing values",
        "other" => "exact test of values not listed",
        other => effect_in_words(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_hidden_characters_are_shown() {
        let shown = |text| Text(text).to_string();
        assert_eq!(shown("<b a='1'>&\"</b>"), "&lt;b a=&#39;1&#39;&gt;&amp;&quot;&lt;/b&gt;");
        assert_eq!(shown("a\u{202e}b\0\n"), "a\\u{202e}b\\u{0}\\u{a}");
        assert_eq!(shown("Größe, 年齢"), "Größe, 年齢");
    }

    #[test]
    fn a_name_in_markdown_is_code() {
        assert_eq!(
            ["a|b", "@you *x*", "a`b", "`", ""].map(code),
            ["`a\\|b`", "`@you *x*`", "``a`b``", "`` ` ``", "`  `"]
        );
        assert_eq!(code("a\nb"), "`a\\u{a}b`");
    }

    #[test]
    fn numbers_are_short_and_say_enough() {
        let shares = [0.0, 0.000_001, 0.0042, 0.1234, 1.0].map(percent);
        assert_eq!(shares, ["0 %", "under 0.01 %", "0.42 %", "12.3 %", "100.0 %"]);
        assert_eq!([0.042, 1.3e-20].map(probability), ["0.0420", "1e-20"]);
        assert_eq!(
            [0.1234, 0.0, 1.2e-5, 3.2e7].map(number),
            ["0.123", "0.000", "1.2e-5", "3.200e7"]
        );
        assert_eq!([7, 1234, 277_677_123].map(count), ["7", "1,234", "277,677,123"]);
        assert_eq!((short("äöü", 2), short("äöü", 3)), ("äö…".to_owned(), "äöü".to_owned()));
    }
}
