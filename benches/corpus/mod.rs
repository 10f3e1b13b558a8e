//! A seeded generator of audit events such as an OpenShift cluster writes all day.
//!
//! The skew follows what was counted on a real log (WriteRequestBodies profile): operators
//! renewing and reading leases, reading the same few objects over and over, watches that begin
//! and end, kubelets, access reviews, some pods coming and going, few people.  The same options
//! give the same bytes on every machine, and what was written is counted while it is written, so
//! that whoever indexes it can be held to exact numbers.

#![allow(dead_code, unused_imports, missing_docs, missing_debug_implementations)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::too_many_arguments, clippy::too_many_lines, clippy::type_complexity)]

pub mod bodies;
pub mod incident;
pub mod life;
pub mod line;
pub mod odd;
pub mod ordinary;
pub mod rng;
pub mod world;

use std::collections::BTreeMap;
use std::collections::HashMap;

use line::Line;
pub use odd::odd_events;
pub use odd::odd_lines;
use rng::Rng;
use world::World;

/// What to generate.
#[derive(Clone, Debug)]
pub struct CorpusOptions {
    /// Everything random follows from it.
    pub seed: u64,
    /// How many lines.
    pub events: u64,
    /// Over how many days they spread.
    pub days: f64,
    /// Microseconds since 1970 of the first event.
    pub start: i64,
    /// Whether to plant the incident of [`Truth`].
    pub incident: bool,
    /// Whether writes carry bodies (WriteRequestBodies) or not (Default profile).
    pub bodies: bool,
    /// How the evidence differs from the plain case.
    pub variant: Variant,
}

/// How the same incident may look in another cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// As described in [`incident`].
    #[default]
    Plain,
    /// Every name of the story is random.
    RandomNames,
    /// The probing pod runs on a worker, so only its node's address is ever seen.
    WorkersBehindNode,
    /// No credential ids anywhere (Kubernetes before 1.30).
    NoCredentialIds,
    /// One more step goes through an aggregated API server, which logs the request again.
    AggregatedServer,
    /// The thief's tool sends one constant Audit-ID header.
    ClientSetAuditId,
    /// Requests from outside come through a proxy, so that `sourceIPs` has two entries.
    ProxyInFront,
    /// No bodies at all (Default profile).
    BodiesStripped,
}

/// All of them.
pub const VARIANTS: [Variant; 8] = [
    Variant::Plain,
    Variant::RandomNames,
    Variant::WorkersBehindNode,
    Variant::NoCredentialIds,
    Variant::AggregatedServer,
    Variant::ClientSetAuditId,
    Variant::ProxyInFront,
    Variant::BodiesStripped,
];

/// The address of the proxy of [`Variant::ProxyInFront`].
pub const PROXY: &str = "10.40.7.5";

/// 2026-03-02T00:00:00Z, a Monday.
pub const START: i64 = 1_772_409_600_000_000;
/// A word that occurs in exactly [`Counts::rare`] events.
pub const RARE_WORD: &str = "quernstone";
/// A word that occurs in about 30 % of the events, exactly [`Counts::frequent`].
pub const FREQUENT_WORD: &str = "leases";

impl Default for CorpusOptions {
    fn default() -> CorpusOptions {
        CorpusOptions {
            seed: 1,
            events: 10_000,
            days: 1.0,
            start: START,
            incident: true,
            bodies: true,
            variant: Variant::Plain,
        }
    }
}

