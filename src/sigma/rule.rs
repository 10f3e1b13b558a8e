//! What a Sigma document says, in our own words: rules whose detection is already a question,
//! correlations over them, and what was wrong with either.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::event::field::Field;
use crate::query::ast::QueryAst;

/// How much a finding matters, as Sigma's `level`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Worth knowing when something else points at it.
    Informational,
    /// Rarely an attack by itself.
    Low,
    /// Should be looked at; also what a rule without a level counts as.
    #[default]
    Medium,
    /// Should be looked at soon.
    High,
    /// Somebody must look now.
    Critical,
}

impl Level {
    /// All levels, ascending.
    pub const ALL: [Level; 5] =
        [Level::Informational, Level::Low, Level::Medium, Level::High, Level::Critical];

    /// The word Sigma uses.
    pub fn name(self) -> &'static str {
        match self {
            Level::Informational => "informational",
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// Reads the word Sigma uses, or the short form `info`.
    pub fn parse(text: &str) -> Option<Level> {
        let text = text.trim().to_ascii_lowercase();
        let text = if text == "info" { "informational" } else { text.as_str() };
        Level::ALL.into_iter().find(|level| level.name() == text)
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// The least audit level (audit.k8s.io `Level`) at which a rule can be answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NeededLevel {
    /// The envelope of the event is enough.
    #[default]
    Metadata,
    /// The body of the request is asked about.
    Request,
    /// The body of the response is asked about.
    RequestResponse,
}

impl NeededLevel {
    /// The word Kubernetes uses.
    pub fn name(self) -> &'static str {
        match self {
            NeededLevel::Metadata => "Metadata",
            NeededLevel::Request => "Request",
            NeededLevel::RequestResponse => "RequestResponse",
        }
    }

    /// Reads the word Kubernetes uses.
    pub fn parse(text: &str) -> Option<NeededLevel> {
        [NeededLevel::Metadata, NeededLevel::Request, NeededLevel::RequestResponse]
            .into_iter()
            .find(|level| level.name().eq_ignore_ascii_case(text.trim()))
    }
}

/// What every document carries about itself.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Meta {
    /// Title.
    pub title: String,
    /// UUID.
    pub id: Option<String>,
    /// Name that correlations refer to.
    pub name: Option<String>,
    /// Level; medium where the document has none.
    pub level: Level,
    /// `stable`, `test`, `experimental`, `deprecated`, `unsupported`.
    pub status: Option<String>,
    /// What it finds.
    pub description: Option<String>,
    /// Who wrote it; the Detection Rule License asks to print this with every match.
    pub author: Option<String>,
    /// When it was written.
    pub date: Option<String>,
    /// Licence, if not that of its collection.
    pub license: Option<String>,
    /// Where it comes from.
    pub references: Vec<String>,
    /// `attack.execution`, `attack.t1609`, ...
    pub tags: Vec<String>,
    /// When a match is harmless.
    pub falsepositives: Vec<String>,
    /// Keys beside the specification's; ours stand under `x-audithound`.
    pub custom: BTreeMap<String, Value>,
    /// File the document came from, for messages.
    pub file: String,
}

impl Meta {
    /// Our own metadata of a rule of the pack (`x-audithound.KEY`).
    pub fn own(&self, key: &str) -> Option<&Value> {
        self.custom.get("x-audithound")?.get(key)
    }

    /// The short id of the hunt (`secrets-list`), else the name, else the UUID, else the title.
    pub fn short_id(&self) -> &str {
        self.own("hunt")
            .and_then(Value::as_str)
            .or(self.name.as_deref())
            .or(self.id.as_deref())
            .unwrap_or(&self.title)
    }

    /// Says whether `reference` (id, name, short id or title) means this document.
    pub fn is_called(&self, reference: &str) -> bool {
        self.id.as_deref() == Some(reference)
            || self.name.as_deref() == Some(reference)
            || self.own("hunt").and_then(Value::as_str) == Some(reference)
            || self.title == reference
    }
}

/// Where a rule says its events come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogSource {
    /// Such as `application`.
    pub category: Option<String>,
    /// Such as `kubernetes`.
    pub product: Option<String>,
    /// Such as `audit`.
    pub service: Option<String>,
}

/// A detection rule as a question.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// About itself.
    pub meta: Meta,
    /// Where its events come from.
    pub logsource: LogSource,
    /// What it asks; filters are already in it.  Meaningless where `flaws` hold an error.
    pub question: QueryAst,
    /// The audit level its fields need.
    pub needs: NeededLevel,
    /// What makes it unanswerable, or answerable in part only.
    pub flaws: Vec<Flaw>,
}

