//! Short forms of the narrow questions an investigation asks.

use crate::event::field::Field;
use crate::event::time::TimeRange;
use crate::event::time::Timestamp;
use crate::event::words;
use crate::hunt::state::value;
use crate::hunt::timeline::TimelineEvent;
use crate::hunt::timeline::describe;
use crate::query::ast::QueryAst;
use crate::query::ast::Test;
use crate::query::ast::WordPattern;
use crate::search::error::SearchError;
use crate::search::evidence::Evidence;
use crate::search::evidence::FacetRow;
use crate::search::evidence::SearchOptions;
use crate::search::evidence::SortOrder;

/// Where the token's own pod is named (TokenRequest binds it; authentication/serviceaccount).
pub const POD_NAME: &str = "user.extra.authentication.kubernetes.io/pod-name";
/// UID of that pod.
pub const POD_UID: &str = "user.extra.authentication.kubernetes.io/pod-uid";
/// Node of that pod.
pub const NODE_NAME: &str = "user.extra.authentication.kubernetes.io/node-name";

/// An evidence with the cluster the story plays in.
#[derive(Clone, Copy)]
pub struct Ask<'e> {
    /// The evidence.
    pub evidence: &'e dyn Evidence,
    /// Only this cluster.
    pub cluster: Option<&'e str>,
    /// Only this time.
    pub range: TimeRange,
}

impl std::fmt::Debug for Ask<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ask").field("cluster", &self.cluster).field("range", &self.range).finish()
    }
}

/// `field:value`.
pub fn is(path: &str, text: &str) -> QueryAst {
    QueryAst::path_equals(path, text)
}

/// `field:(a OR b)`.
pub fn one_of(path: &str, texts: &[&str]) -> QueryAst {
    QueryAst::any_of(texts.iter().map(|text| is(path, text)).collect())
}

/// All of these.
pub fn all(parts: Vec<QueryAst>) -> QueryAst {
    QueryAst::all_of(parts)
}

/// These words next to each other somewhere in the event.
pub fn phrase(text: &str) -> QueryAst {
    QueryAst::Words(words::words(text).map(|w| WordPattern::Is(words::fold(w))).collect())
}

/// The last source address, the one that is vouched for.
pub fn peer(address: &str) -> QueryAst {
    QueryAst::equals(Field::Peer, address)
}

/// Any of the source addresses, vouched for or claimed.
pub fn any_ip(address: &str) -> QueryAst {
    is("sourceIPs", address)
}

/// Refused by the authenticator or the authorizer.
pub fn refused() -> QueryAst {
    one_of("responseStatus.code", &["401", "403"])
}

/// Neither refused nor failed.
pub fn succeeded() -> QueryAst {
    QueryAst::Field {
        field: Field::path("responseStatus.code"),
        test: Test::Range {
            low: crate::query::ast::Bound::Included("400".to_owned()),
            high: crate::query::ast::Bound::Open,
        },
    }
    .negated()
}

/// Requests about one object.
pub fn object(resource: &str, namespace: &str, name: &str) -> QueryAst {
    let mut parts = vec![is("objectRef.resource", resource)];
    if !namespace.is_empty() {
        parts.push(QueryAst::equals(Field::Namespace, namespace));
    }
    parts.push(QueryAst::equals(Field::Name, name));
    all(parts)
}

impl<'e> Ask<'e> {
    fn scoped(&self, question: QueryAst) -> QueryAst {
        match self.cluster {
            Some(cluster) => all(vec![question, QueryAst::equals(Field::Cluster, cluster)]),
            None => question,
        }
    }

    /// The events that match, oldest first, at most `limit` (0 for all).
    ///
    /// # Errors
    /// As [`Evidence::search`].
    pub fn events(
        &self,
        question: QueryAst,
        limit: usize,
    ) -> Result<Vec<TimelineEvent>, SearchError> {
        self.ordered(question, SortOrder::Oldest, limit, self.range)
    }

    /// The newest event that matches.
    ///
    /// # Errors
    /// As [`Evidence::search`].
    pub fn newest(&self, question: QueryAst) -> Result<Option<TimelineEvent>, SearchError> {
        Ok(self.ordered(question, SortOrder::Newest, 1, self.range)?.into_iter().next())
    }

    /// The events of a span of time that match.
    ///
    /// # Errors
    /// As [`Evidence::search`].
    pub fn between(
        &self,
        question: QueryAst,
        since: Timestamp,
        until: Timestamp,
        limit: usize,
    ) -> Result<Vec<TimelineEvent>, SearchError> {
        let range = TimeRange { since: Some(since), until: Some(until) };
        self.ordered(question, SortOrder::Oldest, limit, range)
    }

    fn ordered(
        &self,
        question: QueryAst,
        order: SortOrder,
        limit: usize,
        range: TimeRange,
    ) -> Result<Vec<TimelineEvent>, SearchError> {
        let options = SearchOptions { range, order, limit, count_all: false };
        let hits = self.evidence.search(&self.scoped(question), &options)?;
        describe(self.evidence, &hits.hits)
    }

    /// How many events match.
    ///
    /// # Errors
    /// As [`Evidence::search`].
    pub fn count(&self, question: QueryAst) -> Result<u64, SearchError> {
        let options =
            SearchOptions { range: self.range, limit: 1, count_all: true, ..Default::default() };
        Ok(self.evidence.search(&self.scoped(question), &options)?.total)
    }

    /// The most frequent values of some fields.
    ///
    /// # Errors
    /// As [`Evidence::top`].
    pub fn top(&self, question: QueryAst, fields: &[Field]) -> Result<Vec<FacetRow>, SearchError> {
        self.evidence.top(&self.scoped(question), self.range, fields, None, 1)
    }

    /// The different values of one field, most frequent first.
    ///
    /// # Errors
    /// As [`Evidence::top`].
    pub fn values(
        &self,
        question: QueryAst,
        field: Field,
    ) -> Result<Vec<(String, u64)>, SearchError> {
        let rows = self.top(question, &[field])?;
        let value = |row: FacetRow| {
            let count = row.count;
            row.values.into_iter().next().flatten().map(|value| (value, count))
        };
        Ok(rows.into_iter().filter_map(value).collect())
    }

    /// The values of paths for one event.
    ///
    /// # Errors
    /// As [`Evidence::rows`].
    pub fn values_of(
        &self,
        event: &TimelineEvent,
        paths: &[&str],
    ) -> Result<Vec<Vec<String>>, SearchError> {
        let fields: Vec<Field> = paths.iter().map(|path| Field::path(path)).collect();
        Ok(self.evidence.rows(&[event.id], &fields)?.into_iter().next().unwrap_or_default())
    }

    /// The whole event.
    ///
    /// # Errors
    /// As [`Evidence::fetch`].
    pub fn body(&self, event: &TimelineEvent) -> Result<serde_json::Value, SearchError> {
        let stored = self.evidence.fetch(event.id)?;
        Ok(value::parse(&stored.event).unwrap_or_default())
    }
}