/// Exact counts of what was generated, each with the question it answers.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// `*`
    pub events: u64,
    /// Bytes of all lines with one line end each.
    pub bytes: u64,
    /// `requestObject:* OR responseObject:*`
    pub with_body: u64,
    /// `requestObject.spec.hostPID:true`
    pub host_pid: u64,
    /// `objectRef.subresource:exec`
    pub exec: u64,
    /// `resource:secrets AND verb:list`
    pub secrets_list: u64,
    /// [`RARE_WORD`] as a bare word
    pub rare: u64,
    /// [`FREQUENT_WORD`] as a bare word
    pub frequent: u64,
    /// `user:`[`world::DENIED_USER`]
    pub denied_user: u64,
    /// `user:`[`world::DENIED_USER`]` AND code:403`
    pub denied_403: u64,
    /// `ip:`[`Vocabulary::denied_address`]
    pub denied_address: u64,
    /// `user:system\:anonymous AND code:403`
    pub anonymous_403: u64,
    /// `code:>=400`
    pub failed: u64,
    /// `resource:pods AND verb:create`, subresources included
    pub pod_creates: u64,
    /// `histogram --interval 1h`: start of the hour in microseconds, events received in it
    pub hours: BTreeMap<i64, u64>,
    /// `top user`
    pub users: HashMap<String, u64>,
}

/// Values that occur, for asking many different questions; each list is capped.
#[derive(Clone, Debug, Default)]
pub struct Vocabulary {
    /// The address counted by [`Counts::denied_address`].
    pub denied_address: String,
    /// Addresses of pods that came and went; they stand in bodies.
    pub addresses: Vec<String>,
    /// Addresses that requests come from, as some server sees them.
    pub peers: Vec<String>,
    /// Full pod names.
    pub pods: Vec<String>,
    /// Credential ids.
    pub credentials: Vec<String>,
    /// Audit ids.
    pub audit_ids: Vec<String>,
    /// User names.
    pub users: Vec<String>,
    /// Namespaces.
    pub namespaces: Vec<String>,
}

/// One event that belongs to a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepEvent {
    /// Its audit id.
    pub audit_id: String,
    /// When the request was received, in microseconds.
    pub received: i64,
    /// Whether it is the `ResponseStarted` event.
    pub started: bool,
}

/// One step of a planted incident.
#[derive(Clone, Debug)]
pub struct Step {
    /// Name of the step; they sort in the order of the story.
    pub step: String,
    /// What happened, in one sentence.
    pub claim: String,
    /// The events that show it.
    pub events: Vec<StepEvent>,
}

/// What the planted incidents are known to be.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// The token theft.
    pub steps: Vec<Step>,
    /// What the platform did in reaction; these accuse nobody.
    pub consequences: Vec<Step>,
    /// What speaks for one of two readings and proves neither.
    pub hypotheses: Vec<Step>,
    /// Who had the address later.
    pub innocent: Vec<Step>,
    /// The other, unrelated incident.
    pub second: Vec<Step>,
    /// Steps that the evidence of this variant cannot decide.
    pub undecidable: Vec<String>,
    /// The address the investigation starts from.
    pub start_address: String,
    /// Namespace and name of the pod that had it.
    pub start_pod: (String, String),
    /// Namespace and name of the pod that had it afterwards.
    pub innocent_pod: (String, String),
    /// The stolen credential id, empty where the variant has none.
    pub credential: String,
    /// Namespace and name of the service account whose token was stolen.
    pub account: (String, String),
}

