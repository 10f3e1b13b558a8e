//! Rows of text become aligned columns that fit a terminal, or stay whole where there is none.

use std::borrow::Cow;
use std::io::Write;

use unicode_width::UnicodeWidthChar;
use unicode_width::UnicodeWidthStr;

/// Where nothing is shortened a wider cell stands out to the right: one of megabytes, which
/// anybody can write into an event, must not make every other line as long.
const WIDEST_ALIGNED: usize = 512;

/// Blanks between two columns.
const GAP: usize = 2;
/// A column is not made narrower than this while a wider one is left.
const NARROWEST: usize = 8;

/// Writes a table in pieces: a head before the first piece, columns aligned, the last unpadded.
#[derive(Clone, Debug)]
pub struct TableWriter {
    columns: Vec<String>,
    widths: Vec<usize>,
    width: Option<usize>,
    colour: bool,
    begun: bool,
}

impl TableWriter {
    /// With `width` the columns are cut so that a line fits; without it nothing is shortened.
    pub fn new(columns: Vec<String>, width: Option<usize>, colour: bool) -> TableWriter {
        let widths = columns.iter().map(|column| column.width()).collect();
        TableWriter { columns, widths, width, colour, begun: false }
    }

    /// Writes some rows; columns only ever grow wider from piece to piece.  Cells must have gone
    /// through [`crate::report::sanitize::terminal`].
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_rows(&mut self, rows: &[Vec<String>], out: &mut dyn Write) -> std::io::Result<()> {
        for row in rows {
            for (cell, width) in row.iter().zip(&mut self.widths) {
                let own = cell.width();
                let aligned = if self.width.is_some() { own } else { own.min(WIDEST_ALIGNED) };
                *width = (*width).max(aligned);
            }
        }
        if let Some(limit) = self.width {
            shrink(&mut self.widths, limit);
        }
        if !self.begun {
            self.begun = true;
            let (on, off) = if self.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
            write!(out, "{on}")?;
            self.write_line(&self.columns, out)?;
            writeln!(out, "{off}")?;
        }
        for row in rows {
            self.write_line(row, out)?;
            writeln!(out)?;
        }
        Ok(())
    }

    fn write_line(&self, cells: &[String], out: &mut dyn Write) -> std::io::Result<()> {
        // Empty cells at the end of a line leave no blanks behind.
        let used = cells.iter().rposition(|cell| !cell.is_empty()).map_or(0, |at| at + 1);
        for (at, (cell, width)) in cells.iter().zip(&self.widths).take(used).enumerate() {
            let cell =
                if self.width.is_some() { cut(cell, *width) } else { Cow::Borrowed(cell.as_str()) };
            write!(out, "{cell}")?;
            if at + 1 < used {
                let pad = width.saturating_sub(cell.width()) + GAP;
                write!(out, "{:pad$}", "")?;
            }
        }
        Ok(())
    }
}

/// Writes a whole table at once; see [`TableWriter`].
///
/// # Errors
/// When writing fails.
pub fn write_table(
    columns: &[String],
    rows: &[Vec<String>],
    width: Option<usize>,
    colour: bool,
    out: &mut dyn Write,
) -> std::io::Result<()> {
    TableWriter::new(columns.to_vec(), width, colour).write_rows(rows, out)
}

/// Takes from the widest columns until a line fits into `limit`.
fn shrink(widths: &mut [usize], limit: usize) {
    let gaps = widths.len().saturating_sub(1) * GAP;
    loop {
        let total: usize = widths.iter().sum::<usize>() + gaps;
        if total <= limit {
            return;
        }
        // Whatever the widest ones have above the next is taken in one step: a cell may be
        // megabytes wide.
        let Some(&widest) = widths.iter().max() else { return };
        if widest <= NARROWEST {
            return;
        }
        let n_widest = widths.iter().filter(|width| **width == widest).count();
        let next = widths.iter().filter(|width| **width < widest).max().copied();
        let floor = next.unwrap_or(NARROWEST).max(NARROWEST);
        let step = (total - limit).div_ceil(n_widest).min(widest - floor).max(1);
        for width in widths.iter_mut().filter(|width| **width == widest) {
            *width -= step;
        }
    }
}

/// Cuts `text` to `width` columns, the last of them an ellipsis where something is missing.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(0);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    out.push('…');
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &[&[&str]], width: Option<usize>) -> String {
        let mut all = rows.iter().map(|row| row.iter().map(|c| (*c).to_owned()).collect());
        let columns: Vec<String> = all.next().unwrap();
        let rows: Vec<Vec<String>> = all.collect();
        let mut out = Vec::new();
        TableWriter::new(columns, width, false).write_rows(&rows, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_cell_of_megabytes_is_whole_and_widens_no_other_line() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let long = "x".repeat(1 << 20);
        let rows = [[long.clone(), "1".to_owned()].to_vec(), ["y".into(), "2".into()].to_vec()];
        let mut out = Vec::new();
        write_table(&columns, &rows, None, false, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[1], format!("{long}  1"));
        assert!(lines[2].len() < 1000 && lines[2].ends_with('2'));
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let text = table(&[&["a", "bb"], &["long cell", "x"], &["wide 漢字", ""]], None);
        expect_test::expect![[r"
            a          bb
            long cell  x
            wide 漢字
        "]]
        .assert_eq(&text);
    }

    #[test]
    fn the_widest_column_gives_way() {
        let long = "0123456789".repeat(100_000);
        let text = table(&[&["a", "b"], &["short", &long]], Some(30));
        assert!(text.lines().all(|line| line.width() <= 30), "{text}");
        assert!(text.contains("short  ") && text.contains('…'), "{text}");
    }
}
