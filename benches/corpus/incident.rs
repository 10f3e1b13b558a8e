//! Two incidents that can be planted into an ordinary day, with what is known to be true of them.
//!
//! The first is modelled on what real evidence of a token theft looks like (formats.md 1.2): a
//! service account that should never have been cluster-admin, an anonymous probe from a pod, its
//! token used from that pod, from its own node and from outside, secrets listed in pages, a
//! privileged pod in the host's process namespace, a shell in it.  The second is unrelated: a
//! build robot's kubeconfig in other hands.  Names and addresses are invented.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::Step;
use super::StepEvent;
use super::Truth;
use super::Variant;
use super::bodies;
use super::bodies::Grown;
use super::bodies::Pod;
use super::line::FORBIDDEN;
use super::line::Line;
use super::line::Put;
use super::line::Target;
use super::line::allowed;
use super::line::put;
use super::ordinary::failure;
use super::ordinary::forbidden_status;
use super::ordinary::missing_status;
use super::rng::Rng;
use super::world::World;
use super::world::account_user;
use super::world::bound_extra;
use super::world::path;
use super::world::views;

const SECOND: i64 = 1_000_000;
/// Stands for the resource version at the time of writing.
pub const RV_NOW: u64 = 9_999_999_999;
const ANONYMOUS: &str =
    "{\"username\":\"system:anonymous\",\"groups\":[\"system:unauthenticated\"]}";

/// One event of an incident, owning everything that a [`Line`] borrows.
#[derive(Clone, Debug, Default)]
pub struct Deed {
    /// When it was received.
    pub at: i64,
    /// When it is written; watches and execs are written later.
    pub written: i64,
    /// Which master writes it.
    pub server: usize,
    /// Name of the log it stands in.
    pub log: &'static str,
    /// User name.
    pub who: String,
    pub audit_id: String,
    pub started: bool,
    pub uri: String,
    pub verb: &'static str,
    pub user: String,
    pub impersonated: String,
    pub ips: String,
    pub agent: String,
    pub resource: &'static str,
    pub group: &'static str,
    pub namespace: String,
    pub name: String,
    pub sub: &'static str,
    pub code: u64,
    pub status: String,
    pub request: Vec<u8>,
    pub response: Vec<u8>,
    pub with_bodies: bool,
    pub took: i64,
    pub annotations: String,
    pub host_pid: bool,
    /// Named step, or empty for what only surrounds the incident.
    pub step: &'static str,
}

impl Deed {
    /// Returns the line without its bodies.
    pub fn line(&self) -> Line<'_> {
        Line {
            audit_id: &self.audit_id,
            started: self.started,
            uri: &self.uri,
            verb: self.verb,
            user: &self.user,
            impersonated: &self.impersonated,
            ips: &self.ips,
            agent: &self.agent,
            target: Target {
                resource: self.resource,
                namespace: &self.namespace,
                name: &self.name,
                uid: "",
                group: self.group,
                version: if self.resource.is_empty() { "" } else { "v1" },
                rv: 0,
                sub: self.sub,
            },
            code: self.code,
            status: &self.status,
            request: &[],
            response: &[],
            with_bodies: self.with_bodies,
            received: self.at,
            took: self.took,
            annotations: &self.annotations,
        }
    }
}

/// A pod of the story, to be created at a time by the ReplicaSet controller.
#[derive(Clone, Debug)]
pub struct Birth {
    /// When.
    pub at: i64,
    /// What.
    pub pod: Pod,
    /// Where.
    pub node: usize,
}

/// Everything to be planted.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Events ready to be written.
    pub deeds: Vec<Deed>,
    /// Pods to be born.
    pub births: Vec<Birth>,
    /// What is true.
    pub truth: Truth,
}

/// What things are called.
struct Names {
    probe_ns: String,
    probe_app: String,
    account_ns: String,
    account: String,
    new_ns: String,
    new_app: String,
    innocent_app: String,
}

impl Names {
    fn choose(rng: &mut Rng, variant: Variant) -> Names {
        let mut name = |fixed: &str| match variant {
            Variant::RandomNames => format!("{}-{}", rng.suffix(6), rng.suffix(4)),
            _ => fixed.to_string(),
        };
        Names {
            probe_ns: name("storefront"),
            probe_app: name("cart-cache"),
            account_ns: name("ledger"),
            account: name("pay-worker"),
            new_ns: name("ledger-v2"),
            new_app: name("invoice-v2"),
            innocent_app: name("label-printer"),
        }
    }
}