impl Truth {
    /// Returns the distinct audit ids of the token theft.
    pub fn audit_ids(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.steps.iter().flat_map(|s| &s.events).map(|e| e.audit_id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }
}

/// What [`generate`] did.
#[derive(Clone, Debug, Default)]
pub struct Generated {
    /// Exact counts.
    pub counts: Counts,
    /// Values that occur.
    pub vocabulary: Vocabulary,
    /// The incident, where one was planted.
    pub truth: Option<Truth>,
}

impl Generated {
    /// Returns questions with the number of events each must find.
    pub fn questions(&self) -> Vec<(String, u64)> {
        let c = &self.counts;
        let user = world::DENIED_USER;
        vec![
            ("*".to_string(), c.events),
            ("requestObject:* OR responseObject:*".to_string(), c.with_body),
            ("requestObject.spec.hostPID:true".to_string(), c.host_pid),
            ("objectRef.subresource:exec".to_string(), c.exec),
            ("resource:secrets AND verb:list".to_string(), c.secrets_list),
            (RARE_WORD.to_string(), c.rare),
            (FREQUENT_WORD.to_string(), c.frequent),
            (format!("user:{user}"), c.denied_user),
            (format!("user:{user} AND code:403"), c.denied_403),
            (format!("ip:{}", self.vocabulary.denied_address), c.denied_address),
            ("user:system:anonymous AND code:403".to_string(), c.anonymous_403),
            ("code:>=400".to_string(), c.failed),
            ("resource:pods AND verb:create".to_string(), c.pod_creates),
        ]
    }
}

/// One line and where it stands.
#[derive(Clone, Debug)]
pub struct Written {
    /// Which master's server wrote it.
    pub server: usize,
    /// Into which log: `kube-apiserver` or `openshift-apiserver`.
    pub log: &'static str,
    /// The line, without its line end.
    pub text: Vec<u8>,
}

/// Generates an hour and a half of a small cluster (900 events) with both incidents in it.
pub fn incident_variant(seed: u64, variant: Variant) -> (Vec<Written>, Truth) {
    incident_among(seed, variant, 900)
}

/// The same among another number of events.
pub fn incident_among(seed: u64, variant: Variant, events: u64) -> (Vec<Written>, Truth) {
    let options = CorpusOptions {
        seed,
        events,
        days: 0.0625,
        variant,
        bodies: variant != Variant::BodiesStripped,
        ..CorpusOptions::default()
    };
    let mut lines = Vec::new();
    let mut sink = |server: usize, log: &'static str, line: &[u8]| {
        lines.push(Written { server, log, text: line.to_vec() });
    };
    let generated = generate_by_log(&options, &mut sink);
    (lines, generated.truth.unwrap_or_default())
}

/// Generates a corpus, handing each line (without its line end) to `sink`.
pub fn generate(options: &CorpusOptions, sink: &mut dyn FnMut(&[u8])) -> Generated {
    generate_by_server(options, &mut |_, line| sink(line))
}

/// The same, telling `sink` also which master (0..3) wrote the line.
pub fn generate_by_server(
    options: &CorpusOptions,
    sink: &mut dyn FnMut(usize, &[u8]),
) -> Generated {
    generate_by_log(options, &mut |server, _, line| sink(server, line))
}

/// The same, telling `sink` also the name of the log.
pub fn generate_by_log(
    options: &CorpusOptions,
    sink: &mut dyn FnMut(usize, &'static str, &[u8]),
) -> Generated {
    let mut rng = Rng::new(options.seed);
    let world = World::new(&mut rng);
    let output = Output::new(options, sink);
    ordinary::Day::new(rng, world, output, options).run()
}

/// Where lines go, and where they are counted.
pub struct Output<'s> {
    sink: &'s mut dyn FnMut(usize, &'static str, &[u8]),
    line: Vec<u8>,
    /// Request body of the next event.
    pub request: Vec<u8>,
    /// Response body of the next event.
    pub response: Vec<u8>,
    /// Whether the next event's request is a pod with hostPID.
    pub host_pid: bool,
    /// Whether the next event holds [`RARE_WORD`].
    pub rare: bool,
    /// Name of the log of the next event.
    pub log: &'static str,
    bodies: bool,
    variant: Variant,
    every: u64,
    /// What was written so far.
    pub done: Generated,
}

