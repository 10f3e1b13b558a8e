//! Audit lines as the API server writes them: its key order, its escapes, its time format.
//!
//! Key order and omitted fields follow k8s.io/apiserver pkg/apis/audit/v1 `Event`.

/// What can be appended to a line under construction.
pub trait Put {
    /// Appends the text.
    fn put(&self, out: &mut Vec<u8>);
}

impl Put for str {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Put for String {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.as_bytes());
    }
}

impl Put for [u8] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl Put for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        let mut digits = [0_u8; 20];
        let mut at = digits.len();
        let mut rest = *self;
        loop {
            at -= 1;
            digits[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        out.extend_from_slice(&digits[at..]);
    }
}

/// A moment with six digits of a second, the way `metav1.MicroTime` is written.
#[derive(Clone, Copy, Debug)]
pub struct Micros(pub i64);

/// A moment with none, the way `metav1.Time` is written.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(pub i64);

impl Put for Micros {
    fn put(&self, out: &mut Vec<u8>) {
        put_civil(self.0, out);
        out.push(b'.');
        put_digits(self.0.rem_euclid(1_000_000) as u64, 6, out);
        out.push(b'Z');
    }
}

impl Put for Seconds {
    fn put(&self, out: &mut Vec<u8>) {
        put_civil(self.0, out);
        out.push(b'Z');
    }
}

fn put_digits(value: u64, width: u32, out: &mut Vec<u8>) {
    for place in (0..width).rev() {
        out.push(b'0' + (value / 10_u64.pow(place) % 10) as u8);
    }
}

/// Appends `YYYY-MM-DDThh:mm:ss` (days to date after Howard Hinnant's `civil_from_days`).
fn put_civil(micros: i64, out: &mut Vec<u8>) {
    let seconds = micros.div_euclid(1_000_000);
    let z = seconds.div_euclid(86_400) + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    let of_day = seconds.rem_euclid(86_400);
    for (value, width, sign) in [
        (year, 4, b'-'),
        (month, 2, b'-'),
        (day, 2, b'T'),
        (of_day / 3_600, 2, b':'),
        (of_day / 60 % 60, 2, b':'),
    ] {
        put_digits(value as u64, width, out);
        out.push(sign);
    }
    put_digits((of_day % 60) as u64, 2, out);
}

/// Appends each argument to the line; whoever uses it imports [`Put`].
macro_rules! put {
    ($out:expr, $($part:expr),+ $(,)?) => {{ $( Put::put($part, $out); )+ }};
}
pub(crate) use put;

/// What `objectRef` names; empty texts are omitted as the server omits them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// Plural name.
    pub resource: &'a str,
    /// Namespace.
    pub namespace: &'a str,
    /// Name.
    pub name: &'a str,
    /// UID, named on updates.
    pub uid: &'a str,
    /// API group, empty for the core.
    pub group: &'a str,
    /// `v1` and so on.
    pub version: &'a str,
    /// Resource version, named on updates.
    pub rv: u64,
    /// Subresource.
    pub sub: &'a str,
}

/// One event before it is written.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The `auditID`.
    pub audit_id: &'a str,
    /// Whether this is `ResponseStarted`.
    pub started: bool,
    /// Already escaped `requestURI`.
    pub uri: &'a str,
    /// Verb.
    pub verb: &'a str,
    /// The whole `user` object.
    pub user: &'a str,
    /// The whole `impersonatedUser` object, or empty.
    pub impersonated: &'a str,
    /// The elements of `sourceIPs`, quoted, with commas.
    pub ips: &'a str,
    /// User agent; omitted where empty.
    pub agent: &'a str,
    /// `objectRef`; omitted where the resource is empty.
    pub target: Target<'a>,
    /// Response code.
    pub code: u64,
    /// What stands in `responseStatus` between `metadata` and `code`, with both commas.
    pub status: &'a str,
    /// Request body, or empty.
    pub request: &'a [u8],
    /// Response body, or empty.
    pub response: &'a [u8],
    /// Whether the policy wants bodies (exec has the level and no bodies).
    pub with_bodies: bool,
    /// When it came in.
    pub received: i64,
    /// How long it took, in microseconds.
    pub took: i64,
    /// The members of `annotations`, without the braces.
    pub annotations: &'a str,
}

impl Line<'_> {
    /// Writes the event without a line end.
    pub fn write(&self, out: &mut Vec<u8>) {
        let level = if self.with_bodies { "RequestResponse" } else { "Metadata" };
        let stage = if self.started { "ResponseStarted" } else { "ResponseComplete" };
        put!(
            out,
            "{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",\"level\":\"",
            level,
            "\",\"auditID\":\"",
            self.audit_id,
            "\",\"stage\":\"",
            stage,
            "\",\"requestURI\":\"",
            self.uri,
            "\",\"verb\":\"",
            self.verb,
            "\",\"user\":",
            self.user
        );
        if !self.impersonated.is_empty() {
            put!(out, ",\"impersonatedUser\":", self.impersonated);
        }
        put!(out, ",\"sourceIPs\":[", self.ips, "]");
        if !self.agent.is_empty() {
            put!(out, ",\"userAgent\":\"", self.agent, "\"");
        }
        self.put_target(out);
        put!(out, ",\"responseStatus\":{\"metadata\":{},", self.status);
        put!(out, "\"code\":", &self.code, "}");
        if !self.request.is_empty() {
            put!(out, ",\"requestObject\":", self.request);
        }
        if !self.response.is_empty() {
            put!(out, ",\"responseObject\":", self.response);
        }
        put!(out, ",\"requestReceivedTimestamp\":\"", &Micros(self.received));
        put!(out, "\",\"stageTimestamp\":\"", &Micros(self.received + self.took));
        put!(out, "\",\"annotations\":{", self.annotations, "}}");
    }

    fn put_target(&self, out: &mut Vec<u8>) {
        let t = &self.target;
        if t.resource.is_empty() {
            return;
        }
        put!(out, ",\"objectRef\":{\"resource\":\"", t.resource, "\"");
        for (key, value) in [
            (",\"namespace\":\"", t.namespace),
            (",\"name\":\"", t.name),
            (",\"uid\":\"", t.uid),
            (",\"apiGroup\":\"", t.group),
            (",\"apiVersion\":\"", t.version),
        ] {
            if !value.is_empty() {
                put!(out, key, value, "\"");
            }
        }
        if t.rv != 0 {
            put!(out, ",\"resourceVersion\":\"", &t.rv, "\"");
        }
        if !t.sub.is_empty() {
            put!(out, ",\"subresource\":\"", t.sub, "\"");
        }
        out.push(b'}');
    }
}

/// Returns the members `authorization.k8s.io/...` of an allowed request; `reason` is escaped here.
pub fn allowed(reason: &str) -> String {
    format!(
        "\"authorization.k8s.io/decision\":\"allow\",\"authorization.k8s.io/reason\":\"{}\"",
        reason.replace('"', "\\\"")
    )
}

/// The same for a request that no rule allows; the server gives no reason then.
pub const FORBIDDEN: &str =
    "\"authorization.k8s.io/decision\":\"forbid\",\"authorization.k8s.io/reason\":\"\"";
