//! The credential ledger: where each token or certificate was minted, what it is bound to, and
//! every place it was used from.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::ISSUED_CREDENTIAL_ID;
use crate::event::time::Timestamp;
use crate::ledger::address::AddressLedger;
use crate::ledger::judge::Away;
use crate::ledger::judge::Bound;
use crate::ledger::judge::Judgement;
use crate::ledger::judge::Strength;
use crate::ledger::judge::judge;
use crate::ledger::question::all;
use crate::ledger::question::has;
use crate::ledger::question::is;
use crate::ledger::question::not;
use crate::ledger::table::Line;
use crate::ledger::table::Table;
use crate::ledger::usage::Use;
use crate::ledger::usage::is_aggregated;
use crate::query::ast::QueryAst;
use crate::search::error::SearchError;
use crate::search::evidence::EventId;
use crate::search::evidence::Evidence;

/// What names a credential.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CredentialKey {
    /// The id the server writes (`JTI=...`, `X509SHA256=...`; KEP-4193).
    Id(String),
    /// No id: the user's uid with the pod's uid.
    Pod {
        /// user.uid, else the name.
        user: String,
        /// Uid, else name, of the bound pod.
        pod: String,
    },
    /// No id and no pod: user name with agent; the weakest name there is.
    Agent {
        /// user.username.
        user: String,
        /// userAgent.
        agent: String,
    },
}

impl CredentialKey {
    /// Whether the server itself names the credential.
    pub fn is_strong(&self) -> bool {
        matches!(self, CredentialKey::Id(_))
    }
}

impl std::fmt::Display for CredentialKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            CredentialKey::Id(id) => f.write_str(id),
            CredentialKey::Pod { user, pod } => write!(f, "(no id) user {user}, pod {pod}"),
            CredentialKey::Agent { user, agent } => write!(f, "(no id) user {user}, {agent}"),
        }
    }
}

/// The request that minted a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mint {
    /// Cluster.
    pub cluster: String,
    /// The id issued.
    pub id: String,
    /// The event.
    pub event: EventId,
    /// When.
    pub time: Option<Timestamp>,
    /// Who asked for it.
    pub by: String,
    /// Namespace and name of the service account it is for.
    pub account: String,
    /// Pod it was asked for, where the body tells.
    pub pod: Option<String>,
    /// Last source address of that request.
    pub peer: Option<String>,
    /// The credential that was used to ask.
    pub with: Option<String>,
}

/// One origin of a credential's use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Last source address as written.
    pub peer: Option<String>,
    /// User agent.
    pub agent: Option<String>,
    /// Which server's log.
    pub log: Option<String>,
    /// Events.
    pub events: u64,
    /// First and last time.
    pub first: Option<Timestamp>,
    /// See `first`.
    pub last: Option<Timestamp>,
    /// What may be said about it.
    pub judgement: Judgement,
}

/// A credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Cluster.
    pub cluster: String,
    /// Its name.
    pub key: CredentialKey,
    /// User it stands for.
    pub user: String,
    /// Unique id of that user.
    pub uid: Option<String>,
    /// Pod it is bound to, by name.
    pub pod: Option<String>,
    /// Its unique id.
    pub pod_uid: Option<String>,
    /// Node it is bound to.
    pub node: Option<String>,
    /// Who minted it, where the evidence shows it.
    pub mint: Option<Mint>,
    /// Every place it was used from, by first time.
    pub origins: Vec<Origin>,
    /// Events in all.
    pub events: u64,
    /// First and last use.
    pub first: Option<Timestamp>,
    /// See `first`.
    pub last: Option<Timestamp>,
}

