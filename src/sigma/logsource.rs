//! Which rules are about Kubernetes audit events at all.

use crate::sigma::rule::LogSource;

/// Services of product `kubernetes` or `openshift` that name the audit log.
const SERVICES: [&str; 4] = ["audit", "audit_logs", "audit_log", "apiserver"];
/// Products whose audit log this is.
const PRODUCTS: [&str; 2] = ["kubernetes", "openshift"];

/// Why a rule is not about these events, or `None` if it is (hunts.md 5.4).
///
/// A rule without any log source is generic and applies.
pub fn not_applicable(source: &LogSource) -> Option<String> {
    let is = |value: &Option<String>, allowed: &[&str]| {
        value.as_deref().is_none_or(|v| allowed.iter().any(|a| a.eq_ignore_ascii_case(v)))
    };
    let applies = is(&source.product, &PRODUCTS)
        && is(&source.service, &SERVICES)
        && (source.product.is_some() || (source.service.is_none() && source.category.is_none()))
        && is(&source.category, &["application", "audit"]);
    (!applies).then(|| {
        let part =
            |name: &str, value: &Option<String>| value.as_ref().map(|v| format!("{name}: {v}"));
        let parts: Vec<String> = [
            part("product", &source.product),
            part("service", &source.service),
            part("category", &source.category),
        ]
        .into_iter()
        .flatten()
        .collect();
        format!("another log source ({})", parts.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(product: Option<&str>, service: Option<&str>, category: Option<&str>) -> LogSource {
        LogSource {
            product: product.map(str::to_owned),
            service: service.map(str::to_owned),
            category: category.map(str::to_owned),
        }
    }

    #[test]
    fn the_gate() {
        let applies = |p, s, c| not_applicable(&source(p, s, c)).is_none();
        assert!(applies(Some("kubernetes"), Some("audit"), Some("application")));
        assert!(applies(Some("kubernetes"), None, None));
        assert!(applies(Some("openshift"), Some("audit"), None));
        assert!(applies(None, None, None));
        assert!(!applies(Some("kubernete"), Some("audit"), None));
        assert!(!applies(Some("windows"), None, Some("process_creation")));
        assert!(!applies(Some("gcp"), Some("gcp.audit"), None));
        assert!(!applies(None, None, Some("webserver")));
    }
}
