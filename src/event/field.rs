//! The one table of searchable fields: what each is called, what it is, and where it is read.

/// How the values of a field compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Text without case.
    Text,
    /// A whole number.
    Number,
    /// An RFC 3339 time.
    Time,
    /// An IP address: CIDRs and address equality apply.
    Address,
    /// An object or an open map: everything below it is searchable.
    Open,
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct FieldRow {
    /// The name as Kubernetes writes it.
    pub name: &'static str,
    /// How its values compare.
    pub kind: FieldKind,
    /// What it holds, for `audithound fields` and the documentation.
    pub about: &'static str,
}

const fn row(name: &'static str, kind: FieldKind, about: &'static str) -> FieldRow {
    FieldRow { name, kind, about }
}

/// Every field of audit.k8s.io/v1 `Event` (k8s.io/apiserver pkg/apis/audit/v1/types.go), and what
/// older events carry; below an `Open` row any path is a field.
pub const FIELDS: &[FieldRow] = &[
    row("kind", FieldKind::Text, "Event"),
    row("apiVersion", FieldKind::Text, "audit.k8s.io/v1"),
    row("level", FieldKind::Text, "None, Metadata, Request or RequestResponse"),
    row("auditID", FieldKind::Text, "id of the request; a client may set it"),
    row("stage", FieldKind::Text, "RequestReceived, ResponseStarted, ResponseComplete or Panic"),
    row("requestURI", FieldKind::Text, "path and query as sent by the client"),
    row("verb", FieldKind::Text, "get, list, watch, create, ...; an HTTP method in lower case"),
    row("user", FieldKind::Open, "who was authenticated"),
    row("user.username", FieldKind::Text, "name of the user or service account"),
    row("user.uid", FieldKind::Text, "unique id of the user"),
    row("user.groups", FieldKind::Text, "groups of the user"),
    row("user.extra", FieldKind::Open, "credential id, bound pod and node, scopes, ..."),
    row("impersonatedUser", FieldKind::Open, "whom the user acted as"),
    row("impersonatedUser.username", FieldKind::Text, "name of the impersonated user"),
    row("impersonatedUser.uid", FieldKind::Text, "unique id of the impersonated user"),
    row("impersonatedUser.groups", FieldKind::Text, "groups of the impersonated user"),
    row("impersonatedUser.extra", FieldKind::Open, "extra of the impersonated user"),
    row("authenticationMetadata", FieldKind::Open, "how the user was authenticated"),
    row("sourceIPs", FieldKind::Address, "addresses; only the last one is vouched for"),
    row("userAgent", FieldKind::Text, "as the client names itself"),
    row("objectRef", FieldKind::Open, "the object of the request"),
    row("objectRef.resource", FieldKind::Text, "pods, secrets, ..."),
    row("objectRef.namespace", FieldKind::Text, "namespace of the object"),
    row("objectRef.name", FieldKind::Text, "name of the object"),
    row("objectRef.uid", FieldKind::Text, "unique id of the object"),
    row("objectRef.apiGroup", FieldKind::Text, "API group; absent for core"),
    row("objectRef.apiVersion", FieldKind::Text, "API version"),
    row("objectRef.resourceVersion", FieldKind::Text, "version of the object"),
    row("objectRef.subresource", FieldKind::Text, "exec, status, token, ..."),
    row("responseStatus", FieldKind::Open, "outcome of the request"),
    row("responseStatus.code", FieldKind::Number, "HTTP status code"),
    row("responseStatus.status", FieldKind::Text, "Success or Failure"),
    row("responseStatus.reason", FieldKind::Text, "Forbidden, NotFound, ..."),
    row("responseStatus.message", FieldKind::Text, "message to the client"),
    row("responseStatus.details", FieldKind::Open, "details of a failure"),
    row("responseStatus.metadata", FieldKind::Open, "list metadata"),
    row("requestObject", FieldKind::Open, "request body, at level Request and above"),
    row("responseObject", FieldKind::Open, "response body, at level RequestResponse"),
    row("requestReceivedTimestamp", FieldKind::Time, "when the request reached the server"),
    row("stageTimestamp", FieldKind::Time, "when this stage was reached"),
    row("annotations", FieldKind::Open, "decision and reason of the authorizer, admission, ..."),
    row("timestamp", FieldKind::Time, "time of events before 1.9"),
    row("metadata", FieldKind::Open, "metadata of v1beta1 events"),
];