impl Credential {
    /// What it is bound to.
    pub fn bound(&self) -> Bound<'_> {
        Bound {
            cluster: &self.cluster,
            user: &self.user,
            pod: self.pod.as_deref(),
            pod_uid: self.pod_uid.as_deref(),
            node: self.node.as_deref(),
        }
    }

    /// Origins the evidence itself shows to be somebody else's.
    pub fn accused(&self) -> impl Iterator<Item = (&Origin, &Away)> {
        self.away(Strength::Strong)
    }

    /// Origins that are worth a look and no more.
    pub fn suspected(&self) -> impl Iterator<Item = (&Origin, &Away)> {
        self.away(Strength::Weak)
    }

    fn away(&self, strength: Strength) -> impl Iterator<Item = (&Origin, &Away)> {
        self.origins.iter().filter_map(move |origin| match &origin.judgement {
            Judgement::Away(why, found) if *found == strength => Some((origin, why)),
            _ => None,
        })
    }

    /// The question that finds every use of it.
    pub fn question(&self) -> QueryAst {
        match &self.key {
            CredentialKey::Id(id) => is(CREDENTIAL_ID, id),
            CredentialKey::Pod { .. } => {
                let mut parts = vec![is("user.username", &self.user), not(has(CREDENTIAL_ID))];
                parts.extend(
                    self.pod_uid.as_deref().map(|uid| is(crate::ledger::usage::POD_UID, uid)),
                );
                if self.pod_uid.is_none() {
                    let pod = self.pod.as_deref().unwrap_or_default();
                    parts.push(is(crate::ledger::usage::POD_NAME, pod));
                }
                QueryAst::all_of(parts)
            }
            CredentialKey::Agent { user, agent } => {
                all([is("user.username", user), is("userAgent", agent), not(has(CREDENTIAL_ID))])
            }
        }
    }
}

/// See the module's text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialLedger {
    /// Every credential used, by cluster and name.
    pub used: BTreeMap<(String, CredentialKey), Credential>,
    /// Every credential minted, by cluster and id; it need not have been used.
    pub minted: BTreeMap<(String, String), Mint>,
    /// Ids of the tokens of one pod, by cluster and the pod's uid, in order of first use: a
    /// kubelet renews them.
    pub chains: BTreeMap<(String, String), Vec<CredentialKey>>,
    clusters: BTreeSet<String>,
}

const MINT_COLUMNS: [&str; 9] = [
    "cluster",
    ISSUED_CREDENTIAL_ID,
    "user",
    "objectRef.namespace",
    "objectRef.name",
    "requestObject.spec.boundObjectRef.kind",
    "requestObject.spec.boundObjectRef.name",
    "peer",
    CREDENTIAL_ID,
];

/// Reads who minted what.
///
/// # Errors
/// When the evidence cannot be read.
pub fn mints(evidence: &dyn Evidence) -> Result<Vec<Mint>, SearchError> {
    let table = Table::all(evidence, &has(ISSUED_CREDENTIAL_ID), &MINT_COLUMNS)?;
    Ok(table.lines().filter_map(|line| mint(&line)).collect())
}

fn mint(line: &Line<'_>) -> Option<Mint> {
    let own = |column: &str| line.get(column).map(str::to_owned);
    Some(Mint {
        cluster: line.cluster(),
        id: own(ISSUED_CREDENTIAL_ID)?,
        event: line.id(),
        time: line.time(),
        by: own("user").unwrap_or_default(),
        account: format!(
            "{}/{}",
            line.get("objectRef.namespace").unwrap_or_default(),
            line.get("objectRef.name").unwrap_or_default()
        ),
        pod: own("requestObject.spec.boundObjectRef.name")
            .filter(|_| line.get("requestObject.spec.boundObjectRef.kind") == Some("Pod")),
        peer: own("peer"),
        with: own(CREDENTIAL_ID),
    })
}