/// The thief and what is at hand.
struct Story<'w> {
    rng: &'w mut Rng,
    world: &'w mut World,
    names: Names,
    variant: Variant,
    t0: i64,
    plot: Plot,
    claims: Vec<(&'static str, String)>,
    thief: Deed,
}

/// Returns both incidents, the first beginning (with its probe) at `t0`.
pub fn plot(rng: &mut Rng, world: &mut World, variant: Variant, t0: i64) -> Plot {
    let names = Names::choose(rng, variant);
    let thief = Deed::default();
    let (plot, claims) = (Plot::default(), Vec::new());
    let mut story = Story { rng, world, names, variant, t0, plot, claims, thief };
    story.token_theft();
    story.stolen_kubeconfig();
    story.finish()
}

impl Story<'_> {
    /// Returns a deed at `offset` microseconds from the probe, with a fresh audit id.
    fn deed(&mut self, offset: i64, server: usize, step: &'static str) -> Deed {
        let at = self.t0 + offset + self.rng.below(900) as i64;
        Deed {
            at,
            written: at,
            server,
            log: "kube-apiserver",
            audit_id: self.rng.uuid(),
            code: 200,
            took: self.rng.between(2_000, 40_000) as i64,
            step,
            ..Deed::default()
        }
    }

    fn tell(&mut self, step: &'static str, claim: String) {
        self.claims.push((step, claim));
    }

    fn ids(&mut self) -> Vec<String> {
        (0..10).map(|_| self.rng.uuid()).collect()
    }

    fn pod(&mut self, namespace: &str, app: &str, account: &str, node: usize, at: i64) -> Pod {
        let ip = self.world.nodes[node].new_address();
        let owner = format!("{app}-{}", self.rng.hex(9));
        let ids = self.ids();
        let (rng, place) = (&mut *self.rng, &self.world.nodes[node]);
        Pod {
            namespace: namespace.to_string(),
            name: format!("{owner}-{}", rng.suffix(5)),
            uid: rng.uuid(),
            owner_uid: rng.uuid(),
            owner,
            app: app.to_string(),
            account: account.to_string(),
            image: format!("quay.example/{namespace}/{app}:v3"),
            scc: "restricted-v2".to_string(),
            node: place.name.clone(),
            host_ip: place.ip.clone(),
            ip,
            container: rng.hex(64),
            digest: rng.hex(64),
            created: at,
            ids,
            lives: 7_200,
            ..Pod::default()
        }
    }

    fn token_theft(&mut self) {
        let probe_node = if self.variant == Variant::WorkersBehindNode { 4 } else { 2 };
        let (ns, app) = (self.names.probe_ns.clone(), self.names.probe_app.clone());
        let mut probe = self.pod(&ns, &app, &app, probe_node, self.t0 - 320 * SECOND);
        probe.lives = 320 + 1_200;
        let (ns, account) = (self.names.account_ns.clone(), self.names.account.clone());
        let mut worker = self.pod(&ns, &account, &account, 1, self.t0 - 300 * SECOND);
        worker.credential = format!("JTI={}", self.rng.uuid());
        let seen_from = views(&self.world.nodes, probe_node, &probe.ip)[2].clone();
        self.plot.truth = Truth {
            start_address: seen_from.trim_matches('"').to_string(),
            start_pod: (probe.namespace.clone(), probe.name.clone()),
            credential: match self.variant {
                Variant::NoCredentialIds => String::new(),
                _ => worker.credential.clone(),
            },
            account: (ns.clone(), account.clone()),
            undecidable: match self.variant {
                Variant::WorkersBehindNode | Variant::BodiesStripped => {
                    vec!["1b-ip-to-pod".to_string()]
                }
                Variant::NoCredentialIds => vec!["0b-token-mint".to_string()],
                _ => Vec::new(),
            },
            ..Truth::default()
        };
        self.misconfigured(&worker);
        self.anonymous_probe(&seen_from);
        let extra =
            bound_extra(&worker.credential, &self.world.nodes[1], &worker.name, &worker.uid);
        self.thief = Deed {
            who: format!("system:serviceaccount:{ns}:{account}"),
            user: account_user(&ns, &account, &self.rng.uuid(), &extra),
            annotations: allowed(&format!(
                "RBAC: allowed by ClusterRoleBinding \"{account}\" of ClusterRole \"cluster-admin\" to ServiceAccount \"{account}/{ns}\""
            )),
            ..Deed::default()
        };
        self.asks_what_it_may(&seen_from);
        self.lists_secrets();
        self.escalates();
        self.opens_a_shell();
        self.tell(
            "0b-token-mint",
            format!(
                "the token that is stolen later was minted by the kubelet of {} for the pod {}",
                worker.node, worker.name
            ),
        );
        self.known("0b-token-mint", &worker.ids[2].clone(), worker.created);
        self.tell(
            "1b-ip-to-pod",
            format!(
                "{} belongs to {}/{}, as multus and the kubelet write",
                probe.ip, probe.namespace, probe.name
            ),
        );
        for step in [3, 5] {
            self.known("1b-ip-to-pod", &probe.ids[step].clone(), probe.created);
        }
        self.address_passes_on(&probe, probe_node);
        for (pod, node) in [(probe, probe_node), (worker, 1)] {
            self.plot.births.push(Birth { at: pod.created, pod, node });
        }
    }

    /// Notes an event that somebody else writes under a known audit id.
    fn known(&mut self, step: &'static str, audit_id: &str, at: i64) {
        let event = StepEvent { audit_id: audit_id.to_string(), received: at, started: false };
        self.plot.truth.add(step, event);
    }

    fn misconfigured(&mut self, worker: &Pod) {
        let person = self.world.people[0].clone();
        let (ns, account) = (&worker.namespace, &worker.account);
        let (uid, mut request, mut response) = (self.rng.uuid(), Vec::new(), Vec::new());
        for (out, known) in [(&mut request, false), (&mut response, true)] {
            put!(
                out,
                "{\"kind\":\"ClusterRoleBinding\",\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"metadata\":{\"name\":\"",
                account,
                "\""
            );
            if known {
                put!(out, ",\"uid\":\"", &uid, "\",\"resourceVersion\":\"9999999999\"");
            }
            put!(
                out,
                "},\"subjects\":[{\"kind\":\"ServiceAccount\",\"name\":\"",
                account,
                "\",\"namespace\":\"",
                ns
            );
            put!(
                out,
                "\"}],\"roleRef\":{\"apiGroup\":\"rbac.authorization.k8s.io\",\"kind\":\"ClusterRole\",\"name\":\"cluster-admin\"}}"
            );
        }
        self.tell(
            "0-misconfig",
            format!(
                "{} binds cluster-admin to the service account {ns}/{account}",
                person.username
            ),
        );
        let deed = self.deed(-310 * SECOND, 0, "0-misconfig");
        self.plot.deeds.push(Deed {
            who: person.username.clone(),
            user: person.user.clone(),
            ips: person.ips[0].clone(),
            agent: person.agent.clone(),
            annotations: person.annotations.clone(),
            uri: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?fieldManager=kubectl-client-side-apply\\u0026fieldValidation=Strict".to_string(),
            verb: "create",
            resource: "clusterrolebindings",
            group: "rbac.authorization.k8s.io",
            name: account.clone(),
            code: 201,
            with_bodies: true,
            request,
            response,
            ..deed
        });
    }

    fn anonymous_probe(&mut self, ips: &str) {
        self.tell("1-anonymous-probe", "somebody without a token asks for secrets, pods and configmaps of all namespaces and is refused three times".to_string());
        for (offset, resource) in [(0, "secrets"), (5_467_392, "pods"), (9_541_785, "configmaps")] {
            let deed = self.deed(offset, 2, "1-anonymous-probe");
            self.plot.deeds.push(Deed {
                who: "system:anonymous".to_string(),
                user: ANONYMOUS.to_string(),
                ips: ips.to_string(),
                agent: "probe-client/0.3".to_string(),
                annotations: FORBIDDEN.to_string(),
                uri: path("", "", resource, ""),
                verb: "list",
                resource,
                code: 403,
                status: forbidden_status(resource, "", "list", "system:anonymous", ""),
                took: 806,
                ..deed
            });
        }
    }

    /// Returns a deed of the thief with the stolen token.
    fn stolen(
        &mut self,
        offset: i64,
        server: usize,
        step: &'static str,
        ips: &str,
        agent: &str,
    ) -> Deed {
        let deed = self.deed(offset, server, step);
        let audit_id = match self.variant {
            Variant::ClientSetAuditId => "11111111-1111-4111-8111-111111111111".to_string(),
            _ => deed.audit_id.clone(),
        };
        Deed {
            audit_id,
            who: self.thief.who.clone(),
            user: self.thief.user.clone(),
            annotations: self.thief.annotations.clone(),
            ips: ips.to_string(),
            agent: agent.to_string(),
            ..deed
        }
    }

    fn asks_what_it_may(&mut self, ips: &str) {
        self.tell(
            "2-what-may-i",
            "the stolen token is used from the probing pod: may it do everything? It may"
                .to_string(),
        );
        let deed = self.stolen(18_023_408, 2, "2-what-may-i", ips, "curl/8.9.1");
        let head = "{\"kind\":\"SelfSubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"resourceAttributes\":{\"verb\":\"*\",\"resource\":\"*\"}},\"status\":{\"allowed\":";
        let reason = self.thief.annotations.split("reason\":\"").nth(1).unwrap_or("\"").to_string();
        self.plot.deeds.push(Deed {
            uri: "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews".to_string(),
            verb: "create",
            resource: "selfsubjectaccessreviews",
            group: "authorization.k8s.io",
            code: 201,
            with_bodies: true,
            request: format!("{head}false}}}}").into_bytes(),
            response: format!("{head}true,\"reason\":\"{reason}}}}}").into_bytes(),
            annotations: allowed("RBAC: allowed by ClusterRoleBinding \"system:basic-user\" of ClusterRole \"system:basic-user\" to Group \"system:authenticated\""),
            ..deed
        });
    }

    /// Two dumps of two pages each; `continue` is what etcd3's store writes there.
    fn lists_secrets(&mut self) {
        self.tell("3-secrets", "all secrets are listed twice, in two pages each, from the address of the node of the bound pod".to_string());
        let ips = format!("\"{}\"", self.world.nodes[1].ip);
        let agent = "kubectl/v1.31.4 (linux/amd64) kubernetes/a78aa47";
        for (offset, page) in [
            (25_020_000, None),
            (25_080_264, Some(4_204_665)),
            (26_077_199, None),
            (26_129_805, Some(4_204_679)),
        ] {
            let token = page.map(|rv: u64| {
                URL_SAFE_NO_PAD.encode(format!("{{\"v\":\"meta.k8s.io/v1\",\"rv\":{rv},\"start\":\"/openshift-ingress/router-metrics-certs\\u0000\"}}"))
            });
            let uri = token.map_or("/api/v1/secrets?limit=500".to_string(), |token| {
                format!("/api/v1/secrets?continue={token}\\u0026limit=500")
            });
            let deed = self.stolen(offset, 0, "3-secrets", &ips, agent);
            self.plot.deeds.push(Deed { uri, verb: "list", resource: "secrets", ..deed });
        }
        if self.variant == Variant::AggregatedServer {
            self.lists_routes(&ips, agent);
        }
    }

    /// The aggregated server logs the same request again, seen from the front proxy.
    fn lists_routes(&mut self, ips: &str, agent: &str) {
        self.tell(
            "3b-routes",
            "routes are listed through the aggregated API server, logged twice under one audit id"
                .to_string(),
        );
        let front = self.stolen(27_400_000, 0, "3b-routes", ips, agent);
        let front = Deed {
            uri: "/apis/route.openshift.io/v1/routes?limit=500".to_string(),
            verb: "list",
            resource: "routes",
            group: "route.openshift.io",
            ..front
        };
        let inner = Deed {
            log: "openshift-apiserver",
            at: front.at + 1_900,
            written: front.at + 1_900,
            took: front.took / 2,
            ips: format!("\"{}\",\"10.132.0.2\"", ips.trim_matches('"')),
            ..front.clone()
        };
        self.plot.deeds.extend([front, inner]);
    }

    fn escalates(&mut self) {
        let outsider = self.world.people[4].clone();
        let (ips, agent) = (outsider.ips[0].clone(), outsider.agent.clone());
        let (ns, app, account) =
            (self.names.new_ns.clone(), self.names.new_app.clone(), self.names.account.clone());
        self.tell("4-escalation", format!("from outside the cluster the token makes the namespace {ns}, a deployment and a privileged pod in the host's process namespace"));
        let missing = self.stolen(34_100_000, 1, "4-escalation", &ips, &agent);
        self.plot.deeds.push(Deed {
            uri: path("", "", "namespaces", &ns),
            verb: "get",
            resource: "namespaces",
            namespace: ns.clone(),
            name: ns.clone(),
            code: 404,
            status: missing_status("namespaces", &ns),
            ..missing
        });
        let (request, response) = namespace_bodies(&ns, &self.rng.uuid());
        let deed = self.stolen(34_325_194, 1, "4-escalation", &ips, &agent);
        self.plot.deeds.push(Deed {
            uri: "/api/v1/namespaces?fieldManager=kubectl-create\\u0026fieldValidation=Strict"
                .to_string(),
            verb: "create",
            resource: "namespaces",
            name: ns.clone(),
            code: 201,
            with_bodies: true,
            request,
            response,
            ..deed
        });
        let (mut request, mut response, uid) = (Vec::new(), Vec::new(), self.rng.uuid());
        bodies::deployment(&mut request, &ns, &app, "", 0, "alpine", self.t0);
        bodies::deployment(&mut response, &ns, &app, &uid, RV_NOW, "alpine", self.t0 + 38 * SECOND);
        let deed = self.stolen(37_870_020, 1, "4-escalation", &ips, &agent);
        self.plot.deeds.push(Deed {
            uri: format!(
                "{}?fieldManager=kubectl-create\\u0026fieldValidation=Strict",
                path("apps", &ns, "deployments", "")
            ),
            verb: "create",
            resource: "deployments",
            group: "apps",
            namespace: ns.clone(),
            name: app.clone(),
            code: 201,
            with_bodies: true,
            took: 2_647_327,
            request,
            response,
            ..deed
        });
        self.reactions(&ns, &app, &uid);
        self.privileged_pod(&ns, &account, &ips, &agent);
        self.route_reads(&outsider);
    }

    fn privileged_pod(&mut self, ns: &str, account: &str, ips: &str, agent: &str) {
        let at = self.t0 + 46_900_000;
        let mut pod = self.pod(ns, account, "default", 2, at);
        pod.owner = String::new();
        pod.name = account.to_string();
        pod.app = "1".to_string();
        pod.image = "alpine".to_string();
        pod.command = "\"nsenter\",\"--mount=/proc/1/ns/mnt\",\"--\",\"/bin/bash\"".to_string();
        (pod.host_pid, pod.privileged, pod.scc) = (true, true, "privileged".to_string());
        pod.bare = true;
        let (mut request, mut response) = (Vec::new(), Vec::new());
        pod.put(&mut request, Grown::Asked, 0);
        pod.put(&mut response, Grown::Created, RV_NOW);
        let deed = self.stolen(46_900_000, 1, "4-escalation", ips, agent);
        let annotations = format!(
            "{},\"pod-security.kubernetes.io/audit-violations\":\"would violate PodSecurity \\\"baseline:latest\\\": host namespaces (hostPID=true), privileged (container \\\"1\\\" must not set securityContext.privileged=true)\",\"pod-security.kubernetes.io/enforce-policy\":\"privileged:latest\",\"securitycontextconstraints.admission.openshift.io/chosen\":\"privileged\"",
            deed.annotations
        );
        self.plot.deeds.push(Deed {
            uri: format!(
                "{}?fieldManager=kubectl-run\\u0026fieldValidation=Strict",
                path("", ns, "pods", "")
            ),
            verb: "create",
            resource: "pods",
            namespace: ns.to_string(),
            name: pod.name.clone(),
            code: 201,
            with_bodies: true,
            host_pid: true,
            request,
            response,
            annotations,
            ..deed
        });
        let deed = self.stolen(47_300_000, 1, "4-escalation", ips, agent);
        self.plot.deeds.push(Deed {
            uri: path("", ns, "pods", &pod.name),
            verb: "get",
            resource: "pods",
            namespace: ns.to_string(),
            name: pod.name.clone(),
            ..deed
        });
        self.tell(
            "c-pod",
            "the platform runs the privileged pod: multus, kubelet and events write about it"
                .to_string(),
        );
        for step in [2, 3, 4, 5, 6] {
            let event = StepEvent { audit_id: pod.ids[step].clone(), received: at, started: false };
            self.plot.truth.consequence("c-pod", event);
        }
        self.plot.births.push(Birth { at: at + 30_000, pod, node: 2 });
    }

    /// What controllers do because of the new namespace and the new deployment.
    fn reactions(&mut self, ns: &str, app: &str, uid: &str) {
        self.tell(
            "c-controllers",
            "controllers fill the new namespace and carry out the deployment".to_string(),
        );
        let controller = self.world.controllers[10].clone();
        let deed = self.deed(34_420_000, 1, "c-controllers");
        self.plot.deeds.push(Deed {
            who: controller.username.clone(),
            user: controller.user.clone(),
            ips: controller.ips[1].clone(),
            agent: controller.agent.clone(),
            annotations: controller.annotations.clone(),
            uri: path("", ns, "serviceaccounts", ""),
            verb: "create",
            resource: "serviceaccounts",
            namespace: ns.to_string(),
            name: "default".to_string(),
            code: 201,
            with_bodies: true,
            request: b"{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"default\",\"creationTimestamp\":null}}".to_vec(),
            response: format!("{{\"kind\":\"ServiceAccount\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"default\",\"namespace\":\"{ns}\",\"resourceVersion\":\"9999999999\"}}}}").into_bytes(),
            ..deed
        });
        let controller = self.world.controllers[0].clone();
        let by_controller = |deed: Deed| Deed {
            who: controller.username.clone(),
            user: controller.user.clone(),
            ips: controller.ips[1].clone(),
            agent: controller.agent.clone(),
            annotations: controller.annotations.clone(),
            with_bodies: true,
            namespace: ns.to_string(),
            ..deed
        };
        let set = format!("{app}-{}", self.rng.hex(9));
        let deed = self.deed(40_522_000, 1, "c-controllers");
        let body = |more: &str| {
            format!("{{\"kind\":\"ReplicaSet\",\"apiVersion\":\"apps/v1\",\"metadata\":{{\"name\":\"{set}\",\"namespace\":\"{ns}\"{more},\"ownerReferences\":[{{\"apiVersion\":\"apps/v1\",\"kind\":\"Deployment\",\"name\":\"{app}\",\"uid\":\"{uid}\",\"controller\":true,\"blockOwnerDeletion\":true}}]}},\"spec\":{{\"replicas\":1,\"template\":{{\"spec\":{{\"containers\":[{{\"name\":\"main\",\"image\":\"alpine\",\"command\":[\"sleep\",\"infinity\"]}}]}}}}}},\"status\":{{\"replicas\":0}}}}").into_bytes()
        };
        let new = Deed {
            uri: path("apps", ns, "replicasets", ""),
            verb: "create",
            resource: "replicasets",
            group: "apps",
            name: set.clone(),
            code: 201,
            request: body(""),
            response: body(",\"resourceVersion\":\"9999999999\""),
            ..deed
        };
        self.plot.deeds.push(by_controller(new));
        let deed = self.deed(40_560_000, 1, "c-controllers");
        let status = super::ordinary::conflict_status("deployments", "apps", app);
        let mut request = Vec::new();
        bodies::deployment(&mut request, ns, app, uid, RV_NOW, "alpine", self.t0 + 38 * SECOND);
        let late = Deed {
            uri: format!("{}/status", path("apps", ns, "deployments", app)),
            verb: "update",
            resource: "deployments",
            group: "apps",
            sub: "status",
            name: app.to_string(),
            code: 409,
            request,
            response: failure(&status, 409).into_bytes(),
            status,
            ..deed
        };
        self.plot.deeds.push(by_controller(late));
        let mut pod = self.pod(ns, app, "default", 0, self.t0 + 40_600_000);
        (pod.image, pod.owner, pod.app) = ("alpine".to_string(), set, "main".to_string());
        pod.name = format!("{}-{}", pod.owner, self.rng.suffix(5));
        pod.command = "\"sleep\",\"infinity\"".to_string();
        for step in [9, 0, 1, 2, 3, 4, 5, 6] {
            let event = StepEvent {
                audit_id: pod.ids[step].clone(),
                received: pod.created,
                started: false,
            };
            self.plot.truth.consequence("c-controllers", event);
        }
        self.plot.births.push(Birth { at: pod.created, pod, node: 0 });
    }

    /// A person with the address and the agent of the outside use looks at the route of the
    /// probing pod shortly before each step: two readings fit, neither is proof.
    fn route_reads(&mut self, outsider: &super::world::Actor) {
        self.tell("h-route", format!("{} reads the route of the probing pod shortly before the steps, from the address and with the agent of the token's use outside", outsider.username));
        let (ns, app) = (self.names.probe_ns.clone(), self.names.probe_app.clone());
        for offset in [-700_000, 8_600_000, 17_700_000, 24_100_000, 33_200_000] {
            let deed = self.deed(offset, 1, "h-route");
            self.plot.deeds.push(Deed {
                who: outsider.username.clone(),
                user: outsider.user.clone(),
                ips: outsider.ips[0].clone(),
                agent: outsider.agent.clone(),
                annotations: outsider.annotations.clone(),
                uri: path("route.openshift.io", &ns, "routes", &app),
                verb: "get",
                resource: "routes",
                group: "route.openshift.io",
                namespace: ns.clone(),
                name: app.clone(),
                ..deed
            });
        }
    }

    /// The client tries a WebSocket (GET), which ends at once, and falls back to SPDY (POST).
    fn opens_a_shell(&mut self) {
        self.tell("5-exec", "a shell in the privileged pod: the GET ends at once, the POST lasts 2.8 seconds; four events, two requests, one session".to_string());
        let outsider = self.world.people[4].clone();
        let (ns, pod) = (self.names.new_ns.clone(), self.names.account.clone());
        let uri = format!(
            "{}/exec?command=%2Fbin%2Fsh\\u0026command=-c\\u0026command=TERM%3D%22xterm-256color%22+%2Fbin%2Fsh\\u0026container=1\\u0026stdin=true\\u0026stdout=true\\u0026tty=true",
            path("", &ns, "pods", &pod)
        );
        for (offset, verb, begun, ended) in
            [(55_483_000, "get", 37_539, 38_139), (55_790_000, "create", 41_201, 2_812_774)]
        {
            let deed = self.stolen(offset, 1, "5-exec", &outsider.ips[0], &outsider.agent);
            let first = Deed {
                started: true,
                uri: uri.clone(),
                verb,
                resource: "pods",
                sub: "exec",
                namespace: ns.clone(),
                name: pod.clone(),
                code: 101,
                with_bodies: verb == "create",
                took: begun,
                written: deed.at + begun,
                ..deed
            };
            let last =
                Deed { started: false, took: ended, written: first.at + ended, ..first.clone() };
            self.plot.deeds.extend([first, last]);
        }
    }

    /// After the probing pod is gone its address goes to one that has nothing to do with it.
    fn address_passes_on(&mut self, probe: &Pod, node: usize) {
        let app = self.names.innocent_app.clone();
        let at = self.t0 + 1_500 * SECOND;
        let mut pod = self.pod("parcels", &app, &app, node, at);
        pod.ip.clone_from(&probe.ip);
        pod.credential = format!("JTI={}", self.rng.uuid());
        let extra = bound_extra(&pod.credential, &self.world.nodes[node], &pod.name, &pod.uid);
        let user = account_user("parcels", &app, &self.rng.uuid(), &extra);
        let ips = views(&self.world.nodes, node, &pod.ip)[2].clone();
        self.tell(
            "i-innocent",
            format!(
                "the address {} belongs to parcels/{} now, which does its ordinary work",
                pod.ip, pod.name
            ),
        );
        for turn in 0..4 {
            let deed = self.deed(1_520 * SECOND + turn * 40 * SECOND, 2, "i-innocent");
            self.plot.deeds.push(Deed {
                who: format!("system:serviceaccount:parcels:{app}"),
                user: user.clone(),
                ips: ips.clone(),
                agent: format!("{app}/v1.4.0 (linux/amd64) kubernetes/$Format"),
                annotations: allowed(&format!("RBAC: allowed by RoleBinding \"{app}/parcels\" of Role \"{app}\" to ServiceAccount \"{app}/parcels\"")),
                uri: path("", "parcels", "configmaps", "printers"),
                verb: "get",
                resource: "configmaps",
                namespace: "parcels".to_string(),
                name: "printers".to_string(),
                ..deed
            });
        }
        self.plot.truth.innocent_pod = ("parcels".to_string(), pod.name.clone());
        self.plot.births.push(Birth { at, pod, node });
    }

    /// A client certificate that always came from the build farm suddenly comes from elsewhere.
    fn stolen_kubeconfig(&mut self) {
        let user = format!(
            "{{\"username\":\"build-robot\",\"groups\":[\"build-farm\",\"system:authenticated\"],\"extra\":{{\"authentication.kubernetes.io/credential-id\":[\"X509SHA256={}\"]}}}}",
            self.rng.hex(64)
        );
        let robot = Deed {
            who: "build-robot".to_string(),
            user,
            annotations: allowed(
                "RBAC: allowed by ClusterRoleBinding \"build-farm\" of ClusterRole \"edit\" to Group \"build-farm\"",
            ),
            ..Deed::default()
        };
        let usual = ("\"198.51.100.90\"", "kubectl/v1.33.2 (linux/amd64) kubernetes/a57b6f7");
        let other = ("\"203.0.113.200\"", "python-requests/2.32.3");
        self.tell("k1-elsewhere", "the build robot's certificate reads configmaps from an address and with an agent it never had".to_string());
        self.tell("k2-traces", "and deletes events".to_string());
        let reads: [(i64, &'static str, (&str, &str), &'static str, &'static str, &str, &str); 9] = [
            (-240, "", usual, "get", "deployments", "search-dev", "indexer"),
            (-60, "", usual, "get", "deployments", "search-dev", "indexer"),
            (400, "", usual, "list", "pods", "search-dev", ""),
            (640, "k1-elsewhere", other, "list", "configmaps", "", ""),
            (655, "k1-elsewhere", other, "get", "configmaps", "search-stage", "database"),
            (661, "k1-elsewhere", other, "get", "configmaps", "search-stage", "smtp-relay"),
            (690, "k2-traces", other, "deletecollection", "events", "search-stage", ""),
            (
                694,
                "k2-traces",
                other,
                "delete",
                "events",
                "search-dev",
                "indexer-0.18a3f2c4d5e6b7a8",
            ),
            (900, "", usual, "get", "deployments", "search-dev", "indexer"),
        ];
        for (seconds, step, (ips, agent), verb, resource, namespace, name) in reads {
            let deed = self.deed(seconds * SECOND, 0, step);
            let group = if resource == "deployments" { "apps" } else { "" };
            let delete = verb.starts_with("delete");
            self.plot.deeds.push(Deed {
                who: robot.who.clone(),
                user: robot.user.clone(),
                annotations: robot.annotations.clone(),
                ips: ips.to_string(),
                agent: agent.to_string(),
                uri: path(group, namespace, resource, name),
                verb,
                resource,
                group,
                namespace: namespace.to_string(),
                name: name.to_string(),
                with_bodies: delete,
                request: if delete { b"{\"kind\":\"DeleteOptions\",\"apiVersion\":\"v1\"}".to_vec() } else { Vec::new() },
                response: if delete { b"{\"kind\":\"Status\",\"apiVersion\":\"v1\",\"metadata\":{},\"status\":\"Success\"}".to_vec() } else { Vec::new() },
                ..deed
            });
        }
    }

    /// Sorts every deed into the truth.
    fn finish(mut self) -> Plot {
        for deed in &self.plot.deeds {
            let event = StepEvent {
                audit_id: deed.audit_id.clone(),
                received: deed.at,
                started: deed.started,
            };
            let truth = &mut self.plot.truth;
            match deed.step.as_bytes().first() {
                None => {}
                Some(b'c') => truth.consequence(deed.step, event),
                Some(b'h') => add(&mut truth.hypotheses, deed.step, event),
                Some(b'i') => add(&mut truth.innocent, deed.step, event),
                Some(b'k') => add(&mut truth.second, deed.step, event),
                _ => truth.add(deed.step, event),
            }
        }
        let truth = &mut self.plot.truth;
        let lists = [
            &mut truth.steps,
            &mut truth.consequences,
            &mut truth.hypotheses,
            &mut truth.innocent,
            &mut truth.second,
        ];
        for list in lists {
            list.sort_by(|a, b| a.step.cmp(&b.step));
            for step in list {
                if let Some((_, claim)) = self.claims.iter().find(|(name, _)| *name == step.step) {
                    step.claim.clone_from(claim);
                }
                step.events.sort_by_key(|event| event.received);
            }
        }
        self.plot
    }
}

