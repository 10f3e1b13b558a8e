//! An ordinary day of the cluster: what each identity does, how often, and what follows from it.

use std::collections::BTreeMap;

use super::CorpusOptions;
use super::Generated;
use super::Output;
use super::RARE_WORD;
use super::bodies;
use super::bodies::Grown;
use super::bodies::Happening;
use super::bodies::Pod;
use super::incident::Birth;
use super::incident::Deed;
use super::incident::RV_NOW;
use super::line::FORBIDDEN;
use super::line::Line;
use super::line::Target;
use super::line::allowed;
use super::rng::Rng;
use super::world::Actor;
use super::world::DENIED_HOST;
use super::world::KINDS_REVIEWED;
use super::world::MASTERS;
use super::world::World;
use super::world::path;

const SECOND: i64 = 1_000_000;
/// Seconds after which nobody waits for a pod's deletion.
const OUTLIVES: i64 = 7_200;
const ANONYMOUS: &str =
    "{\"username\":\"system:anonymous\",\"groups\":[\"system:unauthenticated\"]}";

/// What is bound to happen later.
enum Later {
    WatchEnds {
        actor: Who,
        id: String,
        uri: String,
        resource: &'static str,
        group: &'static str,
        namespace: String,
        received: i64,
        server: usize,
    },
    PodIsBorn {
        pod: Box<Pod>,
        node: usize,
    },
    PodGrows {
        pod: Box<Pod>,
        node: usize,
        step: u8,
    },
    Deed(Box<Deed>),
    ExecEnds {
        person: usize,
        id: String,
        uri: String,
        namespace: String,
        pod: String,
        received: i64,
        verb: &'static str,
        server: usize,
    },
}

/// Which list of the world an identity stands in.
#[derive(Clone, Copy)]
enum Who {
    Operator(usize),
    App(usize),
}

/// The day under way.
pub struct Day<'s> {
    rng: Rng,
    world: World,
    out: Output<'s>,
    later: BTreeMap<(i64, u64), Later>,
    planted: BTreeMap<(i64, u64), Later>,
    planted_left: u64,
    order: u64,
    rv: u64,
    now: i64,
    step: i64,
    events: u64,
    rare_every: u64,
}