impl CredentialLedger {
    /// Folds uses and mints; `evidence` is asked only about uses that would accuse somebody.
    ///
    /// # Errors
    /// When the evidence cannot be read.
    pub fn fold(
        evidence: &dyn Evidence,
        addresses: &AddressLedger,
        uses: &[Use],
        mints: Vec<Mint>,
    ) -> Result<CredentialLedger, SearchError> {
        let mut ledger = CredentialLedger::default();
        for mint in mints {
            ledger.minted.insert((mint.cluster.clone(), mint.id.clone()), mint);
        }
        for one in uses {
            ledger.add(addresses, one);
        }
        for credential in ledger.used.values_mut() {
            credential
                .origins
                .sort_by(|a, b| (a.first, &a.peer, &a.agent).cmp(&(b.first, &b.peer, &b.agent)));
            judge_origins(evidence, addresses, credential)?;
        }
        for ((cluster, key), credential) in &ledger.used {
            if let (Some(uid), true) = (&credential.pod_uid, key.is_strong()) {
                let chain = ledger.chains.entry((cluster.clone(), uid.clone())).or_default();
                chain.push(key.clone());
            }
        }
        for ((cluster, _), chain) in &mut ledger.chains {
            let used = &ledger.used;
            chain.sort_by_key(|key| used.get(&(cluster.clone(), key.clone())).map(|c| c.first));
        }
        Ok(ledger)
    }

    fn add(&mut self, addresses: &AddressLedger, one: &Use) {
        self.clusters.insert(one.cluster.clone());
        let key = key_of(one);
        let at = (one.cluster.clone(), key.clone());
        let mint = match &key {
            CredentialKey::Id(id) => self.minted.get(&(one.cluster.clone(), id.clone())).cloned(),
            _ => None,
        };
        let node = one.node.clone().or_else(|| addresses.own_node(one));
        let credential = self.used.entry(at).or_insert_with(|| Credential {
            cluster: one.cluster.clone(),
            key,
            user: one.user.clone(),
            uid: one.uid.clone(),
            pod: None,
            pod_uid: None,
            node: None,
            mint,
            origins: Vec::new(),
            events: 0,
            first: None,
            last: None,
        });
        credential.pod = credential.pod.take().or_else(|| one.pod.clone());
        credential.pod_uid = credential.pod_uid.take().or_else(|| one.pod_uid.clone());
        // Only a token says which node it is bound to; a kubelet's own certificate is its node's.
        credential.node = credential.node.take().or(node);
        credential.events += one.events;
        credential.first = earlier(credential.first, one.first);
        credential.last = credential.last.max(one.last);
        credential.origins.push(Origin {
            peer: one.peer.clone(),
            agent: one.agent.clone(),
            log: one.log.clone(),
            events: one.events,
            first: one.first,
            last: one.last,
            judgement: Judgement::Own,
        });
    }

    /// The credential with this id, in any cluster.
    pub fn by_id<'l>(&'l self, id: &str) -> impl Iterator<Item = &'l Credential> {
        let key = CredentialKey::Id(id.to_owned());
        self.clusters
            .iter()
            .filter_map(move |cluster| self.used.get(&(cluster.clone(), key.clone())))
    }

    /// Credentials of one user.
    pub fn of_user<'l>(&'l self, user: &'l str) -> impl Iterator<Item = &'l Credential> {
        self.used.values().filter(move |credential| credential.user == user)
    }

    /// Credentials that the evidence itself shows in other hands.
    pub fn accused(&self) -> impl Iterator<Item = &Credential> {
        self.used.values().filter(|credential| credential.accused().next().is_some())
    }

    /// All credentials of the pod that `credential` is bound to, oldest first.
    pub fn chain_of(&self, credential: &Credential) -> &[CredentialKey] {
        let Some(uid) = &credential.pod_uid else { return &[] };
        let key = (credential.cluster.clone(), uid.clone());
        self.chains.get(&key).map_or(&[], Vec::as_slice)
    }
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

/// Names the credential of a use, as well as the evidence allows (attribution.md, rule 7).
pub fn key_of(one: &Use) -> CredentialKey {
    if let Some(id) = &one.credential {
        return CredentialKey::Id(id.clone());
    }
    let user = one.uid.clone().unwrap_or_else(|| one.user.clone());
    match one.pod_uid.clone().or_else(|| one.pod.clone()) {
        Some(pod) => CredentialKey::Pod { user, pod },
        None => CredentialKey::Agent {
            user: one.user.clone(),
            agent: one.agent.clone().unwrap_or_default(),
        },
    }
}

