//! The cluster the generated events come from: its nodes, its identities and what they touch.
//!
//! Component names are OpenShift's own; people, applications and addresses are invented (the
//! outside ones from RFC 5737).

use super::line::allowed;
use super::rng::Rng;

/// How many of the nodes are masters, each with an API server.
pub const MASTERS: usize = 3;

/// One machine.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its UID.
    pub uid: String,
    /// Its own address.
    pub ip: String,
    /// The `user` object of its kubelet.
    pub kubelet: String,
    /// The `user` object of its multus daemon.
    pub multus: String,
    /// Number of the next pod address.
    next_ip: u64,
    /// Which /23 of the pod network is its own.
    subnet: u64,
}

impl Node {
    /// Returns a pod address of this node's subnet that was not given out for long.
    pub fn new_address(&mut self) -> String {
        self.next_ip = if self.next_ip > 500 { 20 } else { self.next_ip + 1 };
        self.address(self.next_ip)
    }

    /// Returns the `host`th address of the subnet.
    pub fn address(&self, host: u64) -> String {
        format!("10.132.{}.{}", self.subnet * 2 + host / 256, host % 256)
    }
}

/// Something an identity reads again and again.
#[derive(Clone, Debug)]
pub struct Object {
    /// Plural name.
    pub resource: &'static str,
    /// API group.
    pub group: &'static str,
    /// Namespace, empty where there is none.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Path of the object.
    pub uri: String,
    /// Path of its collection.
    pub list_uri: String,
}

/// One identity that sends requests.
#[derive(Clone, Debug)]
pub struct Actor {
    /// `user.username`.
    pub username: String,
    /// The whole `user` object.
    pub user: String,
    /// The sourceIPs seen by each master.
    pub ips: [String; MASTERS],
    /// User agent.
    pub agent: String,
    /// Members of `annotations` when allowed.
    pub annotations: String,
    /// Its namespace.
    pub namespace: String,
    /// What it reads and writes.
    pub objects: Vec<Object>,
    /// Its leader election lease.
    pub lease: Object,
    /// Service account name, UID, pod name, pod UID, node; for rotating the token.
    pub pod: Option<Bound>,
}

/// The pod a service account token is bound to.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Service account.
    pub account: String,
    /// Its UID.
    pub account_uid: String,
    /// Pod name.
    pub pod: String,
    /// Pod UID.
    pub pod_uid: String,
    /// Index of the node.
    pub node: usize,
    /// How much the token tells of its pod.
    pub told: Told,
}

/// What `user.extra` holds: Kubernetes before 1.30 puts neither credential id nor node there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// Credential id, pod and node.
    All,
    /// The pod alone.
    Pod,
    /// Nothing.
    Nothing,
}

/// The cluster.
#[derive(Clone, Debug)]
pub struct World {
    /// Masters first.
    pub nodes: Vec<Node>,
    /// Operators and other platform pods.
    pub operators: Vec<Actor>,
    /// Controllers inside kube-controller-manager.
    pub controllers: Vec<Actor>,
    /// Service accounts of applications.
    pub apps: Vec<Actor>,
    /// People.
    pub people: Vec<Actor>,
    /// kube-scheduler, kube-controller-manager, kube-apiserver.
    pub scheduler: Actor,
    /// See `scheduler`.
    pub manager: Actor,
    /// See `scheduler`.
    pub apiserver: Actor,
    /// The one whose requests are mostly forbidden.
    pub denied: Actor,
    /// Application namespaces.
    pub namespaces: Vec<String>,
}

/// The user whose requests are mostly answered with 403.
pub const DENIED_USER: &str = "system:serviceaccount:night-batch:report-runner";
/// The pod address of [`DENIED_USER`], seen only by its own master.
pub const DENIED_HOST: u64 = 11;

const OPERATORS: [&str; 40] = [
    "authentication-operator",
    "cluster-image-registry-operator",
    "cluster-samples-operator",
    "cluster-storage-operator",
    "config-operator",
    "console-operator",
    "controller-manager-operator",
    "dns-operator",
    "etcd-operator",
    "image-registry",
    "ingress-operator",
    "insights-operator",
    "kube-apiserver-operator",
    "kube-controller-manager-operator",
    "kube-scheduler-operator",
    "kube-storage-version-migrator",
    "machine-api-operator",
    "machine-config-operator",
    "marketplace-operator",
    "cluster-monitoring-operator",
    "multus-admission-controller",
    "network-operator",
    "node-tuning-operator",
    "oauth-apiserver-sa",
    "olm-operator",
    "openshift-apiserver-sa",
    "openshift-apiserver-operator",
    "ovn-kubernetes-control-plane",
    "prometheus-k8s",
    "prometheus-operator",
    "route-controller-manager",
    "router",
    "service-ca",
    "service-ca-operator",
    "snapshot-controller",
    "thanos-querier",
    "cluster-version-operator",
    "cloud-credential-operator",
    "csi-driver-controller",
    "catalog-operator",
];