fn add(list: &mut Vec<Step>, step: &str, event: StepEvent) {
    match list.iter_mut().find(|known| known.step == step) {
        Some(known) => known.events.push(event),
        None => {
            list.push(Step { step: step.to_string(), claim: String::new(), events: vec![event] });
        }
    }
}

impl Truth {
    fn add(&mut self, step: &str, event: StepEvent) {
        add(&mut self.steps, step, event);
    }

    fn consequence(&mut self, step: &str, event: StepEvent) {
        add(&mut self.consequences, step, event);
    }

    /// Corrects the time of an event that was noted before it was written.
    pub fn happened(&mut self, audit_id: &str, received: i64) {
        let lists = [&mut self.steps, &mut self.consequences, &mut self.innocent];
        for event in lists.into_iter().flatten().flat_map(|step| &mut step.events) {
            if event.audit_id == audit_id && !event.started {
                event.received = event.received.max(received);
            }
        }
    }
}

fn namespace_bodies(ns: &str, uid: &str) -> (Vec<u8>, Vec<u8>) {
    let labels = format!("\"labels\":{{\"kubernetes.io/metadata.name\":\"{ns}\"}}}}");
    let request = format!(
        "{{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"{ns}\",\"creationTimestamp\":null,{labels},\"spec\":{{}},\"status\":{{\"phase\":\"Active\"}}}}"
    );
    let response = format!(
        "{{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{{\"name\":\"{ns}\",\"uid\":\"{uid}\",\"resourceVersion\":\"9999999999\",{labels},\"spec\":{{\"finalizers\":[\"kubernetes\"]}},\"status\":{{\"phase\":\"Active\"}}}}"
    );
    (request.into_bytes(), response.into_bytes())
}
