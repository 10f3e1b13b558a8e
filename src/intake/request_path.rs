//! The object a request is about, told by its path, where a format names the path only.

use super::format::ObjectText;

/// The parts of an `objectRef`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ObjectPath {
    pub(crate) group: String,
    pub(crate) version: String,
    pub(crate) namespace: String,
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) subresource: String,
}

impl ObjectPath {
    /// Reads `/api/v1/...` and `/apis/GROUP/VERSION/...` as apiserver's RequestInfoFactory does
    /// (k8s.io/apiserver pkg/endpoints/request/requestinfo.go); `None` for other paths.
    pub(crate) fn of_uri(uri: &str) -> Option<ObjectPath> {
        let path = uri.split(['?', '#']).next()?;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let group = match parts.next()? {
            "api" => "",
            "apis" => parts.next()?,
            _ => return None,
        };
        ObjectPath::of_parts(group, parts)
    }

    /// Reads `GROUP/VERSION/...` as Google writes `resourceName`; the core group is `core`.
    pub(crate) fn of_resource_name(name: &str) -> Option<ObjectPath> {
        let mut parts = name.split('/').filter(|part| !part.is_empty());
        let group = parts.next()?;
        ObjectPath::of_parts(if group == "core" { "" } else { group }, parts)
    }

    fn of_parts<'p>(group: &str, mut parts: impl Iterator<Item = &'p str>) -> Option<ObjectPath> {
        let version = parts.next()?;
        if !version.starts_with('v') {
            return None;
        }
        let mut path = ObjectPath {
            group: group.to_owned(),
            version: version.to_owned(),
            ..ObjectPath::default()
        };
        let mut rest: Vec<&str> = parts.collect();
        if matches!(rest.first(), Some(&"watch" | &"proxy")) {
            rest.remove(0);
        }
        if let ["namespaces", namespace, more @ ..] = rest.as_slice() {
            path.namespace = (*namespace).to_owned();
            // A namespace itself, and its two subresources.
            if !more.is_empty() && !matches!(more.first(), Some(&"status" | &"finalize")) {
                rest.drain(..2);
            }
        }
        path.resource = rest.first().map(|part| (*part).to_owned())?;
        path.name = rest.get(1).map(|part| (*part).to_owned()).unwrap_or_default();
        path.subresource = rest.get(2).map(|part| (*part).to_owned()).unwrap_or_default();
        Some(path)
    }

    /// Returns the path of the request.
    pub(crate) fn uri(&self) -> String {
        let mut uri = if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        };
        if !self.namespace.is_empty() && self.resource != "namespaces" {
            uri.push_str("/namespaces/");
            uri.push_str(&self.namespace);
        }
        for part in [&self.resource, &self.name, &self.subresource] {
            if !part.is_empty() {
                uri.push('/');
                uri.push_str(part);
            }
        }
        uri
    }

    /// Returns it as the text of an `objectRef`.
    pub(crate) fn object_ref(&self) -> Vec<u8> {
        let mut object = ObjectText::new();
        for (key, value) in [
            ("resource", &self.resource),
            ("namespace", &self.namespace),
            ("name", &self.name),
            ("apiGroup", &self.group),
            ("apiVersion", &self.version),
            ("subresource", &self.subresource),
        ] {
            if !value.is_empty() {
                object.text(key, value);
            }
        }
        object.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_objects_and_paths_again() {
        for uri in [
            "/api/v1/namespaces/shop/pods/web/exec",
            "/apis/apps/v1/namespaces/shop/deployments",
            "/api/v1/nodes/n1",
            "/api/v1/namespaces/shop",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/x",
        ] {
            assert_eq!(ObjectPath::of_uri(uri).map(|path| path.uri()).as_deref(), Some(uri));
        }
        let path = ObjectPath::of_resource_name("core/v1/namespaces/ns/pods/p/exec").unwrap();
        assert_eq!(path.uri(), "/api/v1/namespaces/ns/pods/p/exec");
        assert_eq!(path.subresource, "exec");
        for uri in ["/healthz", "/api", "/apis/apps", "/login/x", ""] {
            assert_eq!(ObjectPath::of_uri(uri), None, "{uri}");
        }
    }
}