/// A short name of a field (query.md, Names).
#[derive(Clone, Copy, Debug)]
pub struct AliasRow {
    /// What is typed.
    pub name: &'static str,
    /// The field it stands for.
    pub stands_for: &'static str,
}

const fn alias(name: &'static str, stands_for: &'static str) -> AliasRow {
    AliasRow { name, stands_for }
}

/// Path of the credential id in `user.extra` (KEP-4193).
pub const CREDENTIAL_ID: &str = "user.extra.authentication.kubernetes.io/credential-id";
/// Path of the id of a credential that this request minted (KEP-4193).
pub const ISSUED_CREDENTIAL_ID: &str =
    "annotations.authentication.kubernetes.io/issued-credential-id";
/// Path of the authorizer's decision.
pub const DECISION: &str = "annotations.authorization.k8s.io/decision";
/// Path of the authorizer's reason.
pub const REASON: &str = "annotations.authorization.k8s.io/reason";

/// The aliases that stand for one path.
pub const ALIASES: &[AliasRow] = &[
    alias("user", "user.username"),
    alias("group", "user.groups"),
    alias("as", "impersonatedUser.username"),
    alias("resource", "objectRef.resource"),
    alias("sub", "objectRef.subresource"),
    alias("ip", "sourceIPs"),
    alias("ua", "userAgent"),
    alias("uri", "requestURI"),
    alias("code", "responseStatus.code"),
    alias("decision", DECISION),
    alias("reason", REASON),
    alias("credential", CREDENTIAL_ID),
    alias("id", "auditID"),
    alias("uid", "user.uid"),
];

/// The pseudo fields: computed from several paths or from where the event stood.
pub const PSEUDO_FIELDS: &[FieldRow] = &[
    row("who", FieldKind::Text, "user or impersonated user"),
    row("ns", FieldKind::Text, "namespace, or the name of a namespace object itself"),
    row(
        "name",
        FieldKind::Text,
        "name of the object, from the bodies where the reference lacks it",
    ),
    row("peer", FieldKind::Address, "the last source address, the only one the server vouches for"),
    row("time", FieldKind::Time, "requestReceivedTimestamp, else what the event has instead"),
    row("took", FieldKind::Number, "stageTimestamp - requestReceivedTimestamp, microseconds"),
    row("hour", FieldKind::Number, "hour of time in --tz, 0-23"),
    row("weekday", FieldKind::Text, "day of time in --tz: mon, tue, wed, thu, fri, sat, sun"),
    row("source", FieldKind::Text, "file or archive member the event stands in"),
    row("node", FieldKind::Text, "node whose API server wrote the event"),
    row("cluster", FieldKind::Text, "cluster the evidence belongs to"),
    row("log", FieldKind::Text, "kube-apiserver, openshift-apiserver, oauth-apiserver, ..."),
    row(
        "flag",
        FieldKind::Text,
        "duplicate-key, lenient, truncated, envelope-time, audit-id-conflict",
    ),
    row("envelope", FieldKind::Open, "what a forwarder's envelope carried beside the event"),
];

/// A field of a question, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Field {
    /// Every node whose keys, joined with dots, are this text; arrays are transparent, so that
    /// keys with dots in them are written as they are and every reading that exists is taken.
    Path(String),
    /// The audit level; forwarders overwrite `level` and keep it in `k8s_audit_level`.
    Level,
    /// User or impersonated user.
    Who,
    /// Namespace, or the name of a namespace object.
    Namespace,
    /// Name with its fallbacks.
    Name,
    /// Last source address.
    Peer,
    /// Time with its fallbacks.
    Time,
    /// Length of the request in microseconds.
    Took,
    /// Hour of the time in the question's zone.
    Hour,
    /// Weekday of the time in the question's zone.
    Weekday,
    /// Name of the source.
    Source,
    /// Node of the server.
    Node,
    /// Cluster.
    Cluster,
    /// Which server's log.
    Log,
    /// What is odd about the record.
    Flag,
    /// A path of the envelope.
    Envelope(String),
}

