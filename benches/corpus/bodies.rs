//! Request and response bodies of the objects that clusters write all day.

use super::line::Micros;
use super::line::Put;
use super::line::Seconds;
use super::line::put;

/// Lease as written by client-go leader election.
pub fn lease(out: &mut Vec<u8>, ns: &str, name: &str, uid: &str, rv: u64, holder: &str, at: i64) {
    put!(
        out,
        "{\"kind\":\"Lease\",\"apiVersion\":\"coordination.k8s.io/v1\",\"metadata\":{\"name\":\""
    );
    put!(out, name, "\",\"namespace\":\"", ns, "\",\"uid\":\"", uid);
    put!(
        out,
        "\",\"resourceVersion\":\"",
        &rv,
        "\",\"creationTimestamp\":\"2025-03-02T06:07:03Z\"}"
    );
    put!(out, ",\"spec\":{\"holderIdentity\":\"", holder, "\",\"leaseDurationSeconds\":137");
    put!(out, ",\"renewTime\":\"", &Micros(at), "\",\"leaseTransitions\":11}}");
}

/// A SubjectAccessReview, with its answer where `allowed` says one; `asker` is the reviewed user.
pub fn access_review(
    out: &mut Vec<u8>,
    asker: &str,
    asker_ns: &str,
    extra: &str,
    (verb, group, resource, namespace): (&str, &str, &str, &str),
    answer: Option<(bool, &str)>,
) {
    put!(
        out,
        "{\"kind\":\"SubjectAccessReview\",\"apiVersion\":\"authorization.k8s.io/v1\",\"metadata\":{\"creationTimestamp\":null},\"spec\":{\"resourceAttributes\":{\"namespace\":\""
    );
    put!(out, namespace, "\",\"verb\":\"", verb, "\",\"group\":\"", group);
    put!(out, "\",\"version\":\"v1\",\"resource\":\"", resource, "\"},\"user\":\"", asker);
    put!(out, "\",\"groups\":[\"system:serviceaccounts\",\"system:serviceaccounts:", asker_ns);
    put!(out, "\",\"system:authenticated\"]", extra, "},\"status\":{\"allowed\":");
    match answer {
        Some((true, reason)) => put!(out, "true,\"reason\":\"", reason, "\"}}"),
        _ => put!(out, "false}}"),
    }
}

/// A core Event about an object.
pub struct Happening<'a> {
    /// Kind of the object.
    pub kind: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its UID.
    pub uid: &'a str,
    /// Name of the event itself.
    pub event: &'a str,
    /// UID of the event, empty in the request.
    pub event_uid: &'a str,
    /// Its resource version, 0 in the request.
    pub rv: u64,
    /// CamelCase reason.
    pub reason: &'a str,
    /// Escaped message.
    pub message: &'a str,
    /// Who says so.
    pub component: &'a str,
    /// On which node.
    pub host: &'a str,
    /// When.
    pub at: i64,
}

impl Happening<'_> {
    /// Appends the event's JSON.
    pub fn put(&self, out: &mut Vec<u8>) {
        put!(
            out,
            "{\"kind\":\"Event\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"",
            self.event
        );
        put!(out, "\",\"namespace\":\"", self.namespace, "\"");
        if self.event_uid.is_empty() {
            put!(out, ",\"creationTimestamp\":null}");
        } else {
            put!(out, ",\"uid\":\"", self.event_uid, "\",\"resourceVersion\":\"", &self.rv);
            put!(out, "\",\"creationTimestamp\":\"", &Seconds(self.at), "\"}");
        }
        put!(out, ",\"involvedObject\":{\"kind\":\"", self.kind, "\",\"namespace\":\"");
        put!(out, self.namespace, "\",\"name\":\"", self.name, "\",\"uid\":\"", self.uid);
        put!(out, "\",\"apiVersion\":\"v1\"},\"reason\":\"", self.reason, "\",\"message\":\"");
        put!(out, self.message, "\",\"source\":{\"component\":\"", self.component, "\"");
        if !self.host.is_empty() {
            put!(out, ",\"host\":\"", self.host, "\"");
        }
        put!(out, "},\"firstTimestamp\":\"", &Seconds(self.at), "\",\"lastTimestamp\":\"");
        put!(out, &Seconds(self.at), "\",\"count\":1,\"type\":\"Normal\",\"eventTime\":null");
        put!(out, ",\"reportingComponent\":\"", self.component, "\",\"reportingInstance\":\"");
        put!(out, self.host, "\"}");
    }
}