impl<'s> Day<'s> {
    /// Returns the beginning of the day.
    pub fn new(rng: Rng, world: World, out: Output<'s>, options: &CorpusOptions) -> Day<'s> {
        let span = options.days * 86_400.0 * 1e6;
        let mut day = Day {
            rng,
            world,
            out,
            later: BTreeMap::new(),
            planted: BTreeMap::new(),
            planted_left: 0,
            order: 0,
            rv: 4_200_000,
            now: options.start,
            step: (span / options.events.max(1) as f64) as i64,
            events: options.events,
            rare_every: (options.events / 7).max(40),
        };
        let vocabulary = &mut day.out.done.vocabulary;
        vocabulary.denied_address = day.world.nodes[2].address(DENIED_HOST);
        vocabulary.namespaces.clone_from(&day.world.namespaces);
        vocabulary.namespaces.extend(day.world.operators.iter().map(|o| o.namespace.clone()));
        let w = &day.world;
        let actors = w.operators.iter().chain(&w.controllers).chain(&w.apps).chain(&w.people);
        vocabulary.users = actors.map(|actor| actor.username.clone()).collect();
        let w = &day.world;
        let actors = w.operators.iter().chain(&w.apps).chain(&w.people);
        let mut peers: Vec<String> =
            actors.flat_map(|a| &a.ips).map(|ip| ip.trim_matches('"').to_string()).collect();
        peers.sort_unstable();
        peers.dedup();
        vocabulary.peers = peers;
        if options.incident {
            day.plant(options);
        }
        day
    }

    /// Plants both incidents: late in a long period, early enough in a short one that all of it
    /// fits in.
    fn plant(&mut self, options: &CorpusOptions) {
        let share = if options.days < 0.25 { 0.3 } else { 0.6 };
        let t0 = options.start + (options.days * share * 86_400.0 * 1e6) as i64;
        let plot = super::incident::plot(&mut self.rng, &mut self.world, options.variant, t0);
        self.out.done.truth = Some(plot.truth);
        for deed in plot.deeds {
            self.planted_left += 1;
            self.order += 1;
            self.planted.insert((deed.written, self.order), Later::Deed(Box::new(deed)));
        }
        for Birth { at, pod, node } in plot.births {
            let pod = Box::new(pod);
            let deleted = pod.lives < OUTLIVES;
            self.planted_left += if pod.bare { 5 } else { 8 } + if deleted { 2 } else { 0 };
            self.order += 1;
            let later = if pod.bare {
                Later::PodGrows { pod, node, step: 2 }
            } else {
                Later::PodIsBorn { pod, node }
            };
            self.planted.insert((at, self.order), later);
        }
    }

    /// Writes all of it.
    pub fn run(mut self) -> Generated {
        while self.out.done.counts.events < self.events {
            let left = self.events - self.out.done.counts.events;
            if let Some(((at, _), later)) = self.next_due(left) {
                let now = std::mem::replace(&mut self.now, at);
                self.follow(later);
                self.now = now;
                continue;
            }
            let index = self.out.done.counts.events;
            if index % self.rare_every == self.rare_every / 2 {
                self.person_edits(true);
            } else {
                self.something();
            }
            self.now += self.step * self.rng.between(50, 150) as i64 / 100;
        }
        self.out.done
    }

    /// Returns what is due; what was planted also where it is not, when no more lines are left
    /// than it needs.
    fn next_due(&mut self, left: u64) -> Option<((i64, u64), Later)> {
        let first = |map: &BTreeMap<(i64, u64), Later>| map.first_key_value().map(|(key, _)| *key);
        if let Some((at, _)) = first(&self.planted)
            && (at <= self.now || left <= self.planted_left)
        {
            self.planted_left = self.planted_left.saturating_sub(1);
            return self.planted.pop_first();
        }
        match first(&self.later) {
            Some((at, _)) if at <= self.now => self.later.pop_first(),
            _ => None,
        }
    }

    fn plan(&mut self, at: i64, later: Later) {
        self.order += 1;
        self.later.insert((at, self.order), later);
    }

    fn next_rv(&mut self) -> u64 {
        self.rv += self.rng.between(1, 6);
        self.rv
    }

    /// One of the things that happen by themselves, out of ten thousand.
    fn something(&mut self) {
        match self.rng.below(10_000) {
            0..850 => self.lease_read(),
            850..3_100 => self.lease_renewed(),
            3_100..4_200 => self.object_read(),
            4_200..4_500 => self.watch_begins(),
            4_500..5_000 => self.listed(),
            5_000..5_110 => self.access_reviewed(),
            5_110..5_280 => self.token_reviewed(),
            5_280..6_180 => self.apiserver_reads(),
            6_180..7_200 => self.kubelet_reads(),
            7_200..7_230 => self.node_reports(),
            7_230..7_300 => self.happened(),
            7_300..7_380 => self.endpoints_written(),
            7_380..7_420 => self.operator_reports(),
            7_420..7_520 => self.anonymous_reads(),
            7_520..7_550 => self.person_reads(),
            7_550..7_560 => self.person_edits(false),
            7_560..7_563 => self.person_execs(),
            7_563..7_580 => self.denied_tries(),
            7_580..7_596 => self.pod_begins(),
            7_596..7_626 => self.token_minted(),
            7_626..7_627 => self.debug_pod(),
            _ => self.app_works(),
        }
    }

    fn server(&mut self) -> usize {
        self.rng.below(MASTERS as u64) as usize
    }

    /// Mostly a few milliseconds, sometimes long; long ones carry the latency annotations
    /// (apiserver.latency.k8s.io, written above 500 ms).
    fn took(&mut self) -> i64 {
        self.rng.between(700, 9_000) as i64 + if self.rng.chance(1, 400) { 600_000 } else { 0 }
    }

    fn annotations(&mut self, base: &str, took: i64) -> String {
        if took < 500_000 {
            return base.to_string();
        }
        let etcd = self.rng.between(100_000, 999_999);
        format!(
            "\"apiserver.latency.k8s.io/etcd\":\"{}.{}µs\",\"apiserver.latency.k8s.io/total\":\"{}.{}ms\",{base}",
            etcd / 1_000,
            etcd % 1_000,
            took / 1_000,
            took % 1_000
        )
    }

    fn lease_read(&mut self) {
        let (server, took) = (self.server(), self.took());
        let at = if self.rng.chance(2, 3) {
            self.rng.below(2) as usize
        } else {
            self.rng.skewed(self.world.operators.len() + 2)
        };
        let annotations_of = self.leader(at).annotations.clone();
        let annotations = self.annotations(&annotations_of, took);
        let actor = leader(&self.world, at);
        let line = Line {
            uri: &actor.lease.uri,
            verb: "get",
            code: 200,
            annotations: &annotations,
            received: self.now,
            took,
            target: Target { rv: 0, uid: "", ..target(&actor.lease) },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn leader(&self, at: usize) -> &Actor {
        leader(&self.world, at)
    }

    fn lease_renewed(&mut self) {
        let (server, took) = (self.server(), self.took());
        let (old, new) = (self.rv, self.next_rv());
        if self.rng.chance(80, 100) {
            return self.node_lease_renewed(server, took, old, new);
        }
        let at = self.rng.skewed(self.world.operators.len() + 2);
        let actor = leader(&self.world, at);
        let holder = actor.pod.as_ref().map_or(&actor.lease.uid, |bound| &bound.pod);
        let l = &actor.lease;
        let now = self.now;
        bodies::lease(&mut self.out.request, &l.namespace, &l.name, &l.uid, old, holder, now);
        let conflict = self.rng.chance(1, 80);
        let (code, status) = if conflict {
            let status = conflict_status("leases", "coordination.k8s.io", &l.name);
            self.out.response.extend_from_slice(failure(&status, 409).as_bytes());
            (409, status)
        } else {
            bodies::lease(&mut self.out.response, &l.namespace, &l.name, &l.uid, new, holder, now);
            (200, String::new())
        };
        let line = Line {
            uri: &l.uri,
            verb: "update",
            code,
            status: &status,
            with_bodies: true,
            received: now,
            took,
            target: Target { rv: old, ..target(l) },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn node_lease_renewed(&mut self, server: usize, took: i64, old: u64, new: u64) {
        let node = self.rng.pick(&self.world.nodes);
        let ns = "kube-node-lease";
        let uri = path("coordination.k8s.io", ns, "leases", &node.name);
        bodies::lease(&mut self.out.request, ns, &node.name, &node.uid, old, &node.name, self.now);
        bodies::lease(&mut self.out.response, ns, &node.name, &node.uid, new, &node.name, self.now);
        let annotations = allowed("");
        let ips = format!("\"{}\"", node.ip);
        let line = Line {
            uri: &uri,
            verb: "update",
            user: &node.kubelet,
            ips: &ips,
            agent: KUBELET,
            code: 200,
            with_bodies: true,
            received: self.now,
            took,
            annotations: &annotations,
            target: Target {
                resource: "leases",
                namespace: ns,
                name: &node.name,
                uid: &node.uid,
                group: "coordination.k8s.io",
                version: "v1",
                rv: old,
                sub: "",
            },
            ..NOTHING
        };
        let who = format!("system:node:{}", node.name);
        self.out.emit(&mut self.rng, server, &who, line);
    }

    fn object_read(&mut self) {
        let (server, took) = (self.server(), self.took());
        let at = self.rng.skewed(self.world.operators.len());
        let base = self.world.operators[at].annotations.clone();
        let annotations = self.annotations(&base, took);
        let actor = &self.world.operators[at];
        let object = &actor.objects[self.rng.skewed(actor.objects.len())];
        let missing = self.rng.chance(1, 25);
        let status =
            if missing { missing_status(object.resource, &object.name) } else { String::new() };
        let line = Line {
            uri: &object.uri,
            verb: "get",
            code: if missing { 404 } else { 200 },
            status: &status,
            annotations: &annotations,
            received: self.now,
            took,
            target: Target { uid: "", ..target(object) },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn watch_begins(&mut self) {
        let server = self.server();
        let who = if self.rng.chance(1, 3) {
            Who::App(self.rng.below(self.world.apps.len() as u64) as usize)
        } else {
            Who::Operator(self.rng.skewed(self.world.operators.len()))
        };
        let actor = actor(&self.world, who);
        let object = self.rng.pick(&actor.objects);
        let length = self.rng.between(300, 600);
        let uri = format!(
            "{}?allowWatchBookmarks=true\\u0026resourceVersion={}\\u0026timeout={}m{}s\\u0026timeoutSeconds={length}\\u0026watch=true",
            object.list_uri,
            self.rv,
            length / 60,
            length % 60
        );
        let (id, received, took) = (self.rng.uuid(), self.now, self.rng.between(600, 3_000) as i64);
        let line = Line {
            audit_id: &id,
            started: true,
            uri: &uri,
            verb: "watch",
            code: 200,
            received,
            took,
            target: Target { name: "", uid: "", ..target(object) },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
        let (resource, group, namespace) =
            (object.resource, object.group, object.namespace.clone());
        let end = received + length as i64 * SECOND;
        self.plan(
            end,
            Later::WatchEnds { actor: who, id, uri, resource, group, namespace, received, server },
        );
    }

    fn listed(&mut self) {
        let (server, took) = (self.server(), self.took());
        let controllers = self.world.controllers.len();
        let at = self.rng.skewed(self.world.operators.len() + controllers);
        let (actor, collection, resource, group) = if at < controllers {
            (&self.world.controllers[at], "/apis/apps/v1/replicasets", "replicasets", "apps")
        } else {
            let actor = &self.world.operators[at - controllers];
            let object = self.rng.pick(&actor.objects);
            (actor, object.list_uri.as_str(), object.resource, object.group)
        };
        let namespace = collection.split("/namespaces/").nth(1).and_then(|t| t.split('/').next());
        let uri = format!("{collection}?limit=500\\u0026resourceVersion=0");
        let line = Line {
            uri: &uri,
            verb: "list",
            code: 200,
            received: self.now,
            took,
            target: Target {
                resource,
                group,
                namespace: namespace.unwrap_or(""),
                version: "v1",
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn access_reviewed(&mut self) {
        let (server, took) = (self.server(), self.took());
        let asker = &self.world.operators[self.rng.skewed(self.world.operators.len())];
        let by_whom = &self.world.operators[25];
        let (resource, group) = *self.rng.pick(&KINDS_REVIEWED);
        let verb = *self.rng.pick(&["get", "list", "watch", "create"]);
        let extra =
            asker.user.find(",\"extra\":").map_or("", |at| &asker.user[at..asker.user.len() - 1]);
        let review = (verb, group, resource, asker.namespace.as_str());
        let reason = asker.annotations.split("reason\":\"").nth(1).unwrap_or("\"");
        let reason = &reason[..reason.len() - 1];
        let ns = &asker.namespace;
        bodies::access_review(&mut self.out.request, &asker.username, ns, extra, review, None);
        let answer = Some((true, reason));
        bodies::access_review(&mut self.out.response, &asker.username, ns, extra, review, answer);
        let line = Line {
            uri: "/apis/authorization.k8s.io/v1/subjectaccessreviews?timeout=10s",
            verb: "create",
            code: 201,
            with_bodies: true,
            received: self.now,
            took,
            target: Target {
                resource: "subjectaccessreviews",
                group: "authorization.k8s.io",
                version: "v1",
                ..Target::default()
            },
            ..by(by_whom, server)
        };
        self.out.emit(&mut self.rng, server, &by_whom.username, line);
    }

    fn token_reviewed(&mut self) {
        let (server, took) = (self.server(), self.took());
        let actor = &self.world.operators[self.rng.skewed(self.world.operators.len())];
        let line = Line {
            uri: "/apis/authentication.k8s.io/v1/tokenreviews",
            verb: "create",
            code: 201,
            received: self.now,
            took,
            target: Target {
                resource: "tokenreviews",
                group: "authentication.k8s.io",
                version: "v1",
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn apiserver_reads(&mut self) {
        let (server, took) = (self.server(), self.took());
        let (uri, resource, group) = *self.rng.pick(&[
            ("/api/v1/namespaces/default/endpoints/kubernetes", "endpoints", ""),
            (
                "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/kubernetes",
                "endpointslices",
                "discovery.k8s.io",
            ),
            ("/api/v1/namespaces/default/services/kubernetes", "services", ""),
        ]);
        let actor = &self.world.apiserver;
        let line = Line {
            uri,
            verb: "get",
            code: 200,
            received: self.now,
            took,
            target: Target {
                resource,
                group,
                namespace: "default",
                name: "kubernetes",
                version: "v1",
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn kubelet_reads(&mut self) {
        let (server, took) = (self.server(), self.took());
        let node = self.rng.pick(&self.world.nodes);
        let app = self.rng.pick(&self.world.apps);
        let pod = app.pod.as_ref().map_or("", |bound| bound.pod.as_str());
        let (resource, name, namespace) = match self.rng.below(3) {
            0 => ("nodes", node.name.as_str(), ""),
            1 => ("configmaps", "kube-root-ca.crt", app.namespace.as_str()),
            _ => ("pods", pod, app.namespace.as_str()),
        };
        let uri = path("", namespace, resource, name);
        let (annotations, ips) = (allowed(""), format!("\"{}\"", node.ip));
        let line = Line {
            uri: &uri,
            verb: "get",
            user: &node.kubelet,
            ips: &ips,
            agent: KUBELET,
            code: 200,
            received: self.now,
            took,
            annotations: &annotations,
            target: Target { resource, namespace, name, version: "v1", ..Target::default() },
            ..NOTHING
        };
        let who = format!("system:node:{}", node.name);
        self.out.emit(&mut self.rng, server, &who, line);
    }

    fn node_reports(&mut self) {
        let (server, took, rv) = (self.server(), self.took(), self.next_rv());
        let node = self.rng.pick(&self.world.nodes);
        bodies::node_patch(&mut self.out.request, self.now);
        bodies::node(&mut self.out.response, &node.name, &node.uid, rv, &node.ip, self.now);
        let uri = format!("/api/v1/nodes/{}/status?timeout=10s", node.name);
        let (annotations, ips) = (allowed(""), format!("\"{}\"", node.ip));
        let line = Line {
            uri: &uri,
            verb: "patch",
            user: &node.kubelet,
            ips: &ips,
            agent: KUBELET,
            code: 200,
            with_bodies: true,
            received: self.now,
            took,
            annotations: &annotations,
            target: Target {
                resource: "nodes",
                name: &node.name,
                version: "v1",
                sub: "status",
                ..Target::default()
            },
            ..NOTHING
        };
        let who = format!("system:node:{}", node.name);
        self.out.emit(&mut self.rng, server, &who, line);
    }

    fn happened(&mut self) {
        let (server, took, rv) = (self.server(), self.took(), self.next_rv());
        let actor = &self.world.operators[self.rng.skewed(self.world.operators.len())];
        let Some(bound) = &actor.pod else { return };
        let event = format!("{}.{}", bound.pod, self.rng.hex(16));
        let event_uid = self.rng.uuid();
        let (reason, message) = *self.rng.pick(&[
            ("LeaderElection", "became leader"),
            ("OperatorStatusChanged", "Status for clusteroperator changed"),
            ("Pulled", "Container image already present on machine"),
            ("ProbeError", "Liveness probe error: Get \\\"https://localhost:8443/healthz\\\": context deadline exceeded"),
        ]);
        let mut happening = Happening {
            kind: "Pod",
            namespace: &actor.namespace,
            name: &bound.pod,
            uid: &bound.pod_uid,
            event: &event,
            event_uid: "",
            rv: 0,
            reason,
            message,
            component: &bound.account,
            host: "",
            at: self.now,
        };
        happening.put(&mut self.out.request);
        (happening.event_uid, happening.rv) = (&event_uid, rv);
        happening.put(&mut self.out.response);
        let uri = path("", &actor.namespace, "events", "");
        let line = Line {
            uri: &uri,
            verb: "create",
            code: 201,
            with_bodies: true,
            received: self.now,
            took,
            target: Target {
                resource: "events",
                namespace: &actor.namespace,
                name: &event,
                version: "v1",
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn endpoints_written(&mut self) {
        let (server, took) = (self.server(), self.took());
        let (old, new) = (self.rv, self.next_rv());
        let app = self.rng.pick(&self.world.apps);
        let Some(bound) = &app.pod else { return };
        let node = &self.world.nodes[bound.node];
        let ip = node.address(10 + self.rng.below(8));
        let (ns, name, uid) = (&app.namespace, &bound.account, &bound.account_uid);
        let of = (ip.as_str(), node.name.as_str(), bound.pod.as_str());
        bodies::endpoints(&mut self.out.request, ns, name, uid, old, of, self.now);
        bodies::endpoints(&mut self.out.response, ns, name, uid, new, of, self.now);
        let actor = &self.world.controllers[2];
        let uri = path("", ns, "endpoints", name);
        let annotations = format!("{},\"k8s.io/deprecated\":\"true\"", actor.annotations);
        let line = Line {
            uri: &uri,
            verb: "update",
            code: 200,
            with_bodies: true,
            received: self.now,
            took,
            annotations: &annotations,
            target: Target {
                resource: "endpoints",
                namespace: ns,
                name,
                uid,
                version: "v1",
                rv: old,
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn operator_reports(&mut self) {
        let (server, took) = (self.server(), self.took());
        let (old, new) = (self.rv, self.next_rv());
        let actor = &self.world.operators[self.rng.skewed(self.world.operators.len())];
        let Some(bound) = &actor.pod else { return };
        let name = bound.account.trim_end_matches("-operator");
        bodies::operator_status(&mut self.out.request, name, &bound.account_uid, old, self.now);
        bodies::operator_status(&mut self.out.response, name, &bound.account_uid, new, self.now);
        let uri = format!("{}/status", path("config.openshift.io", "", "clusteroperators", name));
        let line = Line {
            uri: &uri,
            verb: "update",
            code: 200,
            with_bodies: true,
            received: self.now,
            took,
            target: Target {
                resource: "clusteroperators",
                name,
                uid: &bound.account_uid,
                group: "config.openshift.io",
                version: "v1",
                rv: old,
                sub: "status",
                namespace: "",
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn anonymous_reads(&mut self) {
        let (server, took) = (self.server(), self.took());
        let ips = format!("\"{}\"", self.rng.pick(&self.world.nodes).ip);
        let annotations = allowed(
            "RBAC: allowed by ClusterRoleBinding \"system:openshift:discovery\" of ClusterRole \"system:openshift:discovery\" to Group \"system:unauthenticated\"",
        );
        let line = Line {
            uri: "/.well-known/oauth-authorization-server",
            verb: "get",
            user: ANONYMOUS,
            ips: &ips,
            agent: "Go-http-client/2.0",
            code: 200,
            received: self.now,
            took,
            annotations: &annotations,
            ..NOTHING
        };
        self.out.emit(&mut self.rng, server, "system:anonymous", line);
    }

    fn person_reads(&mut self) {
        let (server, took) = (self.server(), self.took());
        let person = self.rng.pick(&self.world.people);
        let app = self.rng.pick(&self.world.apps);
        let object = self.rng.pick(&app.objects);
        let list = self.rng.chance(1, 2);
        let uri = if list { format!("{}?limit=500", object.list_uri) } else { object.uri.clone() };
        let line = Line {
            uri: &uri,
            verb: if list { "list" } else { "get" },
            code: 200,
            received: self.now,
            took,
            target: Target {
                uid: "",
                name: if list { "" } else { &object.name },
                ..target(object)
            },
            ..by(person, server)
        };
        self.out.emit(&mut self.rng, server, &person.username, line);
    }

    fn person_edits(&mut self, rare: bool) {
        let (server, took, rv) = (self.server(), self.took(), self.next_rv());
        let ns = self.rng.pick(&self.world.namespaces).clone();
        let (name, uid) = (format!("settings-{}", self.rng.suffix(4)), self.rng.uuid());
        let data = format!(
            "\"application.yaml\":\"retries: {}\\nfeature: {}\\n\"",
            self.rng.below(9),
            if rare { RARE_WORD } else { "checkout" }
        );
        bodies::config_map(&mut self.out.request, &ns, &name, "", 0, &data);
        bodies::config_map(&mut self.out.response, &ns, &name, &uid, rv, &data);
        self.out.rare = rare;
        let person = self.rng.pick(&self.world.people);
        let uri = format!(
            "{}?fieldManager=kubectl-client-side-apply\\u0026fieldValidation=Strict",
            path("", &ns, "configmaps", "")
        );
        let line = Line {
            uri: &uri,
            verb: "create",
            code: 201,
            with_bodies: true,
            received: self.now,
            took,
            target: Target {
                resource: "configmaps",
                namespace: &ns,
                name: &name,
                version: "v1",
                ..Target::default()
            },
            ..by(person, server)
        };
        self.out.emit(&mut self.rng, server, &person.username, line);
    }

    fn person_execs(&mut self) {
        let server = self.server();
        let at = self.rng.below(self.world.people.len() as u64) as usize;
        let app = self.rng.pick(&self.world.apps);
        let (namespace, pod) =
            (app.namespace.clone(), app.pod.as_ref().map_or(String::new(), |b| b.pod.clone()));
        let uri = format!(
            "/api/v1/namespaces/{namespace}/pods/{pod}/exec?command=%2Fbin%2Fsh\\u0026container=main\\u0026stdin=true\\u0026stdout=true\\u0026tty=true"
        );
        let verb = if self.rng.chance(4, 5) { "get" } else { "create" };
        let (id, received) = (self.rng.uuid(), self.now);
        self.exec_line(at, &id, &uri, (&namespace, &pod), verb, server, received, None);
        let end = received + self.rng.between(2, 900) as i64 * SECOND;
        self.plan(
            end,
            Later::ExecEnds { person: at, id, uri, namespace, pod, received, verb, server },
        );
    }

    fn exec_line(
        &mut self,
        person: usize,
        id: &str,
        uri: &str,
        (namespace, pod): (&str, &str),
        verb: &'static str,
        server: usize,
        received: i64,
        ended: Option<i64>,
    ) {
        let person = &self.world.people[person];
        let line = Line {
            audit_id: id,
            started: ended.is_none(),
            uri,
            verb,
            code: 101,
            with_bodies: verb == "create",
            received,
            took: ended.map_or(31_417, |end| end - received),
            target: Target {
                resource: "pods",
                namespace,
                name: pod,
                version: "v1",
                sub: "exec",
                ..Target::default()
            },
            ..by(person, server)
        };
        self.out.emit(&mut self.rng, server, &person.username, line);
    }

    fn denied_tries(&mut self) {
        let (server, took) = (self.server(), self.took());
        let ok = self.rng.chance(1, 4);
        let resource =
            if ok { "configmaps" } else { *self.rng.pick(&["jobs", "pods", "persistentvolumes"]) };
        let actor = &self.world.denied;
        let group = if resource == "jobs" { "batch" } else { "" };
        let uri = path(group, "night-batch", resource, "");
        let status = forbidden_status(resource, group, "list", &actor.username, "night-batch");
        let annotations = allowed(
            "RBAC: allowed by RoleBinding \"report-runner/night-batch\" of Role \"report-runner\" to ServiceAccount \"report-runner/night-batch\"",
        );
        let line = Line {
            uri: &uri,
            verb: "list",
            code: if ok { 200 } else { 403 },
            status: if ok { "" } else { &status },
            received: self.now,
            took,
            annotations: if ok { &annotations } else { FORBIDDEN },
            target: Target {
                resource,
                group,
                namespace: "night-batch",
                version: "v1",
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
    }

    fn app_works(&mut self) {
        let (server, took) = (self.server(), self.took());
        let app = self.rng.pick(&self.world.apps);
        let object = &app.objects[self.rng.skewed(app.objects.len())];
        let denied = self.rng.chance(1, 60);
        let status = if denied {
            forbidden_status(object.resource, object.group, "get", &app.username, &object.namespace)
        } else {
            String::new()
        };
        let line = Line {
            uri: &object.uri,
            verb: "get",
            code: if denied { 403 } else { 200 },
            status: &status,
            received: self.now,
            took,
            annotations: if denied { FORBIDDEN } else { &app.annotations },
            target: Target { uid: "", ..target(object) },
            ..by(app, server)
        };
        self.out.emit(&mut self.rng, server, &app.username, line);
    }

    fn token_minted(&mut self) {
        let (server, took) = (self.server(), self.took());
        let credential = format!("JTI={}", self.rng.uuid());
        Output::remember(&mut self.out.done.vocabulary.credentials, &credential);
        let World { nodes, operators, apps, .. } = &mut self.world;
        let at = self.rng.below((operators.len() + apps.len()) as u64) as usize;
        let count = operators.len();
        let actor = if at < count { &mut operators[at] } else { &mut apps[at - count] };
        World::rotate(nodes, actor, &credential);
        let (actor, nodes) = (actor.clone(), &self.world.nodes);
        let Some(bound) = &actor.pod else { return };
        let node = &nodes[bound.node];
        let uri =
            format!("{}/token", path("", &actor.namespace, "serviceaccounts", &bound.account));
        let annotations = format!(
            "\"authentication.kubernetes.io/issued-credential-id\":\"{credential}\",{}",
            allowed("")
        );
        let ips = format!("\"{}\"", node.ip);
        let line = Line {
            uri: &uri,
            verb: "create",
            user: &node.kubelet,
            ips: &ips,
            agent: KUBELET,
            code: 201,
            received: self.now,
            took,
            annotations: &annotations,
            target: Target {
                resource: "serviceaccounts",
                namespace: &actor.namespace,
                name: &bound.account,
                version: "v1",
                sub: "token",
                ..Target::default()
            },
            ..NOTHING
        };
        let who = format!("system:node:{}", node.name);
        self.out.emit(&mut self.rng, server, &who, line);
    }

    /// A ReplicaSet makes a pod; the request has no name, the answer has one (formats.md 1.2, 7).
    fn pod_begins(&mut self) {
        let app = self.rng.pick(&self.world.apps).clone();
        let Some(bound) = &app.pod else { return };
        let node = self.rng.below(self.world.nodes.len() as u64) as usize;
        let owner = format!("{}-{}", bound.account, self.rng.hex(9));
        let pod = self.new_pod(&app.namespace, &owner, &bound.account, node);
        self.pod_created(pod, node, None);
    }

    /// `oc debug node/...`: a bare privileged pod in the host's process namespace.
    fn debug_pod(&mut self) {
        let node = self.rng.below(self.world.nodes.len() as u64) as usize;
        let person = self.rng.below(self.world.people.len() as u64) as usize;
        let ns = format!("openshift-debug-{}", self.rng.suffix(5));
        let mut pod = self.new_pod(&ns, "", "default", node);
        pod.name = format!(
            "{}-debug-{}",
            self.world.nodes[node].name.replace('.', "-"),
            self.rng.suffix(5)
        );
        (pod.host_pid, pod.privileged, pod.scc) = (true, true, "privileged".to_string());
        pod.app = "container-00".to_string();
        pod.command = "\"/bin/sh\"".to_string();
        pod.image = "quay.example/openshift/tools:latest".to_string();
        self.pod_created(pod, node, Some(person));
    }

    fn new_pod(&mut self, ns: &str, owner: &str, account: &str, node: usize) -> Pod {
        let ip = self.world.nodes[node].new_address();
        let rng = &mut self.rng;
        let node = &self.world.nodes[node];
        Pod {
            namespace: ns.to_string(),
            name: format!("{owner}-{}", rng.suffix(5)),
            uid: rng.uuid(),
            owner: owner.to_string(),
            owner_uid: rng.uuid(),
            app: account.to_string(),
            account: account.to_string(),
            image: format!("quay.example/{}/{account}:v{}", ns, rng.below(40)),
            command: String::new(),
            host_pid: false,
            privileged: false,
            scc: "restricted-v2".to_string(),
            node: node.name.clone(),
            host_ip: node.ip.clone(),
            ip,
            container: rng.hex(64),
            digest: rng.hex(64),
            created: self.now,
            ..Pod::default()
        }
    }

    fn pod_created(&mut self, pod: Pod, node: usize, person: Option<usize>) {
        let (server, rv) = (self.server(), self.next_rv());
        let vocabulary = &mut self.out.done.vocabulary;
        Output::remember(&mut vocabulary.addresses, &pod.ip);
        Output::remember(&mut vocabulary.pods, &pod.name);
        pod.put(&mut self.out.request, Grown::Asked, 0);
        pod.put(&mut self.out.response, Grown::Created, rv);
        self.out.host_pid = pod.host_pid;
        let audit_id = pod.ids.get(9).map_or("", String::as_str);
        let actor = person.map_or(&self.world.controllers[1], |at| &self.world.people[at]);
        let uri = path("", &pod.namespace, "pods", "");
        let mut annotations = format!(
            "{},\"pod-security.kubernetes.io/enforce-policy\":\"privileged:latest\",\"securitycontextconstraints.admission.openshift.io/chosen\":\"{}\"",
            actor.annotations, pod.scc
        );
        if pod.host_pid {
            annotations.push_str(",\"pod-security.kubernetes.io/audit-violations\":\"would violate PodSecurity \\\"baseline:latest\\\": host namespaces (hostPID=true), privileged (container \\\"container-00\\\" must not set securityContext.privileged=true)\"");
        }
        let name = if pod.owner.is_empty() { pod.name.as_str() } else { "" };
        let line = Line {
            audit_id,
            uri: &uri,
            verb: "create",
            code: 201,
            with_bodies: true,
            received: self.now,
            took: 22_981,
            annotations: &annotations,
            target: Target {
                resource: "pods",
                namespace: &pod.namespace,
                name,
                version: "v1",
                ..Target::default()
            },
            ..by(actor, server)
        };
        self.out.emit(&mut self.rng, server, &actor.username, line);
        // A pod that names its node never meets the scheduler.
        let step = if pod.owner.is_empty() { 2 } else { 0 };
        let key = (self.now + 15_000, self.order + 1);
        self.order += 1;
        let planted = !pod.ids.is_empty();
        let next = Later::PodGrows { pod: Box::new(pod), node, step };
        if planted { &mut self.planted } else { &mut self.later }.insert(key, next);
    }

    fn follow(&mut self, later: Later) {
        match later {
            Later::WatchEnds {
                actor: who,
                id,
                uri,
                resource,
                group,
                namespace,
                received,
                server,
            } => {
                let actor = actor(&self.world, who);
                let line = Line {
                    audit_id: &id,
                    uri: &uri,
                    verb: "watch",
                    code: 200,
                    received,
                    took: self.now - received,
                    target: Target {
                        resource,
                        group,
                        namespace: &namespace,
                        version: "v1",
                        ..Target::default()
                    },
                    ..by(actor, server)
                };
                self.out.emit(&mut self.rng, server, &actor.username, line);
            }
            Later::ExecEnds { person, id, uri, namespace, pod, received, verb, server } => {
                let end = Some(self.now);
                self.exec_line(person, &id, &uri, (&namespace, &pod), verb, server, received, end);
            }
            Later::PodGrows { pod, node, step } => self.pod_grows(pod, node, step),
            Later::PodIsBorn { pod, node } => self.pod_created(*pod, node, None),
            Later::Deed(deed) => {
                let rv = self.next_rv().to_string();
                let dated = |body: &[u8]| {
                    String::from_utf8_lossy(body).replace(&RV_NOW.to_string(), &rv).into_bytes()
                };
                self.out.request.extend(dated(&deed.request));
                self.out.response.extend(dated(&deed.response));
                self.out.host_pid = deed.host_pid;
                self.out.log = deed.log;
                self.out.emit(&mut self.rng, deed.server, &deed.who, deed.line());
            }
        }
    }

    /// binding, Scheduled, token, multus, AddedInterface, kubelet, Started, and the end.
    fn pod_grows(&mut self, pod: Box<Pod>, node: usize, step: u8) {
        let now = self.now;
        super::life::write_step(
            &mut self.out,
            &mut self.rng,
            &self.world,
            &pod,
            node,
            step,
            now,
            &mut self.rv,
        );
        let wait = match step {
            0 | 1 => 20_000,
            2 => 600_000,
            3 => 40_000,
            4 | 5 => 900_000,
            6 if pod.lives == 0 => self.rng.between(600, 40_000) as i64 * SECOND,
            6 if pod.lives < OUTLIVES => pod.created + pod.lives * SECOND - now,
            7 => 1_000_000,
            _ => return,
        };
        self.order += 1;
        let key = (now + wait, self.order);
        let planted = !pod.ids.is_empty();
        let next = Later::PodGrows { pod, node, step: step + 1 };
        if planted { &mut self.planted } else { &mut self.later }.insert(key, next);
    }
}

/// User agent of every kubelet.
pub const KUBELET: &str = "kubelet/v1.33.5 (linux/amd64) kubernetes/27f72e0";

/// A line with nothing in it yet.
pub const NOTHING: Line<'static> = Line {
    audit_id: "",
    started: false,
    uri: "",
    verb: "",
    user: "",
    impersonated: "",
    ips: "",
    agent: "",
    target: Target {
        resource: "",
        namespace: "",
        name: "",
        uid: "",
        group: "",
        version: "",
        rv: 0,
        sub: "",
    },
    code: 200,
    status: "",
    request: &[],
    response: &[],
    with_bodies: false,
    received: 0,
    took: 0,
    annotations: "",
};

/// Returns a line with everything that follows from who sends it to which server.
pub fn by(actor: &Actor, server: usize) -> Line<'_> {
    Line {
        user: &actor.user,
        ips: &actor.ips[server],
        agent: &actor.agent,
        annotations: &actor.annotations,
        ..NOTHING
    }
}

fn target(object: &super::world::Object) -> Target<'_> {
    Target {
        resource: object.resource,
        namespace: &object.namespace,
        name: &object.name,
        uid: &object.uid,
        group: object.group,
        version: "v1",
        rv: 0,
        sub: "",
    }
}

fn leader(world: &World, at: usize) -> &Actor {
    match at {
        0 => &world.manager,
        1 => &world.scheduler,
        at => &world.operators[at - 2],
    }
}

fn actor(world: &World, who: Who) -> &Actor {
    match who {
        Who::Operator(at) => &world.operators[at],
        Who::App(at) => &world.apps[at],
    }
}

/// Members of a `Status` for an object that is not there.
pub fn missing_status(resource: &str, name: &str) -> String {
    format!(
        "\"status\":\"Failure\",\"message\":\"{resource} \\\"{name}\\\" not found\",\"reason\":\"NotFound\",\"details\":{{\"name\":\"{name}\",\"kind\":\"{resource}\"}},"
    )
}

/// Members of a `Status` for a write that came too late.
pub fn conflict_status(resource: &str, group: &str, name: &str) -> String {
    format!(
        "\"status\":\"Failure\",\"message\":\"Operation cannot be fulfilled on {resource}.{group} \\\"{name}\\\": the object has been modified; please apply your changes to the latest version and try again\",\"reason\":\"Conflict\",\"details\":{{\"name\":\"{name}\",\"group\":\"{group}\",\"kind\":\"{resource}\"}},"
    )
}

/// Members of a `Status` for a request that no rule allows.
pub fn forbidden_status(resource: &str, group: &str, verb: &str, who: &str, ns: &str) -> String {
    let scope = if ns.is_empty() {
        "at the cluster scope".to_string()
    } else {
        format!("in the namespace \\\"{ns}\\\"")
    };
    format!(
        "\"status\":\"Failure\",\"message\":\"{resource} is forbidden: User \\\"{who}\\\" cannot {verb} resource \\\"{resource}\\\" in API group \\\"{group}\\\" {scope}\",\"reason\":\"Forbidden\",\"details\":{{\"kind\":\"{resource}\"}},"
    )
}

/// The `Status` object of a failed write.
pub fn failure(members: &str, code: u64) -> String {
    format!(
        "{{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{{}},{members}\"code\":{code}}}"
    )
}
