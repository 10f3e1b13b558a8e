//! Counts requests by what they have in common, with first and last time.

use hashbrown::HashMap;

use crate::event::time::Timestamp;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::ledger::address::Owner;
use crate::ledger::grouping::Once;
use crate::ledger::network::parse_address;
use crate::ledger::request::Request;
use crate::search::evidence::EventId;

/// A table in the making: one row per different value.
#[derive(Debug, Default)]
pub struct Tally {
    rows: Vec<Count>,
    by_value: HashMap<String, usize>,
}

#[derive(Debug)]
struct Count {
    value: String,
    requests: i64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    about: Vec<String>,
    events: Vec<EventId>,
}

impl Tally {
    /// The row of a value.
    pub fn row(&mut self, value: &str) -> usize {
        if let Some(row) = self.by_value.get(value) {
            return *row;
        }
        let row = self.rows.len();
        self.by_value.insert(value.to_owned(), row);
        self.rows.push(Count {
            value: value.to_owned(),
            requests: 0,
            first: None,
            last: None,
            about: Vec::new(),
            events: Vec::new(),
        });
        row
    }

    /// Counts a request in a row.
    pub fn count(&mut self, row: usize, request: &Request) {
        let Some(count) = self.rows.get_mut(row) else { return };
        if count.requests == 0 {
            (count.first, count.last) = (request.time, request.time);
        }
        count.requests += 1;
        count.first = count.first.min(request.time);
        count.last = count.last.max(request.time);
        count.events.extend(&request.events);
    }

    /// Says something about a row, once.
    pub fn about(&mut self, row: usize, text: &str) {
        let Some(count) = self.rows.get_mut(row) else { return };
        if !text.is_empty() && !count.about.iter().any(|known| known == text) {
            count.about.push(text.to_owned());
        }
    }

    /// The table, most frequent first.
    pub fn section(self, title: &str, column: &str) -> Section {
        let mut rows = self.rows;
        rows.sort_by(|a, b| b.requests.cmp(&a.requests).then_with(|| a.value.cmp(&b.value)));
        let mut table = section(title, &[column, "about", "requests", "first", "last"]);
        for count in rows {
            push(
                &mut table,
                vec![
                    if count.value.is_empty() { Cell::Empty } else { count.value.into() },
                    match count.about.is_empty() {
                        true => Cell::Empty,
                        false => count.about.join("; ").into(),
                    },
                    count.requests.into(),
                    count.first.into(),
                    count.last.into(),
                ],
                count.events,
            );
        }
        table
    }
}

/// Counts requests by what follows from the values of some columns: a value and something about
/// it; requests of which nothing follows are left out.
pub fn tally<'r, const N: usize>(
    requests: impl IntoIterator<Item = &'r Request>,
    title: &str,
    column: &str,
    by: [&'static str; N],
    follows: impl Fn([Option<&str>; N]) -> Option<(String, String)>,
) -> Section {
    let mut tally = Tally::default();
    let mut rows: Once<N, Option<usize>> = Once::by(by);
    for request in requests {
        let row = rows.of(request, |values| {
            let (value, about) = follows(values)?;
            let row = tally.row(&value);
            tally.about(row, &about);
            Some(row)
        });
        if let Some(Some(row)) = row {
            tally.count(*row, request);
        }
    }
    tally.section(title, column)
}

/// Counts requests by one column, with whom their peers stood for at the time of each; `about` puts
/// that together with the value of a further column.
pub fn tally_owners<'r>(
    context: &PivotContext<'_>,
    requests: impl IntoIterator<Item = &'r Request>,
    (title, column): (&str, &str),
    (by, more): (&'static str, &'static str),
    about: impl Fn(String, &str) -> String,
) -> Section {
    let mut tally = Tally::default();
    let mut groups = Once::by([by, "peer", "cluster", more]);
    for request in requests {
        let group = groups.of(request, |[value, peer, cluster, more]| {
            let owners = peer.and_then(parse_address).map(|address| {
                context.ledgers.addresses.owners_of(cluster.unwrap_or_default(), address)
            });
            let more = more.unwrap_or_default().to_owned();
            let told: Vec<Option<Owner<'_>>> = Vec::new();
            (tally.row(value.unwrap_or_default()), owners, more, told)
        });
        let Some((row, owners, more, told)) = group else { continue };
        tally.count(*row, request);
        let owner = owners.as_ref().zip(request.time).map(|(owners, time)| owners.at(time));
        let same = |known: &Option<Owner<'_>>| match (known, &owner) {
            (Some(known), Some(owner)) => known.is(owner),
            (None, None) => true,
            _ => false,
        };
        if !told.iter().any(same) {
            let text = owner.as_ref().map(Owner::to_string).unwrap_or_default();
            tally.about(*row, &about(text, more));
            told.push(owner);
        }
    }
    tally.section(title, column)
}
