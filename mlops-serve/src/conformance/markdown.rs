//! A report as people read it.

use super::report::{ConformanceReport, Level, Outcome, Row};
use std::fmt::Write as _;

const LEVELS: [(Level, &str); 3] =
    [(Level::Required, "required"), (Level::Declared, "declared"), (Level::Advised, "advised")];

impl ConformanceReport {
    /// The report as Markdown: who was asked, counts, what failed, what was not asked, what passed.
    pub fn to_markdown(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, into: &mut String) -> std::fmt::Result {
        let server = &self.server;
        let verdict = if self.conforms { "conforms" } else { "does not conform" };
        writeln!(into, "{} {} {verdict}.\n", code(&server.name), code(&server.version))?;
        writeln!(into, "Extensions that it declares: {}.", list(&server.extensions))?;
        writeln!(into, "Models asked: {}.", list(&server.models))?;
        writeln!(into, "gRPC asked: {}.\n", if server.grpc { "yes" } else { "no" })?;
        self.write_counts(into)?;
        self.write_failed(into)?;
        self.write_not_asked(into)?;
        self.write_passed(into)
    }

    fn write_counts(&self, into: &mut String) -> std::fmt::Result {
        writeln!(into, "| level | passed | failed | skipped | unsupported |")?;
        writeln!(into, "|---|---|---|---|---|")?;
        for (level, name) in LEVELS {
            let counts = self.counts(level);
            let (passed, failed) = (counts.passed, counts.failed);
            let (skipped, declined) = (counts.skipped, counts.unsupported);
            writeln!(into, "| {name} | {passed} | {failed} | {skipped} | {declined} |")?;
        }
        Ok(())
    }

    fn write_failed(&self, into: &mut String) -> std::fmt::Result {
        for (level, name) in LEVELS {
            let failed: Vec<&Row> = self.failed().filter(|row| row.level == level).collect();
            if failed.is_empty() {
                continue;
            }
            writeln!(into, "\n## Failed, {name}\n")?;
            writeln!(into, "| check | wanted | seen | by |\n|---|---|---|---|")?;
            for row in failed {
                let wanted = cell(row.wanted.as_deref().unwrap_or_default());
                let seen = cell(row.seen.as_deref().unwrap_or_default());
                let (name, clause) = (code(&row.name), cell(row.clause));
                writeln!(into, "| {name} | {wanted} | {seen} | {clause} |")?;
            }
        }
        Ok(())
    }

    fn write_not_asked(&self, into: &mut String) -> std::fmt::Result {
        let asked = |row: &&Row| matches!(row.outcome, Outcome::Skipped | Outcome::Unsupported);
        let rows: Vec<&Row> = self.checks.iter().filter(asked).collect();
        if rows.is_empty() {
            return Ok(());
        }
        writeln!(into, "\n## Not asked, or declined\n\n| check | why |\n|---|---|")?;
        for row in rows {
            let reason = cell(row.reason.as_deref().unwrap_or_default());
            writeln!(into, "| {} | {reason} |", code(&row.name))?;
        }
        Ok(())
    }

    fn write_passed(&self, into: &mut String) -> std::fmt::Result {
        writeln!(into, "\n## Passed\n")?;
        for (level, name) in LEVELS {
            let passed = |row: &&Row| row.level == level && row.outcome == Outcome::Passed;
            let names: Vec<String> =
                self.checks.iter().filter(passed).map(|row| row.name.clone()).collect();
            if !names.is_empty() {
                writeln!(into, "- {name}: {}", list(&names))?;
            }
        }
        Ok(())
    }
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(|name| code(name)).collect::<Vec<_>>().join(", ")
}

fn code(text: &str) -> String {
    format!("`{}`", cell(text).replace('`', "'"))
}

/// What a server says may hold anything; a table's cell is one line without bars.
fn cell(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().replace('|', "¦")
}