impl<'s> Output<'s> {
    fn new(
        options: &CorpusOptions,
        sink: &'s mut dyn FnMut(usize, &'static str, &[u8]),
    ) -> Output<'s> {
        Output {
            sink,
            line: Vec::with_capacity(1 << 16),
            request: Vec::with_capacity(1 << 14),
            response: Vec::with_capacity(1 << 14),
            host_pid: false,
            rare: false,
            log: "kube-apiserver",
            bodies: options.bodies,
            variant: options.variant,
            every: (options.events / 1_500).max(1),
            done: Generated::default(),
        }
    }

    /// Writes one event; an empty audit id is filled with a fresh one.  The bodies are taken from
    /// `request` and `response` and used up.
    pub fn emit(&mut self, rng: &mut Rng, server: usize, who: &str, line: Line<'_>) {
        let fresh;
        let mut line = line;
        if line.audit_id.is_empty() {
            fresh = rng.uuid();
            line.audit_id = &fresh;
        }
        if self.bodies {
            line.request = &self.request;
            line.response = &self.response;
        } else {
            line.with_bodies = false;
        }
        let proxied;
        if self.variant == Variant::ProxyInFront
            && !line.ips.starts_with("\"10.")
            && line.ips != "\"::1\""
        {
            proxied = format!("{},\"{PROXY}\"", line.ips);
            line.ips = &proxied;
        }
        self.line.clear();
        line.write(&mut self.line);
        if self.variant == Variant::NoCredentialIds {
            without_credentials(&mut self.line);
        }
        let has_body = !line.request.is_empty() || !line.response.is_empty();
        let address = &self.done.vocabulary.denied_address;
        let at_denied =
            line.ips.len() == address.len() + 2 && line.ips[1..].starts_with(address.as_str());
        let counts = &mut self.done.counts;
        counts.events += 1;
        counts.bytes += self.line.len() as u64 + 1;
        counts.with_body += u64::from(has_body);
        counts.host_pid += u64::from(self.host_pid && has_body);
        counts.rare += u64::from(self.rare && has_body);
        let t = &line.target;
        counts.exec += u64::from(t.sub == "exec");
        counts.secrets_list += u64::from(t.resource == "secrets" && line.verb == "list");
        counts.frequent += u64::from(t.resource == FREQUENT_WORD);
        counts.pod_creates += u64::from(t.resource == "pods" && line.verb == "create");
        counts.failed += u64::from(line.code >= 400);
        counts.denied_address += u64::from(at_denied);
        let denied = who == world::DENIED_USER;
        counts.denied_user += u64::from(denied);
        counts.denied_403 += u64::from(denied && line.code == 403);
        counts.anonymous_403 += u64::from(who == "system:anonymous" && line.code == 403);
        *counts
            .hours
            .entry(line.received.div_euclid(3_600_000_000) * 3_600_000_000)
            .or_default() += 1;
        match counts.users.get_mut(who) {
            Some(count) => *count += 1,
            None => {
                counts.users.insert(who.to_string(), 1);
            }
        }
        if counts.events.is_multiple_of(self.every) {
            self.done.vocabulary.audit_ids.push(line.audit_id.to_string());
        }
        (self.sink)(server, self.log, &self.line);
        self.log = "kube-apiserver";
        self.request.clear();
        self.response.clear();
        self.host_pid = false;
        self.rare = false;
    }

    /// Remembers a value for questions, at most `2,000` of each list.
    pub fn remember(list: &mut Vec<String>, value: &str) {
        if list.len() < 2_000 {
            list.push(value.to_string());
        }
    }
}

/// Takes every credential id out of a line, with the comma beside it.
fn without_credentials(line: &mut Vec<u8>) {
    let mut text = String::from_utf8(std::mem::take(line)).unwrap();
    let used = "\"authentication.kubernetes.io/credential-id\":[\"";
    let issued = "\"authentication.kubernetes.io/issued-credential-id\":\"";
    for (key, end) in [(used, "\"]"), (issued, "\"")] {
        while let Some(at) = text.find(key) {
            let value = at + key.len();
            let mut stop = value + text[value..].find(end).unwrap() + end.len();
            if text[stop..].starts_with(',') {
                stop += 1;
            }
            text.replace_range(at..stop, "");
        }
    }
    *line = text.replace(",\"extra\":{}", "").into_bytes();
}