/// How far a pod has come when it is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Grown {
    /// The request that creates it.
    Asked,
    /// The answer to that request.
    Created,
    /// On its node, with the network annotations.
    Networked,
    /// Running, with addresses in its status.
    Running,
}

/// A pod.
#[derive(Clone, Debug, Default)]
pub struct Pod {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID.
    pub uid: String,
    /// Name of the ReplicaSet that made it; empty for a bare pod.
    pub owner: String,
    /// UID of that ReplicaSet.
    pub owner_uid: String,
    /// Value of its `app` label.
    pub app: String,
    /// Service account.
    pub account: String,
    /// Image.
    pub image: String,
    /// The elements of `command`, quoted, with commas; empty for none.
    pub command: String,
    /// `hostPID`.
    pub host_pid: bool,
    /// `securityContext.privileged`.
    pub privileged: bool,
    /// Chosen security context constraint.
    pub scc: String,
    /// Node name, empty until bound.
    pub node: String,
    /// Node address.
    pub host_ip: String,
    /// Pod address.
    pub ip: String,
    /// Container id, 64 hexadecimal digits.
    pub container: String,
    /// Image digest, 64 hexadecimal digits.
    pub digest: String,
    /// Creation.
    pub created: i64,
    /// Audit ids of the steps of `life` (0 to 8) and of its creation (9); empty for fresh ones.
    pub ids: Vec<String>,
    /// Credential id of its token; empty for a fresh one.
    pub credential: String,
    /// Seconds from its creation until it is deleted; 0 for some random time.
    pub lives: i64,
    /// Whether its creation is written by somebody else.
    pub bare: bool,
}

impl Pod {
    /// Appends the pod's JSON as it stood at a resource version.
    pub fn put(&self, out: &mut Vec<u8>, grown: Grown, rv: u64) {
        put!(out, "{\"kind\":\"Pod\",\"apiVersion\":\"v1\",\"metadata\":{");
        let bare = self.owner.is_empty();
        if grown > Grown::Asked || bare {
            put!(out, "\"name\":\"", &self.name, "\",");
        }
        if !bare {
            put!(out, "\"generateName\":\"", &self.owner, "-\",");
        }
        if grown > Grown::Asked {
            put!(out, "\"namespace\":\"", &self.namespace, "\",\"uid\":\"", &self.uid);
            put!(out, "\",\"resourceVersion\":\"", &rv, "\",\"generation\":1");
            put!(out, ",\"creationTimestamp\":\"", &Seconds(self.created), "\"");
        } else {
            if bare {
                put!(out, "\"namespace\":\"", &self.namespace, "\",");
            }
            put!(out, "\"creationTimestamp\":null");
        }
        self.put_labels(out, grown);
        self.put_spec(out, grown);
        self.put_status(out, grown);
        out.push(b'}');
    }

    fn put_labels(&self, out: &mut Vec<u8>, grown: Grown) {
        put!(out, ",\"labels\":{\"app\":\"", &self.app, "\"}");
        if grown > Grown::Asked {
            put!(out, ",\"annotations\":{");
            if grown > Grown::Created {
                self.put_networks(out);
            }
            put!(
                out,
                "\"openshift.io/scc\":\"",
                &self.scc,
                "\",\"seccomp.security.alpha.kubernetes.io/pod\":\"runtime/default\"}"
            );
        }
        if !self.owner.is_empty() {
            put!(
                out,
                ",\"ownerReferences\":[{\"apiVersion\":\"apps/v1\",\"kind\":\"ReplicaSet\",\"name\":\""
            );
            put!(out, &self.owner, "\",\"uid\":\"", &self.owner_uid);
            put!(out, "\",\"controller\":true,\"blockOwnerDeletion\":true}]");
        }
        out.push(b'}');
    }