const KINDS: [(&str, &str, bool); 20] = [
    ("configmaps", "", true),
    ("secrets", "", true),
    ("pods", "", true),
    ("serviceaccounts", "", true),
    ("services", "", true),
    ("endpoints", "", true),
    ("namespaces", "", false),
    ("nodes", "", false),
    ("deployments", "apps", true),
    ("daemonsets", "apps", true),
    ("roles", "rbac.authorization.k8s.io", true),
    ("rolebindings", "rbac.authorization.k8s.io", true),
    ("clusterroles", "rbac.authorization.k8s.io", false),
    ("clusterrolebindings", "rbac.authorization.k8s.io", false),
    ("customresourcedefinitions", "apiextensions.k8s.io", false),
    ("clusteroperators", "config.openshift.io", false),
    ("servicemonitors", "monitoring.coreos.com", true),
    ("routes", "route.openshift.io", true),
    ("networkpolicies", "networking.k8s.io", true),
    ("poddisruptionbudgets", "policy", true),
];

/// What access reviews ask about; leases are not among them, so that the number of events that
/// speak of leases is known.
pub const KINDS_REVIEWED: [(&str, &str); 6] = [
    ("routes", "route.openshift.io"),
    ("configmaps", ""),
    ("pods", ""),
    ("services", ""),
    ("imagestreams", "image.openshift.io"),
    ("deployments", "apps"),
];

const STEMS: [&str; 24] = [
    "serving-cert",
    "trusted-ca-bundle",
    "client-ca",
    "etcd-serving-ca",
    "config",
    "metrics",
    "service-ca",
    "kube-root-ca",
    "audit",
    "loadbalancer-serving",
    "aggregator-client",
    "session",
    "webhook",
    "feature-gates",
    "proxy",
    "oauth-config",
    "image-import",
    "bootstrap",
    "recovery",
    "revision-status",
    "alert-rules",
    "grafana",
    "cloud-conf",
    "internal-api",
];

/// Returns the path of an object, or of a collection where `name` is empty.
pub fn path(group: &str, namespace: &str, resource: &str, name: &str) -> String {
    let mut uri =
        if group.is_empty() { "/api/v1".to_string() } else { format!("/apis/{group}/v1") };
    if !namespace.is_empty() {
        uri.push_str("/namespaces/");
        uri.push_str(namespace);
    }
    uri.push('/');
    uri.push_str(resource);
    if !name.is_empty() {
        uri.push('/');
        uri.push_str(name);
    }
    uri
}

/// Returns an object with its paths.
pub fn object(
    rng: &mut Rng,
    resource: &'static str,
    group: &'static str,
    namespace: &str,
    name: &str,
) -> Object {
    Object {
        resource,
        group,
        namespace: namespace.to_string(),
        name: name.to_string(),
        uid: rng.uuid(),
        uri: path(group, namespace, resource, name),
        list_uri: path(group, namespace, resource, ""),
    }
}

/// Returns the `user` object of a service account; `extra` is the members of `user.extra`.
pub fn account_user(namespace: &str, name: &str, uid: &str, extra: &str) -> String {
    format!(
        "{{\"username\":\"system:serviceaccount:{namespace}:{name}\",\"uid\":\"{uid}\",\"groups\":[\"system:serviceaccounts\",\"system:serviceaccounts:{namespace}\",\"system:authenticated\"]{}}}",
        if extra.is_empty() { String::new() } else { format!(",\"extra\":{{{extra}}}") }
    )
}

/// Returns the members of `user.extra` of a token bound to a pod.
pub fn bound_extra(credential: &str, node: &Node, pod: &str, pod_uid: &str) -> String {
    format!(
        "\"authentication.kubernetes.io/credential-id\":[\"{credential}\"],\"authentication.kubernetes.io/node-name\":[\"{}\"],\"authentication.kubernetes.io/node-uid\":[\"{}\"],\"authentication.kubernetes.io/pod-name\":[\"{pod}\"],\"authentication.kubernetes.io/pod-uid\":[\"{pod_uid}\"]",
        node.name, node.uid
    )
}

fn certificate_user(rng: &mut Rng, username: &str, group: &str) -> String {
    let more = if group.is_empty() { String::new() } else { format!("\"{group}\",") };
    format!(
        "{{\"username\":\"{username}\",\"groups\":[{more}\"system:authenticated\"],\"extra\":{{\"authentication.kubernetes.io/credential-id\":[\"X509SHA256={}\"]}}}}",
        rng.hex(64)
    )
}