impl Rule {
    /// Why this rule can never match, one sentence each; empty if it can.
    pub fn cannot_match(&self) -> Vec<String> {
        self.flaws.iter().filter(|flaw| flaw.fatal).map(|flaw| flaw.text.clone()).collect()
    }
}

/// Something about a rule that its author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    /// The whole rule cannot match because of this.
    pub fatal: bool,
    /// One sentence.
    pub text: String,
}

/// The eight ways to correlate (Sigma correlation rules specification 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrelationKind {
    /// So many matches.
    EventCount,
    /// So many different values.
    ValueCount,
    /// All rules, in any order.
    Temporal,
    /// All rules, in the order named.
    TemporalOrdered,
    /// Sum of the values.
    ValueSum,
    /// Mean of the values.
    ValueAvg,
    /// A percentile of the values.
    ValuePercentile,
    /// Median of the values.
    ValueMedian,
}

impl CorrelationKind {
    /// The word Sigma uses.
    pub fn name(self) -> &'static str {
        match self {
            CorrelationKind::EventCount => "event_count",
            CorrelationKind::ValueCount => "value_count",
            CorrelationKind::Temporal => "temporal",
            CorrelationKind::TemporalOrdered => "temporal_ordered",
            CorrelationKind::ValueSum => "value_sum",
            CorrelationKind::ValueAvg => "value_avg",
            CorrelationKind::ValuePercentile => "value_percentile",
            CorrelationKind::ValueMedian => "value_median",
        }
    }
}

/// A comparison of a correlation's condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `lt`
    Less,
    /// `lte`
    LessOrEqual,
    /// `gt`
    Greater,
    /// `gte`
    GreaterOrEqual,
    /// `eq`
    Equal,
    /// `neq`
    NotEqual,
}

impl Comparison {
    /// Compares.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Comparison::Less => left < right,
            Comparison::LessOrEqual => left <= right,
            Comparison::Greater => left > right,
            Comparison::GreaterOrEqual => left >= right,
            Comparison::Equal => left == right,
            Comparison::NotEqual => left != right,
        }
    }
}

/// Which of the referenced rules must be in a window of a temporal correlation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presence {
    /// The rule of this reference.
    Rule(String),
    /// All of these.
    And(Vec<Presence>),
    /// One of these.
    Or(Vec<Presence>),
    /// Not this.
    Not(Box<Presence>),
}

/// How matches are cut into windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Any span of the length of the time frame.
    Sliding,
    /// Spans of that length side by side, aligned to 1970-01-01T00:00:00Z.
    Tumbling,
    /// As long as no gap (microseconds) is longer than this, at most the time frame.
    Session(i64),
}

/// One field by which matches are grouped.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupBy {
    /// As written.
    pub name: String,
    /// The field of every referenced rule (aliases map per rule); the reference `*` is the field
    /// of all other rules.
    pub fields: BTreeMap<String, Vec<Field>>,
}

/// A correlation of the matches of other rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Correlation {
    /// About itself.
    pub meta: Meta,
    /// How to correlate.
    pub kind: CorrelationKind,
    /// References to rules or other correlations, by id, name or title.
    pub rules: Vec<String>,
    /// What makes a group.
    pub group_by: Vec<GroupBy>,
    /// Length of the window in microseconds.
    pub timespan: i64,
    /// How windows are cut.
    pub window: Window,
    /// What must hold of the count, sum, ...
    pub predicates: Vec<(Comparison, f64)>,
    /// Fields whose values are counted or summed; several make a tuple.
    pub value_fields: Vec<Field>,
    /// The percentile of `value_percentile`.
    pub percentile: f64,
    /// For temporal types: which rules must be there; `None` is all of them.
    pub presence: Option<Presence>,
    /// Whether the referenced rules also make findings of their own.
    pub generate: bool,
    /// What is wrong with it.
    pub flaws: Vec<Flaw>,
}

impl Correlation {
    /// Says whether an instance has a match of every rule.
    pub fn needs_all(&self) -> bool {
        match self.kind {
            CorrelationKind::TemporalOrdered => true,
            CorrelationKind::Temporal => self.presence.is_none(),
            _ => false,
        }
    }
}

/// A document that could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// File it stands in.
    pub file: String,
    /// Why.
    pub why: String,
}

/// Everything read from some files.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleSet {
    /// Detection rules.
    pub rules: Vec<Rule>,
    /// Correlations.
    pub correlations: Vec<Correlation>,
    /// References of filters to rules that are not there: (title of the filter, reference).
    pub dangling_filters: Vec<(String, String)>,
    /// Documents that are no Sigma.
    pub unusable: Vec<Unusable>,
}