    /// Both annotations are JSON inside a JSON string (formats.md 2.4).
    fn put_networks(&self, out: &mut Vec<u8>) {
        let octets: Vec<u8> = self.ip.split('.').filter_map(|o| o.parse().ok()).collect();
        let mac = match *octets {
            [a, b, c, d] => format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}"),
            _ => String::new(),
        };
        let gateway = match *octets {
            [a, b, c, _] => format!("{a}.{b}.{}.1", c & !1),
            _ => String::new(),
        };
        put!(
            out,
            "\"k8s.ovn.org/pod-networks\":\"{\\\"default\\\":{\\\"ip_addresses\\\":[\\\"",
            &self.ip
        );
        put!(
            out,
            "/23\\\"],\\\"mac_address\\\":\\\"",
            &mac,
            "\\\",\\\"gateway_ips\\\":[\\\"",
            &gateway
        );
        put!(
            out,
            "\\\"],\\\"routes\\\":[{\\\"dest\\\":\\\"10.132.0.0/14\\\",\\\"nextHop\\\":\\\"",
            &gateway
        );
        put!(out, "\\\"},{\\\"dest\\\":\\\"172.31.0.0/16\\\",\\\"nextHop\\\":\\\"", &gateway);
        put!(
            out,
            "\\\"}],\\\"ip_address\\\":\\\"",
            &self.ip,
            "/23\\\",\\\"gateway_ip\\\":\\\"",
            &gateway
        );
        put!(
            out,
            "\\\",\\\"role\\\":\\\"primary\\\"}}\",\"k8s.v1.cni.cncf.io/network-status\":\"[{\\n    \\\"name\\\": \\\"ovn-kubernetes\\\",\\n    \\\"interface\\\": \\\"eth0\\\",\\n    \\\"ips\\\": [\\n        \\\""
        );
        put!(out, &self.ip, "\\\"\\n    ],\\n    \\\"mac\\\": \\\"", &mac);
        put!(out, "\\\",\\n    \\\"default\\\": true,\\n    \\\"dns\\\": {}\\n}]\",");
    }

    fn put_spec(&self, out: &mut Vec<u8>, grown: Grown) {
        put!(
            out,
            ",\"spec\":{\"containers\":[{\"name\":\"",
            &self.app,
            "\",\"image\":\"",
            &self.image,
            "\""
        );
        if !self.command.is_empty() {
            put!(out, ",\"command\":[", &self.command, "]");
        }
        put!(
            out,
            ",\"resources\":{\"limits\":{\"cpu\":\"500m\",\"memory\":\"128Mi\"}},\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"IfNotPresent\",\"securityContext\":{"
        );
        if self.privileged {
            put!(out, "\"privileged\":true");
        } else {
            put!(
                out,
                "\"capabilities\":{\"drop\":[\"ALL\"]},\"runAsNonRoot\":true,\"allowPrivilegeEscalation\":false"
            );
        }
        put!(out, "}}],\"restartPolicy\":\"");
        put!(out, if self.owner.is_empty() { "Never" } else { "Always" });
        put!(
            out,
            "\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"serviceAccountName\":\""
        );
        put!(out, &self.account, "\",\"serviceAccount\":\"", &self.account, "\"");
        if grown > Grown::Created
            || (self.owner.is_empty() && self.host_pid && !self.node.is_empty())
        {
            put!(out, ",\"nodeName\":\"", &self.node, "\"");
        }
        if self.host_pid {
            put!(out, ",\"hostPID\":true");
        }
        put!(
            out,
            ",\"securityContext\":{},\"schedulerName\":\"default-scheduler\",\"enableServiceLinks\":true}"
        );
    }

    fn put_status(&self, out: &mut Vec<u8>, grown: Grown) {
        match grown {
            Grown::Asked => put!(out, ",\"status\":{}"),
            Grown::Created => {
                put!(out, ",\"status\":{\"phase\":\"Pending\",\"qosClass\":\"Burstable\"}");
            }
            Grown::Networked => {
                put!(
                    out,
                    ",\"status\":{\"phase\":\"Pending\",\"conditions\":[{\"type\":\"PodScheduled\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\""
                );
                put!(out, &Seconds(self.created), "\"}],\"hostIP\":\"", &self.host_ip);
                put!(
                    out,
                    "\",\"hostIPs\":[{\"ip\":\"",
                    &self.host_ip,
                    "\"}],\"qosClass\":\"Burstable\"}"
                );
            }
            Grown::Running => {
                put!(out, ",\"status\":");
                self.put_running(out, true);
            }
        }
    }

    /// Appends the status the kubelet reports; its patch is `whole == false` plus the UID.
    pub fn put_running(&self, out: &mut Vec<u8>, whole: bool) {
        put!(
            out,
            "{\"phase\":\"Running\",\"conditions\":[{\"type\":\"Ready\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\""
        );
        put!(
            out,
            &Seconds(self.created + 3_000_000),
            "\"},{\"type\":\"ContainersReady\",\"status\":\"True\",\"lastProbeTime\":null,\"lastTransitionTime\":\""
        );
        put!(
            out,
            &Seconds(self.created + 3_000_000),
            "\"}],\"hostIP\":\"",
            &self.host_ip,
            "\",\"hostIPs\":[{\"ip\":\""
        );
        put!(
            out,
            &self.host_ip,
            "\"}],\"podIP\":\"",
            &self.ip,
            "\",\"podIPs\":[{\"ip\":\"",
            &self.ip
        );
        put!(
            out,
            "\"}],\"startTime\":\"",
            &Seconds(self.created),
            "\",\"containerStatuses\":[{\"name\":\""
        );
        put!(
            out,
            &self.app,
            "\",\"state\":{\"running\":{\"startedAt\":\"",
            &Seconds(self.created + 2_000_000)
        );
        put!(
            out,
            "\"}},\"lastState\":{},\"ready\":true,\"restartCount\":0,\"image\":\"",
            &self.image
        );
        put!(
            out,
            "\",\"imageID\":\"",
            self.image.split(':').next().unwrap_or(""),
            "@sha256:",
            &self.digest
        );
        put!(out, "\",\"containerID\":\"cri-o://", &self.container, "\",\"started\":true}]");
        if whole {
            put!(out, ",\"qosClass\":\"Burstable\"");
        }
        out.push(b'}');
    }

    /// Appends the kubelet's strategic merge patch of the status.
    pub fn put_status_patch(&self, out: &mut Vec<u8>) {
        put!(out, "{\"metadata\":{\"uid\":\"", &self.uid, "\"},\"status\":");
        self.put_running(out, false);
        out.push(b'}');
    }
}

