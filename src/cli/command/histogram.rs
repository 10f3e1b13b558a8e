//! `audithound histogram [QUERY] --interval 1h`: how many events when.

use std::io::Write;

use anyhow::Context;

use crate::cli::common::Counted;
use crate::cli::common::CountedArgs;
use crate::cli::common::note;
use crate::cli::exit::Exit;
use crate::event::time::Timestamp;
use crate::event::time::parse_duration;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::search::evidence::Evidence;

/// Characters of the longest bar.
const BAR: u64 = 40;

/// More intervals than these are not listed one by one where they are empty.
const INTERVALS_MAX: usize = 100_000;

/// Arguments of `histogram`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  \
    audithound histogram --interval 1d\n  \
    audithound histogram 'user:system:anonymous' --interval 5m --since 24h\n\n\
    Intervals begin at multiples of their length since 1970-01-01T00:00:00Z; intervals without \
    events between the first and the last are listed with 0.")]
pub struct HistogramArgs {
    /// Length of an interval: 30s, 5m, 1h, 1d
    #[arg(long, value_name = "LENGTH", default_value = "1h")]
    pub interval: String,
    /// Print how many intervals have events, and nothing else
    #[arg(long)]
    pub count: bool,
    /// Which events, and how the counts are printed.
    #[command(flatten)]
    pub counted: CountedArgs,
}

/// Prints the counts.
///
/// # Errors
/// When the question cannot be asked or answered, or the output cannot be written.
pub fn run(args: &HistogramArgs, out: &mut dyn Write) -> anyhow::Result<Exit> {
    let interval =
        parse_duration(args.interval.trim()).filter(|length| *length > 0).with_context(|| {
            format!("--interval {:?} is no length of time\n  hint: 30s, 5m, 1h, 1d", args.interval)
        })?;
    let Counted { evidence, question, range } = args.counted.open()?;
    let buckets = evidence.histogram(&question, range, interval)?;
    if args.count {
        writeln!(out, "{}", buckets.len())?;
        return Ok(Exit::found(!buckets.is_empty()));
    }
    let found = !buckets.is_empty();
    let (buckets, all) = with_empty(buckets, interval);
    let drawn = args.counted.output.format == "table";
    let most = buckets.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let rows = buckets
        .iter()
        .map(|(time, count)| {
            let mut cells =
                vec![Cell::Time(*time), Cell::Number(i64::try_from(*count).unwrap_or(i64::MAX))];
            if drawn {
                let length = (u128::from(*count) * u128::from(BAR)).div_ceil(u128::from(most));
                cells.push(Cell::Text("█".repeat(usize::try_from(length).unwrap_or(0))));
            }
            AnswerRow { cells, events: Vec::new() }
        })
        .collect();
    let mut columns = vec!["time".to_owned(), "count".to_owned()];
    if drawn {
        columns.push("bar".to_owned());
    }
    let section = Section { title: "histogram".into(), columns, rows, notes: Vec::new() };
    let answer = Answer { name: "histogram".into(), sections: vec![section], ..Answer::default() };
    if found || !drawn {
        args.counted.output.print(&[answer], None, out)?;
    }
    out.flush()?;
    if !all {
        note(&format!(
            "intervals without events are not listed: there are more than {INTERVALS_MAX} between \
             the first and the last; a longer --interval or --since shows them"
        ));
    }
    Ok(Exit::found(found))
}

/// Puts the empty intervals between the first and the last where they belong; `false` where they
/// would be too many, and the list is as it was.
fn with_empty(buckets: Vec<(Timestamp, u64)>, interval: i64) -> (Vec<(Timestamp, u64)>, bool) {
    let (Some((first, _)), Some((last, _))) = (buckets.first(), buckets.last()) else {
        return (buckets, true);
    };
    let n = (i128::from(last.0) - i128::from(first.0)) / i128::from(interval.max(1)) + 1;
    if n > INTERVALS_MAX as i128 {
        let all = buckets.len() as i128 == n;
        return (buckets, all);
    }
    let mut filled: Vec<(Timestamp, u64)> = Vec::new();
    for (time, count) in buckets {
        while let Some((before, _)) = filled.last()
            && before.0 + interval < time.0
        {
            let next = Timestamp(before.0 + interval);
            filled.push((next, 0));
        }
        filled.push((time, count));
    }
    (filled, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_intervals_stand_between_the_full_ones() {
        let at = |pairs: &[(i64, u64)]| -> Vec<(Timestamp, u64)> {
            pairs.iter().map(|(time, count)| (Timestamp(*time), *count)).collect()
        };
        let filled = with_empty(at(&[(-10, 2), (0, 1), (30, 5)]), 10);
        assert_eq!(filled, (at(&[(-10, 2), (0, 1), (10, 0), (20, 0), (30, 5)]), true));
        assert_eq!(with_empty(Vec::new(), 10), (Vec::new(), true));
        let far = at(&[(i64::MIN, 1), (i64::MAX, 1)]);
        assert_eq!(with_empty(far.clone(), 1), (far, false));
    }
}