fn new_node(rng: &mut Rng, index: usize) -> Node {
    let name =
        if index < MASTERS { format!("cp-{index}") } else { format!("wk-{}", index - MASTERS) };
    Node {
        kubelet: certificate_user(rng, &format!("system:node:{name}"), "system:nodes"),
        multus: certificate_user(rng, &format!("system:multus:{name}"), "system:multus"),
        uid: rng.uuid(),
        ip: format!("10.40.7.{}", 10 + index),
        name,
        next_ip: 20,
        subnet: 2 * index as u64,
    }
}

/// Returns the three views of a pod's address: itself on its own node's server, else its node's.
pub fn views(nodes: &[Node], node: usize, address: &str) -> [String; MASTERS] {
    std::array::from_fn(|server| {
        format!("\"{}\"", if server == node { address } else { &nodes[node].ip })
    })
}

fn same(ip: &str) -> [String; MASTERS] {
    std::array::from_fn(|_| format!("\"{ip}\""))
}

fn told_extra(told: Told, credential: &str, node: &Node, pod: &str, pod_uid: &str) -> String {
    match told {
        Told::All => bound_extra(credential, node, pod, pod_uid),
        Told::Pod => format!(
            "\"authentication.kubernetes.io/pod-name\":[\"{pod}\"],\"authentication.kubernetes.io/pod-uid\":[\"{pod_uid}\"]"
        ),
        Told::Nothing => String::new(),
    }
}

fn pod_actor(
    rng: &mut Rng,
    nodes: &mut [Node],
    account: &str,
    namespace: &str,
    node: usize,
    told: Told,
) -> Actor {
    let stem = account.trim_end_matches("-sa");
    let account_uid = rng.uuid();
    let (pod, pod_uid) = (format!("{stem}-{}-{}", rng.hex(9), rng.suffix(5)), rng.uuid());
    let credential = format!("JTI={}", rng.uuid());
    let extra = told_extra(told, &credential, &nodes[node], &pod, &pod_uid);
    let address = nodes[node].new_address();
    let mut objects = Vec::new();
    for _ in 0..rng.between(8, 20) {
        let (resource, group, namespaced) = *rng.pick(&KINDS);
        let place = if !namespaced { "" } else { namespace };
        let name = format!("{}-{}", rng.pick(&STEMS), rng.suffix(5));
        objects.push(object(rng, resource, group, place, &name));
    }
    let lease = object(rng, "leases", "coordination.k8s.io", namespace, &format!("{stem}-lock"));
    Actor {
        username: format!("system:serviceaccount:{namespace}:{account}"),
        user: account_user(namespace, account, &account_uid, &extra),
        ips: views(nodes, node, &address),
        agent: format!("{stem}/v0.0.0 (linux/amd64) kubernetes/$Format"),
        annotations: allowed(&format!(
            "RBAC: allowed by ClusterRoleBinding \"{stem}\" of ClusterRole \"{stem}\" to ServiceAccount \"{account}/{namespace}\""
        )),
        namespace: namespace.to_string(),
        objects,
        lease,
        pod: Some(Bound { account: account.to_string(), account_uid, pod, pod_uid, node, told }),
    }
}

fn controller(rng: &mut Rng, name: &str, nodes: &[Node]) -> Actor {
    let extra = format!("\"authentication.kubernetes.io/credential-id\":[\"JTI={}\"]", rng.uuid());
    Actor {
        username: format!("system:serviceaccount:kube-system:{name}"),
        user: account_user("kube-system", name, &rng.uuid(), &extra),
        ips: same(&nodes[1].ip),
        agent: format!(
            "kube-controller-manager/v1.33.5 (linux/amd64) kubernetes/27f72e0/system:serviceaccount:kube-system:{name}"
        ),
        annotations: allowed(&format!(
            "RBAC: allowed by ClusterRoleBinding \"system:controller:{name}\" of ClusterRole \"system:controller:{name}\" to ServiceAccount \"{name}/kube-system\""
        )),
        namespace: "kube-system".to_string(),
        objects: Vec::new(),
        lease: object(rng, "leases", "coordination.k8s.io", "kube-system", name),
        pod: None,
    }
}

fn component(rng: &mut Rng, username: &str, user: String, agent: &str, ip: &str) -> Actor {
    let reason = if username == "system:apiserver" {
        String::new()
    } else {
        format!(
            "RBAC: allowed by ClusterRoleBinding \"{username}\" of ClusterRole \"{username}\" to User \"{username}\""
        )
    };
    let stem = username.trim_start_matches("system:").to_string();
    Actor {
        username: username.to_string(),
        user,
        ips: same(ip),
        agent: agent.to_string(),
        annotations: allowed(&reason),
        namespace: "kube-system".to_string(),
        objects: Vec::new(),
        lease: object(rng, "leases", "coordination.k8s.io", "kube-system", &stem),
        pod: None,
    }
}

