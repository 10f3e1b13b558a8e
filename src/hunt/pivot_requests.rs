//! Asks a pivot's question and lays its requests out as a table.

use std::net::IpAddr;

use crate::event::field::Field;
use crate::event::json::Json;
use crate::event::json::Tape;
use crate::event::json::parse_lenient;
use crate::event::time::Timestamp;
use crate::hunt::answer::Answer;
use crate::hunt::answer::AnswerRow;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot::PivotOptions;
use crate::ledger::network::parse_address;
use crate::ledger::reason;
use crate::ledger::request;
use crate::ledger::request::Request;
use crate::ledger::request::Requests;
use crate::query::ast::QueryAst;
use crate::query::platform::platform_identities;
use crate::search::evidence::EventId;
use crate::search::evidence::SearchOptions;

/// Requests that are summed up, even where fewer are listed.
const SUMMED: usize = 10_000;

/// A column of a table of requests: its name, what must have been read of the requests, and how a
/// cell is filled.
pub type Column = (&'static str, &'static [&'static str], fn(&PivotContext<'_>, &Request) -> Cell);

/// When it was received.
pub const TIME: Column = ("time", &[], |_, r| r.time.into());
/// Who was authenticated.
pub const USER: Column = ("user", &["user"], |_, r| r.get("user").into());
/// Whom they acted as.
pub const AS: Column = ("as", &["as"], |_, r| r.get("as").into());
/// Verb.
pub const VERB: Column = ("verb", &["verb"], |_, r| r.get("verb").into());
/// Resource with its subresource.
pub const RESOURCE: Column = ("resource", &["resource", "sub"], |_, r| r.resource().into());
/// Namespace.
pub const NAMESPACE: Column =
    ("namespace", &["objectRef.namespace"], |_, r| r.get("objectRef.namespace").into());
/// Name, from the bodies where the reference lacks it.
pub const NAME: Column = ("name", &["name"], |_, r| r.get("name").into());
/// Path and query.
pub const URI: Column = ("uri", &["requestURI"], |_, r| r.get("requestURI").into());
/// Status code.
pub const CODE: Column = ("code", &[], |_, r| r.code().into());
/// How it ended.
pub const OUTCOME: Column = ("outcome", &[], |_, r| r.outcome.name().into());
/// The last source address, the only one vouched for.
pub const PEER: Column = ("peer", &["peer"], |_, r| r.get("peer").into());
/// Earlier addresses: what the client, or a proxy, claims.
pub const CLAIMED: Column = ("claimed_ips", &["ip"], |_, r| match r.claimed() {
    claimed if claimed.is_empty() => Cell::Empty,
    claimed => Cell::List(claimed.into_iter().map(str::to_owned).collect()),
});
/// Whom the peer stood for at that moment.
pub const OWNER: Column = ("peer_is", &["peer"], |context, r| context.owner(r).into());
/// User agent.
pub const AGENT: Column = ("agent", &["ua"], |_, r| r.get("ua").into());
/// Credential id.
pub const CREDENTIAL: Column = ("credential", &["credential"], |_, r| r.get("credential").into());
/// Decision of the authorizer.
pub const DECISION: Column = ("decision", &["decision"], |_, r| r.get("decision").into());
/// The binding and role that let it through.
pub const ALLOWED_BY: Column =
    ("allowed_by", &["reason"], |_, r| allowed_by(r.get("reason")).into());
/// How long it took, in seconds.
pub const LENGTH: Column = ("seconds", &["requestReceivedTimestamp", "stageTimestamp"], |_, r| {
    r.length().map(seconds).into()
});

/// What must be read of requests for these columns.
pub fn needs(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().flat_map(|(_, needs, _)| needs.iter().copied()).collect()
}

/// The binding and role that an authorizer's reason names, or the reason itself.
pub fn allowed_by(reason: Option<&str>) -> Option<String> {
    let text = reason.filter(|reason| !reason.is_empty())?;
    Some(reason::grant(text).map_or(text.to_owned(), |grant| grant.to_string()))
}

/// Microseconds as seconds with three digits.
pub fn seconds(micros: i64) -> String {
    format!("{:.3}", std::time::Duration::from_micros(micros.unsigned_abs()).as_secs_f64())
}

