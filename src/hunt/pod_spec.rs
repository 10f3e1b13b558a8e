//! What a pod, or the template of a workload, is allowed to do: read from a body.

use crate::event::json::Json;
use crate::event::json::Kind;

/// One container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Container {
    /// `container`, `init` or `ephemeral`.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Its image.
    pub image: String,
    /// command, argv[0] and on.
    pub command: Vec<String>,
    /// args.
    pub args: Vec<String>,
    /// securityContext.privileged.
    pub privileged: bool,
    /// securityContext.capabilities.add.
    pub capabilities: Vec<String>,
    /// mountPath of each volume mount.
    pub mounts: Vec<String>,
}

/// What a pod spec says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PodSpec {
    /// All containers.
    pub containers: Vec<Container>,
    /// hostPID, hostIPC and hostNetwork, those that are true.
    pub host_namespaces: Vec<&'static str>,
    /// Paths of hostPath volumes.
    pub host_paths: Vec<String>,
    /// serviceAccountName.
    pub service_account: Option<String>,
    /// nodeName.
    pub node: Option<String>,
}

/// Paths of a pod spec inside the spec of an object: of a cron job, a workload, a pod.
const PLACES: [&[&str]; 3] =
    [&["jobTemplate", "spec", "template", "spec"], &["template", "spec"], &[]];

impl PodSpec {
    /// Reads the pod spec of an object, or of a merge patch of one; `None` where it has none.
    pub fn of(object: Json<'_>) -> Option<PodSpec> {
        PodSpec::of_spec(object.get("spec")?)
    }

    /// The same from the `spec` of the object.
    pub fn of_spec(spec: Json<'_>) -> Option<PodSpec> {
        let spec = PLACES
            .iter()
            .find_map(|place| spec.at_path(place).filter(|spec| spec.kind() == Kind::Object))?;
        let mut found = PodSpec {
            service_account: text(spec, "serviceAccountName"),
            node: text(spec, "nodeName"),
            ..PodSpec::default()
        };
        for (key, kind) in [
            ("containers", "container"),
            ("initContainers", "init"),
            ("ephemeralContainers", "ephemeral"),
        ] {
            for json in spec.get(key).iter().flat_map(Json::elements) {
                found.containers.push(container(kind, json));
            }
        }
        for key in ["hostPID", "hostIPC", "hostNetwork"] {
            if spec.get(key).is_some_and(|value| value.kind() == Kind::True) {
                found.host_namespaces.push(key);
            }
        }
        for volume in spec.get("volumes").iter().flat_map(Json::elements) {
            found
                .host_paths
                .extend(volume.text_at(&["hostPath", "path"]).map(std::borrow::Cow::into_owned));
        }
        Some(found)
    }

    /// Everything that reaches out of the pod, one phrase each.
    pub fn dangers(&self) -> Vec<String> {
        let mut dangers: Vec<String> =
            self.host_namespaces.iter().map(|name| (*name).to_owned()).collect();
        for container in &self.containers {
            if container.privileged {
                dangers.push(format!("privileged ({})", container.name));
            }
            if !container.capabilities.is_empty() {
                dangers.push(format!("+{} ({})", container.capabilities.join(","), container.name));
            }
        }
        dangers.extend(self.host_paths.iter().map(|path| format!("hostPath {path}")));
        dangers
    }

    /// Images, each once.
    pub fn images(&self) -> Vec<String> {
        let mut images: Vec<String> = Vec::new();
        for container in &self.containers {
            if !images.contains(&container.image) {
                images.push(container.image.clone());
            }
        }
        images
    }
}

fn text(json: Json<'_>, key: &str) -> Option<String> {
    json.text_at(&[key]).map(std::borrow::Cow::into_owned)
}

fn texts(json: Option<Json<'_>>) -> Vec<String> {
    json.iter()
        .flat_map(Json::elements)
        .filter_map(|element| element.leaf_text().map(std::borrow::Cow::into_owned))
        .collect()
}

fn container(kind: &'static str, json: Json<'_>) -> Container {
    let context = json.get("securityContext");
    Container {
        kind,
        name: text(json, "name").unwrap_or_default(),
        image: text(json, "image").unwrap_or_default(),
        command: texts(json.get("command")),
        args: texts(json.get("args")),
        privileged: context
            .and_then(|context| context.get("privileged"))
            .is_some_and(|value| value.kind() == Kind::True),
        capabilities: texts(context.and_then(|context| context.at_path(&["capabilities", "add"]))),
        mounts: json
            .get("volumeMounts")
            .iter()
            .flat_map(Json::elements)
            .filter_map(|mount| text(mount, "mountPath"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::json::Tape;
    use crate::event::json::parse_lenient;

    fn spec(text: &str) -> PodSpec {
        let mut tape = Tape::default();
        parse_lenient(text.as_bytes(), &mut tape).unwrap();
        PodSpec::of(tape.root(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn init_and_ephemeral_containers_count_as_well() {
        let found = spec(
            r#"{"spec":{"hostPID":true,"initContainers":[{"name":"i","image":"a","securityContext":{"privileged":true}}],"ephemeralContainers":[{"name":"e","image":"b","args":["-x"],"securityContext":{"capabilities":{"add":["SYS_ADMIN"]}}}],"volumes":[{"hostPath":{"path":"/"}}]}}"#,
        );
        assert_eq!(found.dangers(), ["hostPID", "privileged (i)", "+SYS_ADMIN (e)", "hostPath /"]);
        assert_eq!(found.images(), ["a", "b"]);
    }

    #[test]
    fn templates_are_read_where_they_stand() {
        let cron = spec(
            r#"{"spec":{"jobTemplate":{"spec":{"template":{"spec":{"containers":[{"name":"c","image":"x","command":["sh"],"args":["-c","id"]}]}}}}}}"#,
        );
        assert_eq!(cron.containers[0].args, ["-c", "id"]);
        let deployment = spec(r#"{"spec":{"template":{"spec":{"serviceAccountName":"s"}}}}"#);
        assert_eq!(deployment.service_account.as_deref(), Some("s"));
    }
}