fn person(rng: &mut Rng, name: &str, ip: &str, agent: &str) -> Actor {
    let user = format!(
        "{{\"username\":\"{name}\",\"uid\":\"{}\",\"groups\":[\"system:authenticated:oauth\",\"system:authenticated\"],\"extra\":{{\"scopes.authorization.openshift.io\":[\"user:full\"]}}}}",
        rng.uuid()
    );
    let mut actor = component(rng, name, user, agent, ip);
    actor.annotations = allowed(&format!(
        "RBAC: allowed by ClusterRoleBinding \"platform-crew\" of ClusterRole \"cluster-admin\" to User \"{name}\""
    ));
    actor
}

impl World {
    /// Returns the cluster that a seed stands for.
    pub fn new(rng: &mut Rng) -> World {
        let mut nodes: Vec<Node> = (0..24).map(|index| new_node(rng, index)).collect();
        let namespaces: Vec<String> = ["storefront", "ledger", "night-batch", "parcels", "search"]
            .iter()
            .flat_map(|stem| ["", "-dev", "-test", "-stage"].map(|tail| format!("{stem}{tail}")))
            .collect();
        let operators = OPERATORS
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let told = [Told::All, Told::Pod, Told::All, Told::Nothing][index % 4];
                let node = rng.below(MASTERS as u64) as usize;
                let stem = name.trim_end_matches("-sa").trim_end_matches("-operator");
                pod_actor(rng, &mut nodes, name, &format!("openshift-{stem}"), node, told)
            })
            .collect();
        let apps = (0..1_500)
            .map(|index| {
                let namespace = namespaces[index % namespaces.len()].clone();
                let name =
                    format!("{}-{}", rng.pick(&["cart", "quote", "mail", "stock", "route"]), index);
                let node = rng.below(nodes.len() as u64) as usize;
                pod_actor(
                    rng,
                    &mut nodes,
                    &name,
                    &namespace,
                    node,
                    [Told::Pod, Told::All, Told::Nothing][index % 3],
                )
            })
            .collect();
        let controllers = [
            "deployment-controller",
            "replicaset-controller",
            "endpoint-controller",
            "endpointslice-controller",
            "job-controller",
            "cronjob-controller",
            "horizontal-pod-autoscaler",
            "namespace-controller",
            "generic-garbage-collector",
            "resourcequota-controller",
            "service-account-controller",
            "statefulset-controller",
        ]
        .iter()
        .map(|name| controller(rng, name, &nodes))
        .collect();
        let oc = "oc/4.20.0 (linux/amd64) kubernetes/7f1d6f8";
        let people = [
            ("mira.holt", "198.51.100.23", oc),
            ("jonas.weber", "198.51.100.23", "kubectl/v1.33.2 (darwin/arm64) kubernetes/a57b6f7"),
            ("priya.nair", "198.51.100.77", oc),
            (
                "sre-oncall",
                "203.0.113.9",
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            ("tomas.lindqvist", "198.51.100.78", oc),
        ]
        .iter()
        .map(|(name, ip, agent)| person(rng, name, ip, agent))
        .collect();
        let mut denied = pod_actor(rng, &mut nodes, "report-runner", "night-batch", 2, Told::All);
        denied.ips = views(&nodes, 2, &nodes[2].address(DENIED_HOST));
        denied.annotations = super::line::FORBIDDEN.to_string();
        let core = "(linux/amd64) kubernetes/27f72e0";
        let user = certificate_user(rng, "system:kube-scheduler", "");
        let agent = format!("kube-scheduler/v1.33.5 {core}/scheduler");
        let scheduler = component(rng, "system:kube-scheduler", user, &agent, &nodes[0].ip);
        let user = certificate_user(rng, "system:kube-controller-manager", "");
        let agent = format!("kube-controller-manager/v1.33.5 {core}/leader-election");
        let manager = component(rng, "system:kube-controller-manager", user, &agent, &nodes[1].ip);
        let user = format!(
            "{{\"username\":\"system:apiserver\",\"uid\":\"{}\",\"groups\":[\"system:authenticated\",\"system:masters\"]}}",
            rng.uuid()
        );
        let agent = format!("kube-apiserver/v1.33.5 {core}");
        let apiserver = component(rng, "system:apiserver", user, &agent, "::1");
        World {
            nodes,
            operators,
            controllers,
            apps,
            people,
            scheduler,
            manager,
            apiserver,
            denied,
            namespaces,
        }
    }

    /// Gives a pod's identity a new token, as its kubelet does about once an hour.
    pub fn rotate(nodes: &[Node], actor: &mut Actor, credential: &str) {
        if let Some(bound) = &actor.pod {
            let node = &nodes[bound.node];
            let extra = told_extra(bound.told, credential, node, &bound.pod, &bound.pod_uid);
            actor.user = account_user(&actor.namespace, &bound.account, &bound.account_uid, &extra);
        }
    }
}
