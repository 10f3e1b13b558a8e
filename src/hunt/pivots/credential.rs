//! `credential ID`: where a token or certificate was minted, what it is bound to, and every use.

use crate::event::field::CREDENTIAL_ID;
use crate::event::field::ISSUED_CREDENTIAL_ID;
use crate::hunt::answer::Answer;
use crate::hunt::answer::Cell;
use crate::hunt::answer::Section;
use crate::hunt::error::HuntError;
use crate::hunt::pivot::Pivot;
use crate::hunt::pivot::PivotContext;
use crate::hunt::pivot_requests::AGENT;
use crate::hunt::pivot_requests::ALLOWED_BY;
use crate::hunt::pivot_requests::AS;
use crate::hunt::pivot_requests::CODE;
use crate::hunt::pivot_requests::LENGTH;
use crate::hunt::pivot_requests::NAME;
use crate::hunt::pivot_requests::NAMESPACE;
use crate::hunt::pivot_requests::OUTCOME;
use crate::hunt::pivot_requests::OWNER;
use crate::hunt::pivot_requests::PEER;
use crate::hunt::pivot_requests::RESOURCE;
use crate::hunt::pivot_requests::TIME;
use crate::hunt::pivot_requests::USER;
use crate::hunt::pivot_requests::VERB;
use crate::hunt::pivot_requests::counted;
use crate::hunt::pivot_requests::one_argument;
use crate::hunt::pivot_requests::push;
use crate::hunt::pivot_requests::section;
use crate::ledger::credential::Credential;
use crate::ledger::credential::Mint;
use crate::ledger::judge::Judgement;
use crate::ledger::judge::Strength;
use crate::ledger::question::either;
use crate::ledger::question::is;
use crate::ledger::request::Request;
use crate::search::evidence::EventId;

/// See the file's text.
#[derive(Debug)]
pub struct CredentialPivot;

/// What is written before ids; they may be typed without.
const PREFIXES: [&str; 2] = ["JTI=", "X509SHA256="];

impl Pivot for CredentialPivot {
    fn name(&self) -> &'static str {
        "credential"
    }

    fn about(&self) -> &'static str {
        "where a token or certificate was minted, what it is bound to, and everywhere it was used"
    }

    fn arguments(&self) -> &'static str {
        "ID (as in JTI=..., with or without the JTI=)"
    }

    fn run(&self, context: &PivotContext<'_>, arguments: &[String]) -> Result<Answer, HuntError> {
        let id = known_id(context, one_argument(self, arguments)?);
        let question =
            context.refined(either([is(CREDENTIAL_ID, &id), is(ISSUED_CREDENTIAL_ID, &id)]));
        let mut answer = context.answer(self, &question);
        let columns = [
            TIME, USER, AS, VERB, RESOURCE, NAMESPACE, NAME, CODE, OUTCOME, LENGTH, PEER, OWNER,
            AGENT, ALLOWED_BY,
        ];
        let requests = context.requests_shown(&mut answer, &question, &columns, &["credential"])?;
        let (uses, mints): (Vec<&Request>, Vec<&Request>) =
            requests.iter().partition(|r| r.get("credential").is_some_and(|used| same(used, &id)));
        let known: Vec<&Credential> = context.ledgers.credentials.by_id(&id).collect();
        let uses_owned: Vec<Request> = uses.iter().map(|request| (*request).clone()).collect();
        answer.summary = summary(&id, &known, &uses_owned, mints.len());
        answer.sections.push(mint_section(context, &id));
        for credential in &known {
            answer.sections.push(bound_section(context, credential));
            answer.sections.push(origins(context, credential, &uses));
            let siblings = siblings(context, credential);
            if siblings.rows.len() > 1 {
                answer.sections.push(siblings);
            }
        }
        let minted = minted_with(context, &id);
        if !minted.rows.is_empty() {
            answer.sections.push(minted);
        }
        answer.sections.push(context.table("uses", uses, &columns));
        if !known.is_empty() && context.ledgers.credentials.minted.keys().all(|(_, k)| *k != id) {
            answer.notes.push(
                "the evidence does not hold the request that minted it: it is older, or that \
                 server's log is missing"
                    .to_owned(),
            );
        }
        Ok(answer)
    }
}

fn same(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b)
}

/// The id as the server writes it.
pub fn known_id(context: &PivotContext<'_>, typed: &str) -> String {
    let ledger = &context.ledgers.credentials;
    let exists = |id: &str| {
        ledger.by_id(id).next().is_some() || ledger.minted.keys().any(|(_, known)| known == id)
    };
    if exists(typed) {
        return typed.to_owned();
    }
    PREFIXES
        .iter()
        .map(|prefix| format!("{prefix}{typed}"))
        .find(|id| exists(id))
        .unwrap_or_else(|| typed.to_owned())
}

fn summary(id: &str, known: &[&Credential], uses: &[Request], n_mints: usize) -> String {
    match known.first() {
        None if n_mints > 0 => format!("{id}: minted, but never used in this evidence"),
        None => format!("{id}: not in this evidence"),
        Some(credential) => {
            format!("{id} of {}: {}, {}", credential.user, counted(uses), verdict_text(credential))
        }
    }
}