/// A ConfigMap; `data` is the members of `data`.
pub fn config_map(out: &mut Vec<u8>, ns: &str, name: &str, uid: &str, rv: u64, data: &str) {
    put!(out, "{\"kind\":\"ConfigMap\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"", name);
    put!(out, "\",\"namespace\":\"", ns, "\"");
    if !uid.is_empty() {
        put!(out, ",\"uid\":\"", uid, "\",\"resourceVersion\":\"", &rv);
        put!(out, "\",\"creationTimestamp\":\"2025-03-02T06:12:41Z\"");
    }
    put!(out, "},\"data\":{", data, "}}");
}

/// An Endpoints object with one address.
pub fn endpoints(
    out: &mut Vec<u8>,
    ns: &str,
    name: &str,
    uid: &str,
    rv: u64,
    (ip, node, pod): (&str, &str, &str),
    at: i64,
) {
    put!(out, "{\"kind\":\"Endpoints\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"", name);
    put!(out, "\",\"namespace\":\"", ns, "\",\"uid\":\"", uid, "\",\"resourceVersion\":\"", &rv);
    put!(
        out,
        "\",\"creationTimestamp\":\"2025-03-02T06:09:13Z\",\"annotations\":{\"endpoints.kubernetes.io/last-change-trigger-time\":\""
    );
    put!(
        out,
        &Seconds(at),
        "\"}},\"subsets\":[{\"addresses\":[{\"ip\":\"",
        ip,
        "\",\"nodeName\":\"",
        node
    );
    put!(out, "\",\"targetRef\":{\"kind\":\"Pod\",\"namespace\":\"", ns, "\",\"name\":\"", pod);
    put!(out, "\"}}],\"ports\":[{\"name\":\"http\",\"port\":8080,\"protocol\":\"TCP\"}]}]}");
}

/// The heartbeat patch of a node's status.
pub fn node_patch(out: &mut Vec<u8>, at: i64) {
    put!(
        out,
        "{\"status\":{\"$setElementOrder/conditions\":[{\"type\":\"MemoryPressure\"},{\"type\":\"DiskPressure\"},{\"type\":\"PIDPressure\"},{\"type\":\"Ready\"}],\"conditions\":["
    );
    for (index, kind) in
        ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].iter().enumerate()
    {
        put!(
            out,
            if index == 0 { "" } else { "," },
            "{\"lastHeartbeatTime\":\"",
            &Seconds(at),
            "\",\"type\":\"",
            *kind,
            "\"}"
        );
    }
    put!(out, "]}}");
}

/// A Node with its conditions and images.
pub fn node(out: &mut Vec<u8>, name: &str, uid: &str, rv: u64, ip: &str, at: i64) {
    put!(
        out,
        "{\"kind\":\"Node\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"",
        name,
        "\",\"uid\":\"",
        uid
    );
    put!(
        out,
        "\",\"resourceVersion\":\"",
        &rv,
        "\",\"creationTimestamp\":\"2025-02-26T06:20:01Z\",\"labels\":{\"beta.kubernetes.io/arch\":\"amd64\",\"beta.kubernetes.io/os\":\"linux\",\"kubernetes.io/hostname\":\""
    );
    put!(
        out,
        name,
        "\",\"node.openshift.io/os_id\":\"rhcos\"},\"annotations\":{\"k8s.ovn.org/node-primary-ifaddr\":\"{\\\"ipv4\\\":\\\"",
        ip
    );
    put!(
        out,
        "/24\\\"}\",\"machineconfiguration.openshift.io/state\":\"Done\"}},\"spec\":{},\"status\":{\"capacity\":{\"cpu\":\"16\",\"memory\":\"65536000Ki\",\"pods\":\"250\"},\"conditions\":["
    );
    for (index, kind) in
        ["MemoryPressure", "DiskPressure", "PIDPressure", "Ready"].iter().enumerate()
    {
        let status = if *kind == "Ready" { "True" } else { "False" };
        put!(
            out,
            if index == 0 { "" } else { "," },
            "{\"type\":\"",
            *kind,
            "\",\"status\":\"",
            status
        );
        put!(
            out,
            "\",\"lastHeartbeatTime\":\"",
            &Seconds(at),
            "\",\"lastTransitionTime\":\"2025-02-26T06:20:01Z\",\"reason\":\"KubeletHas",
            *kind,
            "\",\"message\":\"kubelet reports ",
            *kind,
            "\"}"
        );
    }
    put!(
        out,
        "],\"addresses\":[{\"type\":\"InternalIP\",\"address\":\"",
        ip,
        "\"},{\"type\":\"Hostname\",\"address\":\"",
        name
    );
    put!(
        out,
        "\"}],\"nodeInfo\":{\"kernelVersion\":\"5.14.0-570.60.1.el9_6.x86_64\",\"osImage\":\"Red Hat Enterprise Linux CoreOS 9.6\",\"containerRuntimeVersion\":\"cri-o://1.33.5\",\"kubeletVersion\":\"v1.33.5\",\"operatingSystem\":\"linux\",\"architecture\":\"amd64\"},\"images\":["
    );
    for index in 0..8_u64 {
        put!(
            out,
            if index == 0 { "" } else { "," },
            "{\"names\":[\"quay.example/ocp-release@sha256:7f3a0c55d1e94b62a8f0cc9b1d27e6430b5a91d8e2f4c7b6a3d0e1f2c4b5a6",
            &(10 + index),
            "\"],\"sizeBytes\":",
            &(431_250_112 + index * 77_131),
            "}"
        );
    }
    put!(out, "]}}");
}

/// A Deployment; `asked` is the request that creates it.
pub fn deployment(
    out: &mut Vec<u8>,
    ns: &str,
    name: &str,
    uid: &str,
    rv: u64,
    image: &str,
    at: i64,
) {
    put!(
        out,
        "{\"kind\":\"Deployment\",\"apiVersion\":\"apps/v1\",\"metadata\":{\"name\":\"",
        name,
        "\",\"namespace\":\"",
        ns,
        "\""
    );
    if uid.is_empty() {
        put!(out, ",\"creationTimestamp\":null");
    } else {
        put!(
            out,
            ",\"uid\":\"",
            uid,
            "\",\"resourceVersion\":\"",
            &rv,
            "\",\"generation\":1,\"creationTimestamp\":\"",
            &Seconds(at),
            "\""
        );
    }
    put!(
        out,
        ",\"labels\":{\"app\":\"",
        name,
        "\"}},\"spec\":{\"replicas\":1,\"selector\":{\"matchLabels\":{\"app\":\"",
        name
    );
    put!(
        out,
        "\"}},\"template\":{\"metadata\":{\"creationTimestamp\":null,\"labels\":{\"app\":\"",
        name,
        "\"}},\"spec\":{\"containers\":[{\"name\":\"main\",\"image\":\"",
        image
    );
    put!(
        out,
        "\",\"command\":[\"sleep\",\"infinity\"],\"resources\":{},\"terminationMessagePath\":\"/dev/termination-log\",\"terminationMessagePolicy\":\"File\",\"imagePullPolicy\":\"Always\"}],\"restartPolicy\":\"Always\",\"terminationGracePeriodSeconds\":30,\"dnsPolicy\":\"ClusterFirst\",\"securityContext\":{},\"schedulerName\":\"default-scheduler\"}},\"strategy\":{\"type\":\"RollingUpdate\",\"rollingUpdate\":{\"maxUnavailable\":\"25%\",\"maxSurge\":\"25%\"}},\"revisionHistoryLimit\":10,\"progressDeadlineSeconds\":600},\"status\":{}}"
    );
}

/// A ClusterOperator or another operator status object.
pub fn operator_status(out: &mut Vec<u8>, name: &str, uid: &str, rv: u64, at: i64) {
    put!(
        out,
        "{\"kind\":\"ClusterOperator\",\"apiVersion\":\"config.openshift.io/v1\",\"metadata\":{\"name\":\"",
        name,
        "\",\"uid\":\"",
        uid
    );
    put!(
        out,
        "\",\"resourceVersion\":\"",
        &rv,
        "\",\"generation\":1,\"creationTimestamp\":\"2025-02-26T06:21:40Z\"},\"spec\":{},\"status\":{\"conditions\":["
    );
    for (index, kind) in ["Degraded", "Progressing", "Available", "Upgradeable"].iter().enumerate()
    {
        put!(
            out,
            if index == 0 { "" } else { "," },
            "{\"type\":\"",
            *kind,
            "\",\"status\":\"",
            if index < 2 { "False" } else { "True" }
        );
        put!(
            out,
            "\",\"lastTransitionTime\":\"",
            &Seconds(at - 7_200_000_000),
            "\",\"reason\":\"AsExpected\",\"message\":\"All is well\"}"
        );
    }
    put!(out, "],\"versions\":[{\"name\":\"operator\",\"version\":\"4.20.3\"}]}}");
}