/// Where the values of a field are read: paths into the event (joined keys).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// The values of all these paths together.
    AnyOf(Vec<String>),
    /// The values of the first of these paths that has a non-null leaf in the event.
    FirstOf(Vec<String>),
    /// Like `FirstOf`, but everything behind the first path counts only where the event's
    /// `objectRef.resource` is `namespaces`.
    Namespace(Vec<String>),
    /// Not read from paths.
    Computed,
}

/// Paths of [`Field::Name`], first present wins.
pub const NAME_PATHS: [&str; 4] = [
    "objectRef.name",
    "responseObject.metadata.name",
    "requestObject.metadata.name",
    "requestObject.metadata.generateName",
];

/// Paths of [`Field::Level`], first present wins.
pub const LEVEL_PATHS: [&str; 3] = ["k8s_audit_level", "openshift_audit_level", "level"];

impl Field {
    /// A path field.
    pub fn path(path: &str) -> Field {
        Field::Path(path.to_owned())
    }

    /// Where the values of this field are read.
    pub fn reading(&self) -> Reading {
        let own = |paths: &[&str]| paths.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        match self {
            Field::Path(path) => Reading::AnyOf(vec![path.clone()]),
            Field::Level => Reading::FirstOf(own(&LEVEL_PATHS)),
            Field::Who => Reading::AnyOf(own(&["user.username", "impersonatedUser.username"])),
            Field::Name => Reading::FirstOf(own(&NAME_PATHS)),
            Field::Namespace => {
                let mut paths = own(&["objectRef.namespace"]);
                paths.extend(own(&NAME_PATHS));
                Reading::Namespace(paths)
            }
            Field::Envelope(path) => {
                let root = path.split('.').next().unwrap_or_default();
                let mut paths = vec![format!("envelope.{path}")];
                if !is_event_root(root) {
                    paths.push(path.clone());
                }
                Reading::AnyOf(paths)
            }
            _ => Reading::Computed,
        }
    }

    /// How the values of this field compare.
    pub fn kind(&self) -> FieldKind {
        match self {
            Field::Path(path) => path_kind(path),
            Field::Peer => FieldKind::Address,
            Field::Time => FieldKind::Time,
            Field::Took | Field::Hour => FieldKind::Number,
            _ => FieldKind::Text,
        }
    }

    /// The name that the question language knows this field by.
    pub fn name(&self) -> String {
        match self {
            Field::Path(path) => path.clone(),
            Field::Envelope(path) => format!("envelope.{path}"),
            Field::Level => "level".into(),
            Field::Who => "who".into(),
            Field::Namespace => "ns".into(),
            Field::Name => "name".into(),
            Field::Peer => "peer".into(),
            Field::Time => "time".into(),
            Field::Took => "took".into(),
            Field::Hour => "hour".into(),
            Field::Weekday => "weekday".into(),
            Field::Source => "source".into(),
            Field::Node => "node".into(),
            Field::Cluster => "cluster".into(),
            Field::Log => "log".into(),
            Field::Flag => "flag".into(),
        }
    }
}

/// Says whether `key` at the top of an event belongs to audit.k8s.io `Event` (and not to a
/// forwarder's envelope that was laid flat around it).
pub fn is_event_root(key: &str) -> bool {
    FIELDS.iter().any(|row| row.name == key)
}

fn path_kind(path: &str) -> FieldKind {
    FIELDS
        .iter()
        .chain(PSEUDO_FIELDS)
        .find(|row| row.name == path)
        .map_or(FieldKind::Text, |row| row.kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_described() {
        let mut names: Vec<&str> = FIELDS.iter().chain(PSEUDO_FIELDS).map(|row| row.name).collect();
        assert!(FIELDS.iter().chain(PSEUDO_FIELDS).all(|row| !row.about.is_empty()));
        names.sort_unstable();
        let before = names.len();
        names.dedup();
        assert_eq!(names.len(), before);
    }

    #[test]
    fn aliases_stand_for_fields() {
        for alias in ALIASES {
            let root = alias.stands_for.split('.').next().unwrap();
            assert!(is_event_root(root), "{}", alias.name);
        }
    }
}