fn judge_origins(
    evidence: &dyn Evidence,
    addresses: &AddressLedger,
    credential: &mut Credential,
) -> Result<(), SearchError> {
    let mut origins = std::mem::take(&mut credential.origins);
    for origin in &mut origins {
        origin.judgement = if is_aggregated(origin.log.as_deref()) {
            Judgement::Undecidable("an aggregated server sees the front proxy, not the client")
        } else {
            judge_origin(evidence, addresses, credential, origin)?
        };
    }
    credential.origins = origins;
    Ok(())
}

fn judge_origin(
    evidence: &dyn Evidence,
    addresses: &AddressLedger,
    credential: &Credential,
    origin: &Origin,
) -> Result<Judgement, SearchError> {
    let Some((first, last)) = origin.first.zip(origin.last) else {
        return Ok(Judgement::Undecidable("the events have no time"));
    };
    let address = origin.peer.as_deref().and_then(crate::ledger::network::parse_address);
    let bound = credential.bound();
    // Between the moments at which the address changes hands the judgement stays what it is.
    let intervals = address.map(|address| addresses.intervals_of(&credential.cluster, address));
    let changes = intervals.into_iter().flatten().flat_map(|interval| {
        std::iter::once(interval.since).chain(interval.until.map(|(until, _)| until))
    });
    let moments = changes.filter(|change| first < *change && *change <= last);
    let accuses = std::iter::once(first)
        .chain(moments)
        .any(|time| matches!(judge(addresses, &bound, address, time), Judgement::Away(..)));
    if !accuses {
        return Ok(judge(addresses, &bound, address, last));
    }
    // Whoever is about to be accused gets every single event looked at.
    let times = times_from(evidence, credential, origin)?;
    let worst = times.into_iter().map(|time| judge(addresses, &bound, address, time)).max_by_key(
        |judgement| match judgement {
            Judgement::Away(_, Strength::Strong) => 2,
            Judgement::Away(_, Strength::Weak) => 1,
            _ => 0,
        },
    );
    Ok(worst.unwrap_or(Judgement::Undecidable(
        "only copies of requests that other servers passed on come from there",
    )))
}

/// Times of the uses from one origin, without those that are only another server's copy of a
/// request (attribution.md, rule 11).
fn times_from(
    evidence: &dyn Evidence,
    credential: &Credential,
    origin: &Origin,
) -> Result<Vec<Timestamp>, SearchError> {
    let mut parts = vec![credential.question()];
    parts.extend(origin.peer.as_deref().map(|peer| is("peer", peer)));
    parts.extend(origin.agent.as_deref().map(|agent| is("userAgent", agent)));
    let columns = ["id", "user", "verb", "requestURI", "ip", "log", "cluster"];
    let table = Table::all(evidence, &QueryAst::all_of(parts), &columns)?;
    let mut times = Vec::new();
    for line in table.lines().filter(|line| line.cluster() == credential.cluster) {
        let Some(time) = line.time() else { continue };
        if !is_copy(evidence, &line, time)? {
            times.push(time);
        }
    }
    Ok(times)
}

/// A copy has the id, user, verb and URI of a request that another server received within a
/// second, and that server's client stands among the addresses the copy claims.
fn is_copy(evidence: &dyn Evidence, line: &Line<'_>, time: Timestamp) -> Result<bool, SearchError> {
    let ips = line.all("ip");
    let (Some(id), true) = (line.get("id"), ips.len() > 1) else { return Ok(false) };
    let claimed: BTreeSet<IpAddr> = ips
        .iter()
        .rev()
        .skip(1)
        .filter_map(|ip| crate::ledger::network::parse_address(ip))
        .collect();
    let columns = ["verb", "requestURI", "peer", "cluster"];
    let twins = Table::all(evidence, &is("id", id), &columns)?;
    let found = twins.lines().any(|twin| {
        let peer = twin.get("peer").and_then(crate::ledger::network::parse_address);
        twin.id() != line.id()
            && twin.get("verb") == line.get("verb")
            && twin.get("requestURI") == line.get("requestURI")
            && twin.time().is_some_and(|t| (t.0 - time.0).abs() < 1_000_000)
            && twin.cluster() == line.cluster()
            && peer.is_some_and(|peer| claimed.contains(&peer))
    });
    Ok(found)
}