impl PivotContext<'_> {
    /// The pivot's own question with the further condition.
    pub fn refined(&self, question: QueryAst) -> QueryAst {
        let mut parts = vec![question];
        parts.extend(self.filter.cloned());
        QueryAst::all_of(parts)
    }

    /// Starts an answer to `question`, which is printed so that it can be refined.
    pub fn answer(&self, pivot: &dyn Pivot, question: &QueryAst) -> Answer {
        Answer {
            name: pivot.name().to_owned(),
            query: question_text(question),
            ..Answer::default()
        }
    }

    /// Asks for requests to be summed up: many more than are listed, so that first and last, counts
    /// and judgements do not end where the list does; only the `wanted` columns are read.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn requests_to_sum(
        &self,
        answer: &mut Answer,
        question: &QueryAst,
        wanted: &[&'static str],
    ) -> Result<Vec<Request>, HuntError> {
        let limit = match self.options.limit {
            0 => 0,
            limit => limit.max(SUMMED),
        };
        let options = PivotOptions { limit, ..self.options };
        PivotContext { options, ..*self }.asked(answer, question, wanted)
    }

    /// The first of `requests`, as many as are to be listed, with what their `columns` need, and a
    /// remark where there are more.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn listed(
        &self,
        answer: &mut Answer,
        requests: &[&Request],
        columns: &[Column],
    ) -> Result<Vec<Request>, HuntError> {
        let listed = match requests.get(..self.options.limit) {
            Some(first) if self.options.limit > 0 && first.len() < requests.len() => {
                answer.notes.push(format!(
                    "only the first {} of {} requests are listed (--limit)",
                    first.len(),
                    requests.len()
                ));
                first
            }
            _ => requests,
        };
        let listed = listed.iter().copied();
        Ok(request::with_columns(self.evidence, listed, &needs(columns))?)
    }

    /// Asks for requests in the time asked about, and notes in `answer` what was left out.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn requests(
        &self,
        answer: &mut Answer,
        question: &QueryAst,
        extra: &[&'static str],
    ) -> Result<Vec<Request>, HuntError> {
        self.asked(answer, question, &[request::COLUMNS, extra].concat())
    }

    /// Asks for requests that are shown in `columns` alone, and of which only `further` is asked
    /// beside: what is not shown need not be read.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn requests_shown(
        &self,
        answer: &mut Answer,
        question: &QueryAst,
        columns: &[Column],
        further: &[&'static str],
    ) -> Result<Vec<Request>, HuntError> {
        self.asked(answer, question, &[&needs(columns), further].concat())
    }

    fn asked(
        &self,
        answer: &mut Answer,
        question: &QueryAst,
        columns: &[&'static str],
    ) -> Result<Vec<Request>, HuntError> {
        // A request has two stages at most where RequestReceived is omitted, which all do.
        let options = SearchOptions {
            range: self.range,
            limit: self.options.limit.saturating_mul(2),
            ..SearchOptions::default()
        };
        let kept = self.without_platform(answer, question)?;
        let Requests { mut list, total_events, read_events, notes } =
            request::ask_columns(self.evidence, &kept, &options, columns)?;
        let limit = if self.options.limit == 0 { usize::MAX } else { self.options.limit };
        if (read_events as u64) < total_events || list.len() > limit {
            list.truncate(limit);
            answer.notes.push(format!(
                "{total_events} events match; only the first {} requests are counted and shown \
                 (--limit 0 takes all)",
                list.len()
            ));
        }
        for note in notes {
            note_once(answer, note);
        }
        if list.iter().any(|request| request.actor_uncertain) {
            note_once(
                answer,
                "some requests are known only from an aggregated API server: actor and address \
                 there are what the front proxy passed on"
                    .to_owned(),
            );
        }
        Ok(list)
    }

    /// Events of the platform's own identities, but for credentials that the evidence shows in
    /// other hands: whoever stole an operator's token must not hide behind its name.
    pub fn platform(&self) -> QueryAst {
        let stolen: Vec<QueryAst> = self
            .ledgers
            .credentials
            .accused()
            .map(crate::ledger::credential::Credential::question)
            .collect();
        if stolen.is_empty() {
            return platform_identities();
        }
        QueryAst::all_of(vec![platform_identities(), QueryAst::any_of(stolen).negated()])
    }

    /// Counts events of the platform itself by some fields, for pivots that do not list them.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn count_platform(
        &self,
        answer: &mut Answer,
        question: &QueryAst,
        fields: &[(&str, Field)],
        keep: impl Fn(&[Option<String>]) -> bool,
    ) -> Result<(), HuntError> {
        if self.options.no_platform {
            return Ok(());
        }
        let mut columns: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
        columns.extend(["events", "first", "last"]);
        let mut counted = section("by the platform itself", &columns);
        let question = QueryAst::all_of(vec![question.clone(), self.platform()]);
        let fields: Vec<Field> = fields.iter().map(|(_, field)| field.clone()).collect();
        for row in self.evidence.top(&question, self.range, &fields, None, 1)? {
            if !keep(&row.values) {
                continue;
            }
            let mut cells: Vec<Cell> = row.values.into_iter().map(Into::into).collect();
            cells.push(i64::try_from(row.count).unwrap_or(i64::MAX).into());
            cells.extend([row.first.into(), row.last.into()]);
            push(&mut counted, cells, Vec::new());
        }
        if !counted.rows.is_empty() {
            counted.notes.push("the platform does this all day: counted, not listed".to_owned());
            answer.sections.push(counted);
        }
        Ok(())
    }

    /// Takes the platform's identities out where that was asked, and says how many events it hid.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn without_platform(
        &self,
        answer: &mut Answer,
        question: &QueryAst,
    ) -> Result<QueryAst, HuntError> {
        if !self.options.no_platform {
            return Ok(question.clone());
        }
        let platform = self.platform();
        let hidden = QueryAst::all_of(vec![question.clone(), platform.clone()]);
        let count = SearchOptions { range: self.range, limit: 1, ..SearchOptions::default() };
        let n_hidden = self.evidence.search(&hidden, &count)?.total;
        note_once(answer, format!("--no-platform hides {n_hidden} events of platform identities"));
        Ok(QueryAst::all_of(vec![question.clone(), platform.negated()]))
    }

    /// Whom the peer of a request stood for when it was received.
    pub fn owner(&self, request: &Request) -> Option<String> {
        let address = request.get("peer").and_then(parse_address)?;
        Some(self.owner_at(request.cluster(), address, request.time?))
    }

    /// Whom an address stood for.
    pub fn owner_at(&self, cluster: &str, address: IpAddr, time: Timestamp) -> String {
        self.ledgers.addresses.describe(cluster, address, time)
    }

    /// Reads the JSON of an event; for the few events whose bodies are taken apart.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn with_event<T>(
        &self,
        id: EventId,
        read: impl FnOnce(Json<'_>) -> T,
    ) -> Result<Option<T>, HuntError> {
        let stored = self.evidence.fetch(id)?;
        let mut tape = Tape::default();
        if parse_lenient(&stored.event, &mut tape).is_err() {
            return Ok(None);
        }
        Ok(tape.root(&stored.event).map(read))
    }

    /// Lays requests out as a table.
    pub fn table<'r>(
        &self,
        title: &str,
        requests: impl IntoIterator<Item = &'r Request>,
        columns: &[Column],
    ) -> Section {
        Section {
            title: title.to_owned(),
            columns: columns.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            rows: requests
                .into_iter()
                .map(|request| AnswerRow {
                    cells: columns.iter().map(|(_, _, cell)| cell(self, request)).collect(),
                    events: request.events.clone(),
                })
                .collect(),
            notes: Vec::new(),
        }
    }
}