/// One phrase on what may be said about a credential.
pub fn verdict_text(credential: &Credential) -> String {
    let places: Vec<String> = credential
        .accused()
        .map(|(origin, why)| format!("{} ({why})", origin.peer.as_deref().unwrap_or("no address")))
        .collect();
    if !places.is_empty() {
        return format!("used away from its pod and node: {}", places.join(", "));
    }
    let suspected: Vec<String> = credential
        .suspected()
        .map(|(origin, why)| format!("{} ({why})", origin.peer.as_deref().unwrap_or("no address")))
        .collect();
    if !suspected.is_empty() {
        return format!("worth a look, not proven: {}", suspected.join(", "));
    }
    if credential.node.is_none() && credential.pod.is_none() {
        return "bound to no pod and no node: its origin cannot be judged".to_owned();
    }
    "nothing speaks against its own pod and node".to_owned()
}

/// Words for a judgement.
pub fn judgement_text(judgement: &Judgement) -> String {
    match judgement {
        Judgement::Own => "its own pod or node".to_owned(),
        Judgement::Shared => "shared address: neither accused nor cleared".to_owned(),
        Judgement::Undecidable(why) => format!("undecidable: {why}"),
        Judgement::Away(why, Strength::Strong) => format!("AWAY: {why}"),
        Judgement::Away(why, Strength::Weak) => format!("worth a look: {why}"),
    }
}

fn mint_section(context: &PivotContext<'_>, id: &str) -> Section {
    let mut table = section("minted", MINT_COLUMNS);
    for mint in context.ledgers.credentials.minted.values().filter(|mint| same(&mint.id, id)) {
        push(&mut table, mint_cells(mint), vec![mint.event]);
    }
    table
}

const MINT_COLUMNS: &[&str] = &["time", "id", "by", "for", "pod", "peer", "with_credential"];

fn mint_cells(mint: &Mint) -> Vec<Cell> {
    vec![
        mint.time.into(),
        mint.id.clone().into(),
        mint.by.clone().into(),
        mint.account.clone().into(),
        mint.pod.clone().into(),
        mint.peer.clone().into(),
        mint.with.clone().into(),
    ]
}

fn bound_section(context: &PivotContext<'_>, credential: &Credential) -> Section {
    let mut table = section("bound to", &["user", "pod", "pod_uid", "node", "addresses_of_pod"]);
    let ledger = &context.ledgers.addresses;
    let mut addresses = Vec::new();
    let mut proof: Vec<EventId> = Vec::new();
    for (at, pod) in ledger.pods.iter().enumerate() {
        if pod.cluster == credential.cluster && credential.bound().is_pod(pod) {
            for (address, interval) in ledger.addresses_of(at) {
                addresses.push(address.to_string());
                proof.extend(interval.events());
            }
        }
    }
    push(
        &mut table,
        vec![
            credential.user.clone().into(),
            credential.pod.clone().into(),
            credential.pod_uid.clone().into(),
            credential.node.clone().into(),
            if addresses.is_empty() { Cell::Empty } else { addresses.into() },
        ],
        proof,
    );
    table
}

/// Every place it was used from, with what may be said about that.
fn origins(context: &PivotContext<'_>, credential: &Credential, uses: &[&Request]) -> Section {
    let mut table = section(
        "used from",
        &["peer", "peer_is", "agent", "events", "requests", "first", "last", "judgement"],
    );
    for origin in &credential.origins {
        let address = origin.peer.as_deref().and_then(crate::ledger::network::parse_address);
        let owner = address
            .zip(origin.first)
            .map(|(address, time)| context.owner_at(&credential.cluster, address, time));
        let here: Vec<&&Request> = uses
            .iter()
            .filter(|request| {
                request.get("peer") == origin.peer.as_deref()
                    && request.get("ua") == origin.agent.as_deref()
            })
            .collect();
        push(
            &mut table,
            vec![
                origin.peer.clone().into(),
                owner.into(),
                origin.agent.clone().into(),
                i64::try_from(origin.events).unwrap_or(i64::MAX).into(),
                i64::try_from(here.len()).unwrap_or(i64::MAX).into(),
                origin.first.into(),
                origin.last.into(),
                judgement_text(&origin.judgement).into(),
            ],
            here.iter().flat_map(|request| request.events.iter().copied()).collect(),
        );
    }
    table
}

/// Other tokens of the same pod: its kubelet renews them.
fn siblings(context: &PivotContext<'_>, credential: &Credential) -> Section {
    let mut table =
        section("tokens of the same pod", &["credential", "first", "last", "events", "verdict"]);
    let ledger = &context.ledgers.credentials;
    for key in ledger.chain_of(credential) {
        let Some(one) = ledger.used.get(&(credential.cluster.clone(), key.clone())) else {
            continue;
        };
        push(
            &mut table,
            vec![
                key.to_string().into(),
                one.first.into(),
                one.last.into(),
                i64::try_from(one.events).unwrap_or(i64::MAX).into(),
                verdict_text(one).into(),
            ],
            Vec::new(),
        );
    }
    table
}

/// What was minted with it: the next links of a chain of theft.
fn minted_with(context: &PivotContext<'_>, id: &str) -> Section {
    let mut table = section("minted with it", MINT_COLUMNS);
    for mint in context.ledgers.credentials.minted.values() {
        if mint.with.as_deref().is_some_and(|with| same(with, id)) {
            push(&mut table, mint_cells(mint), vec![mint.event]);
        }
    }
    table
}
