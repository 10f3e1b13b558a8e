//! What of an object is worth a line in its history: whatever decides what it can do.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::hunt::state::value::at;
use crate::hunt::state::value::items_at;
use crate::hunt::state::value::text_at;
use crate::hunt::state::value::text_of;
use crate::hunt::state::value::texts_at;

/// Named values of an object; a change of one of them is a change worth showing.
pub type Signature = BTreeMap<String, Value>;

/// Where a kind keeps its pod template.
const POD_SPECS: [(&str, &[&str]); 3] = [
    ("", &["spec"]),
    ("template.", &["spec", "template", "spec"]),
    ("jobTemplate.", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// Annotation that repeats the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Returns the signature of an object of any kind.
pub fn signature(object: &Value) -> Signature {
    let mut found = Signature::new();
    for (prefix, path) in POD_SPECS {
        let spec = at(object, path);
        if !at(spec, &["containers"]).is_null() || !at(spec, &["nodeName"]).is_null() {
            pod_spec(&mut found, prefix, spec);
        }
    }
    metadata(&mut found, object);
    plain(&mut found, object);
    rbac(&mut found, object);
    for map in ["data", "binaryData", "stringData"] {
        for (key, value) in at(object, &[map]).as_object().into_iter().flatten() {
            let text = text_of(value);
            let digest = xxhash_rust::xxh3::xxh3_64(text.as_bytes());
            found.insert(
                format!("{map}.{key}"),
                Value::String(format!("{} bytes, xxh3 {digest:016x}", text.len())),
            );
        }
    }
    found
}

fn insert(found: &mut Signature, path: &str, value: &Value) {
    let empty = match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    if !empty {
        found.insert(path.to_owned(), value.clone());
    }
}

fn metadata(found: &mut Signature, object: &Value) {
    let meta = at(object, &["metadata"]);
    for map in ["labels", "annotations"] {
        for (key, value) in at(meta, &[map]).as_object().into_iter().flatten() {
            if key != LAST_APPLIED {
                found.insert(format!("metadata.{map}.{key}"), value.clone());
            }
        }
    }
    for key in ["deletionTimestamp", "finalizers"] {
        insert(found, &format!("metadata.{key}"), at(meta, &[key]));
    }
    let owners: Vec<String> = items_at(meta, &["ownerReferences"])
        .iter()
        .map(|o| format!("{}/{}", text_at(o, &["kind"]), text_at(o, &["name"])))
        .collect();
    insert(found, "metadata.ownerReferences", &Value::from(owners));
}

/// Settings of single kinds, under their own names.
const PLAIN: &[&[&str]] = &[
    &["spec", "replicas"],
    &["spec", "suspend"],
    &["spec", "schedule"],
    &["spec", "type"],
    &["spec", "clusterIP"],
    &["spec", "externalIPs"],
    &["spec", "externalName"],
    &["spec", "selector"],
    &["spec", "ports"],
    &["spec", "host"],
    &["spec", "to"],
    &["spec", "tls", "termination"],
    &["spec", "rules"],
    &["spec", "podSelector"],
    &["spec", "ingress"],
    &["spec", "egress"],
    &["spec", "policyTypes"],
    &["spec", "signerName"],
    &["spec", "usages"],
    &["spec", "username"],
    &["spec", "unschedulable"],
    &["spec", "taints"],
    &["spec", "validations"],
    &["spec", "paramKind"],
    &["spec", "hostPath"],
    &["spec", "hard"],
    &["type"],
    &["immutable"],
    &["automountServiceAccountToken"],
    &["secrets"],
    &["imagePullSecrets"],
    &["allowPrivilegedContainer"],
    &["allowHostPID"],
    &["allowHostNetwork"],
    &["allowHostDirVolumePlugin"],
    &["allowedCapabilities"],
    &["users"],
    &["groups"],
    &["status", "phase"],
    &["status", "podIP"],
];

fn plain(found: &mut Signature, object: &Value) {
    for path in PLAIN {
        insert(found, &path.join("."), at(object, path));
    }
    for hook in items_at(object, &["webhooks"]) {
        let name = text_at(hook, &["name"]);
        for key in ["clientConfig", "failurePolicy", "rules", "namespaceSelector"] {
            let mut value = at(hook, &[key]).clone();
            if let Some(map) = value.as_object_mut() {
                map.shift_remove("caBundle");
            }
            insert(found, &format!("webhooks.{name}.{key}"), &value);
        }
    }
    for condition in items_at(object, &["status", "conditions"]) {
        let kind = text_at(condition, &["type"]);
        if matches!(kind.as_str(), "Approved" | "Denied") {
            found.insert(format!("status.conditions.{kind}"), at(condition, &["status"]).clone());
        }
    }
}

fn rbac(found: &mut Signature, object: &Value) {
    insert(found, "rules", at(object, &["rules"]));
    let role = at(object, &["roleRef"]);
    if !role.is_null() {
        let text = format!("{}/{}", text_at(role, &["kind"]), text_at(role, &["name"]));
        found.insert("roleRef".to_owned(), Value::String(text));
    }
    let mut subjects: Vec<String> =
        items_at(object, &["subjects"]).iter().map(subject_text).collect();
    subjects.sort_unstable();
    insert(found, "subjects", &Value::from(subjects));
}

/// `Kind namespace/name` of a subject of a binding.
pub fn subject_text(subject: &Value) -> String {
    let namespace = text_at(subject, &["namespace"]);
    let slash = if namespace.is_empty() { "" } else { "/" };
    format!("{} {namespace}{slash}{}", text_at(subject, &["kind"]), text_at(subject, &["name"]))
}

fn pod_spec(found: &mut Signature, prefix: &str, spec: &Value) {
    for key in [
        "hostPID",
        "hostIPC",
        "hostNetwork",
        "serviceAccountName",
        "nodeName",
        "nodeSelector",
        "automountServiceAccountToken",
        "runtimeClassName",
        "priorityClassName",
        "shareProcessNamespace",
    ] {
        insert(found, &format!("{prefix}spec.{key}"), at(spec, &[key]));
    }
    let mut paths: Vec<String> = items_at(spec, &["volumes"])
        .iter()
        .map(|volume| text_at(volume, &["hostPath", "path"]))
        .filter(|path| !path.is_empty())
        .collect();
    paths.sort_unstable();
    insert(found, &format!("{prefix}spec.hostPaths"), &Value::from(paths));
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for one in items_at(spec, &[list]) {
            let name = text_at(one, &["name"]);
            container(found, &format!("{prefix}{list}.{name}"), one);
        }
    }
}

fn container(found: &mut Signature, path: &str, one: &Value) {
    for key in ["image", "command", "args", "lifecycle", "workingDir"] {
        insert(found, &format!("{path}.{key}"), at(one, &[key]));
    }
    for key in ["privileged", "allowPrivilegeEscalation", "runAsUser", "procMount"] {
        insert(found, &format!("{path}.{key}"), at(one, &["securityContext", key]));
    }
    for key in ["add", "drop"] {
        let value = at(one, &["securityContext", "capabilities", key]);
        insert(found, &format!("{path}.capabilities.{key}"), value);
    }
    let env: Vec<String> =
        items_at(one, &["env"]).iter().map(|entry| text_at(entry, &["name"])).collect();
    insert(found, &format!("{path}.env"), &Value::from(env));
    let mut mounts: Vec<String> =
        items_at(one, &["volumeMounts"]).iter().map(|m| text_at(m, &["mountPath"])).collect();
    mounts.sort_unstable();
    insert(found, &format!("{path}.volumeMounts"), &Value::from(mounts));
}

/// Settings of a pod or workload that take it out of its confinement, one short text each.
pub fn dangers(object: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (_, path) in POD_SPECS {
        let spec = at(object, path);
        for key in ["hostPID", "hostIPC", "hostNetwork"] {
            if at(spec, &[key]).as_bool() == Some(true) {
                found.push(format!("{key}: true"));
            }
        }
        for volume in items_at(spec, &["volumes"]) {
            let host = text_at(volume, &["hostPath", "path"]);
            if !host.is_empty() {
                found.push(format!("hostPath: {host}"));
            }
        }
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for one in items_at(spec, &[list]) {
                let security = at(one, &["securityContext"]);
                if at(security, &["privileged"]).as_bool() == Some(true) {
                    found.push("privileged: true".to_owned());
                }
                let added = texts_at(security, &["capabilities", "add"]);
                if !added.is_empty() {
                    found.push(format!("capabilities added: {}", added.join(", ")));
                }
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Images of a pod or workload with the command and arguments of each.
pub fn payloads(object: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (_, path) in POD_SPECS {
        let spec = at(object, path);
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            for one in items_at(spec, &[list]) {
                let mut argv = texts_at(one, &["command"]);
                argv.extend(texts_at(one, &["args"]));
                found.push((text_at(one, &["image"]), argv.join(" ")));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn workloads_show_what_is_dangerous_wherever_it_stands() {
        let cronjob = json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": {"spec": {
            "hostNetwork": true,
            "volumes": [{"name": "h", "hostPath": {"path": "/etc"}}],
            "initContainers": [{"name": "i", "image": "x", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}],
            "containers": [{"name": "c", "image": "y", "command": ["sh"], "args": ["-c", "id"]}]
        }}}}}});
        assert_eq!(
            dangers(&cronjob),
            ["capabilities added: SYS_ADMIN", "hostNetwork: true", "hostPath: /etc"]
        );
        assert_eq!(payloads(&cronjob)[1], ("y".to_owned(), "sh -c id".to_owned()));
        let found = signature(&cronjob);
        assert_eq!(found["spec.schedule"], "* * * * *");
        assert_eq!(found["jobTemplate.spec.hostPaths"], json!(["/etc"]));
    }
}
