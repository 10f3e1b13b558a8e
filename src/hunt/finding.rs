//! What a hunt finds: rules with the requests they matched, who stands behind them, and what could
//! not be answered.

use crate::event::time::Timestamp;
use crate::hunt::confidence::Confidence;
use crate::hunt::requests::Request;
use crate::sigma::rule::Level;
use crate::sigma::rule::Meta;
use crate::sigma::rule::NeededLevel;

/// What kind of thing found it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HuntKind {
    /// One event suffices.
    Rule,
    /// A Sigma correlation.
    Correlation,
    /// An analysis of our own that Sigma cannot say.
    Analysis,
}

impl HuntKind {
    /// The word for it in output.
    pub fn name(self) -> &'static str {
        match self {
            HuntKind::Rule => "rule",
            HuntKind::Correlation => "correlation",
            HuntKind::Analysis => "analysis",
        }
    }
}

/// A hunt as it introduces itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Card {
    /// Short id (`secrets-list`), else what the rule has.
    pub rule: String,
    /// UUID, if it has one.
    pub id: Option<String>,
    /// Title.
    pub title: String,
    /// Level.
    pub level: Level,
    /// ATT&CK techniques (`T1552.007`), renamed where ATT&CK did.
    pub techniques: Vec<String>,
    /// ATT&CK tactics (`credential-access`).
    pub tactics: Vec<String>,
    /// Tags as written.
    pub tags: Vec<String>,
    /// Author, to be shown with every finding (Detection Rule License 1.1).
    pub author: String,
    /// Status.
    pub status: String,
    /// What it finds.
    pub description: String,
    /// When it is harmless.
    pub falsepositives: Vec<String>,
    /// Where it comes from.
    pub references: Vec<String>,
    /// Licence where the rule names one.
    pub license: Option<String>,
    /// Audit level needed.
    pub needs: NeededLevel,
    /// What answers where bodies are missing.
    pub fallback: Option<String>,
    /// Rule, correlation or analysis.
    pub kind: HuntKind,
    /// `builtin` or the file.
    pub origin: String,
}

impl Card {
    /// Introduces a Sigma document.
    pub fn of(meta: &Meta, kind: HuntKind, needs: NeededLevel, builtin: bool) -> Card {
        let (tactics, techniques) = crate::hunt::attack::read_tags(&meta.tags);
        Card {
            rule: meta.short_id().to_owned(),
            id: meta.id.clone(),
            title: meta.title.clone(),
            level: meta.level,
            techniques,
            tactics,
            tags: meta.tags.clone(),
            author: meta.author.clone().unwrap_or_else(|| "unknown".to_owned()),
            status: meta.status.clone().unwrap_or_default(),
            description: meta.description.clone().unwrap_or_default(),
            falsepositives: meta.falsepositives.clone(),
            references: meta.references.clone(),
            license: meta.license.clone(),
            needs,
            fallback: meta.own("fallback").and_then(serde_json::Value::as_str).map(str::to_owned),
            kind,
            origin: if builtin { "builtin".to_owned() } else { meta.file.clone() },
        }
    }
}

/// Requests that belong together: one instance of a correlation or an analysis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Group {
    /// What they share, as (field, value).
    pub key: Vec<(String, String)>,
    /// First of them.
    pub first: Option<Timestamp>,
    /// Last of them.
    pub last: Option<Timestamp>,
    /// How many.
    pub count: u64,
    /// What was counted or summed, as text; empty if only requests were.
    pub measured: String,
    /// Why this is a finding, one sentence; empty where the rule's title says it.
    pub why: String,
    /// Its requests, oldest first.
    pub requests: Vec<Request>,
}

/// One rule that found something.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which rule.
    pub card: Card,
    /// How sure it is.
    pub confidence: Confidence,
    /// Requests, a paged list counted once.
    pub count: u64,
    /// Requests, every page counted.
    pub n_requests: u64,
    /// Stored events, every stage counted.
    pub n_events: u64,
    /// Requests left out because of the allow list.
    pub suppressed: u64,
    /// First request.
    pub first: Option<Timestamp>,
    /// Last request.
    pub last: Option<Timestamp>,
    /// The requests, oldest first, at most as many as were asked for.
    pub requests: Vec<Request>,
    /// Instances of correlations and analyses.
    pub groups: Vec<Group>,
    /// Remarks, one sentence each.
    pub notes: Vec<String>,
    /// Commands to run next.
    pub next: Vec<String>,
}

/// A rule that did not answer, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Silent {
    /// Which rule.
    pub card: Card,
    /// Why, one sentence.
    pub why: String,
    /// Requests it would have had to judge (undecidable rules).
    pub candidates: u64,
}

/// One identity seen in findings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IdentityRow {
    /// User name.
    pub user: String,
    /// Titles' short ids of the rules that named it.
    pub rules: Vec<String>,
    /// Requests in findings.
    pub n_requests: u64,
    /// Of these, let through.
    pub allowed: u64,
    /// Of these, refused.
    pub denied: u64,
    /// First and last time in findings.
    pub first: Option<Timestamp>,
    /// See `first`.
    pub last: Option<Timestamp>,
    /// Addresses (the vouched one).
    pub addresses: Vec<String>,
    /// User agents.
    pub agents: Vec<String>,
    /// Namespaces touched.
    pub namespaces: Vec<String>,
    /// Credential ids.
    pub credentials: Vec<String>,
}

/// One thing worth searching elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// `address`, `user`, `credential`, `image`, `agent`, `namespace`.
    pub kind: &'static str,
    /// The value.
    pub value: String,
    /// A query that finds it.
    pub query: String,
    /// Findings that name it.
    pub rules: Vec<String>,
}

/// An entry of the allow list and what it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowUse {
    /// The entry in words.
    pub entry: String,
    /// Its reason.
    pub reason: String,
    /// Requests it took out of findings.
    pub suppressed: u64,
    /// Whether it is past its date and took nothing.
    pub expired: bool,
}

/// Everything a hunt has to say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HuntReport {
    /// Highest level first, then correlations before rules, then the earliest.
    pub findings: Vec<Finding>,
    /// Rules that were asked (whatever they found).
    pub n_asked: usize,
    /// Rules below the level or without the tag.
    pub n_left_out: usize,
    /// Rules that found nothing although the evidence could have shown it.
    pub n_nothing: usize,
    /// Rules for another log source.
    pub not_applicable: Vec<Silent>,
    /// Rules that no audit event can match.
    pub cannot_match: Vec<Silent>,
    /// Rules that need bodies which are not there.
    pub undecidable: Vec<Silent>,
    /// Files and documents that are no rules.
    pub unusable: Vec<(String, String)>,
    /// Who appears in findings.
    pub identities: Vec<IdentityRow>,
    /// What to search for elsewhere.
    pub indicators: Vec<Indicator>,
    /// What the allow list did.
    pub allow_list: Vec<AllowUse>,
    /// Remarks on the evidence.
    pub notes: Vec<String>,
}

impl HuntReport {
    /// The highest level of any finding.
    pub fn highest(&self) -> Option<Level> {
        self.findings.iter().map(|finding| finding.card.level).max()
    }

    /// Requests suppressed by the allow list.
    pub fn suppressed(&self) -> u64 {
        self.allow_list.iter().map(|entry| entry.suppressed).sum()
    }
}
