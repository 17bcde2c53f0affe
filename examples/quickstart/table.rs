//! What the story shows: a heading for each act, and tables.

use std::time::Instant;

/// The acts so far and when the story began.
#[derive(Debug)]
pub(crate) struct Stage {
    act: usize,
    began: Instant,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self { act: 0, began: Instant::now() }
    }

    /// Begins the next act.
    pub(crate) fn act(&mut self, title: &str) {
        self.act += 1;
        let seconds = self.began.elapsed().as_secs_f64();
        println!("\n── {}. {title} ── at {seconds:.1} s", self.act);
    }
}

/// Lines of text on the story's way to the reader.
pub(crate) fn say(text: impl std::fmt::Display) {
    println!("{text}");
}

/// A table with a heading; columns that begin with a number are aligned to the right.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(crate) fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(str::to_owned).to_vec()] }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(crate) fn print(&self) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let column = |at: usize| self.rows.iter().filter_map(move |row| row.get(at));
        let widths: Vec<usize> = (0..columns)
            .map(|at| column(at).map(|cell| cell.chars().count()).max().unwrap_or(0))
            .collect();
        let right: Vec<bool> =
            (0..columns).map(|at| column(at).nth(1).is_some_and(|cell| is_number(cell))).collect();
        let line = |row: &[String]| {
            let cells = row.iter().zip(&widths).zip(&right).map(|((cell, &width), &right)| {
                if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
            });
            println!("  {}", cells.collect::<Vec<_>>().join("  ").trim_end());
        };
        let dashes: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        for (number, row) in self.rows.iter().enumerate() {
            line(row);
            if number == 0 {
                line(&dashes);
            }
        }
    }
}

fn is_number(text: &str) -> bool {
    let part = |c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | ',' | '%' | ' ' | 'e');
    text.chars().all(part) && text.contains(|c: char| c.is_ascii_digit())
}

/// A count with thousands apart.
pub(crate) fn count(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