/// A question in the query language.
pub fn question_text(question: &QueryAst) -> String {
    crate::query::print::print(question)
}

/// Adds a remark unless it was made already.
pub fn note_once(answer: &mut Answer, note: String) {
    if !answer.notes.contains(&note) {
        answer.notes.push(note);
    }
}

/// A table that is filled row by row.
pub fn section(title: &str, columns: &[&str]) -> Section {
    Section {
        title: title.to_owned(),
        columns: columns.iter().map(|name| (*name).to_owned()).collect(),
        ..Section::default()
    }
}

/// Adds a row.
pub fn push(section: &mut Section, cells: Vec<Cell>, events: Vec<EventId>) {
    section.rows.push(AnswerRow { cells, events });
}

/// `3 requests (5 events)`.
pub fn counted(requests: &[Request]) -> String {
    let events: usize = requests.iter().map(|request| request.events.len()).sum();
    let s = |n: usize| if n == 1 { "" } else { "s" };
    format!("{} request{} ({events} event{})", requests.len(), s(requests.len()), s(events))
}

/// The one argument a pivot needs.
///
/// # Errors
/// Where there is none or more than one.
pub fn one_argument<'a>(pivot: &dyn Pivot, arguments: &'a [String]) -> Result<&'a str, HuntError> {
    match arguments {
        [one] if !one.trim().is_empty() => Ok(one.trim()),
        _ => Err(usage(pivot)),
    }
}

/// An argument that may be left out.
///
/// # Errors
/// Where there are more.
pub fn optional_argument<'a>(
    pivot: &dyn Pivot,
    arguments: &'a [String],
) -> Result<Option<&'a str>, HuntError> {
    match arguments {
        [] => Ok(None),
        [one] => Ok(Some(one.trim())),
        _ => Err(usage(pivot)),
    }
}

/// What a pivot expects.
pub fn usage(pivot: &dyn Pivot) -> HuntError {
    let arguments = pivot.arguments();
    HuntError::Usage(match arguments {
        "" => format!("the pivot {} takes no arguments", pivot.name()),
        _ => format!("the pivot {} takes {arguments}: {}", pivot.name(), pivot.about()),
    })
}
