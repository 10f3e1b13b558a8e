//! A node's name in front of each line.

use std::borrow::Cow;

use crate::event::place::Origin;
use crate::intake::format::Format;
use crate::intake::format::FormatRow;
use crate::intake::format::Inner;
use crate::intake::format::Layer;
use crate::intake::format::Peeled;

/// `oc adm node-logs` over several nodes: the name, one blank, the line
/// (openshift/oc pkg/cli/admin/node/logs.go).
#[derive(Debug)]
pub(crate) struct NodePrefix;

impl Format for NodePrefix {
    fn row(&self) -> FormatRow {
        FormatRow {
            name: "node-prefix",
            about: "The node's name and one blank in front of each line; the name becomes `node`.",
            from: "oc adm node-logs --role=master",
            example: r#"master-0 {"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"#,
        }
    }

    fn peel<'c>(&self, layer: &Layer<'c>) -> Peeled<'c> {
        if layer.json.is_some() {
            return Peeled::NotMine;
        }
        let Some(at) = memchr::memchr(b' ', layer.text) else { return Peeled::NotMine };
        let (name, rest) = layer.text.split_at(at);
        let rest = rest.trim_ascii_start();
        if !is_node_name(name) || !is_line(rest) {
            return Peeled::NotMine;
        }
        let node = String::from_utf8_lossy(name).into_owned();
        Peeled::one(Inner {
            text: Cow::Borrowed(rest),
            origin: Origin { node: Some(node), ..Origin::default() },
            ..Inner::default()
        })
    }
}

/// Says whether this is a line one of a node's logs may hold: JSON, auditd, or OVN's.
fn is_line(rest: &[u8]) -> bool {
    rest.first() == Some(&b'{')
        || rest.starts_with(b"type=")
        || (memchr::memmem::find(rest.get(..80).unwrap_or(rest), b"|acl_log").is_some())
}

/// Names of nodes are DNS-1123 subdomains (Kubernetes, apimachinery util/validation).
pub(crate) fn is_node_name(name: &[u8]) -> bool {
    let inner = |c: &u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    (1..=253).contains(&name.len())
        && name.first().is_some_and(inner)
        && name.last().is_some_and(inner)
        && name.iter().all(|c| inner(c) || matches!(c, b'-' | b'.'))
}
