//! Events in the envelopes that collectors and providers put around them (formats.md 2.5-2.8).

use serde_json::Value;
use serde_json::json;

use crate::corpus::CorpusOptions;
use crate::corpus::generate;

/// One format.
pub struct Case {
    /// Name of the format.
    pub name: &'static str,
    /// Name of its one file; says nothing about the format.
    pub file: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
    /// What it is.
    pub what: &'static str,
    /// Events in it.
    pub events: u64,
    /// Blank lines in it.
    pub blank: u64,
    /// Questions with their counts.
    pub questions: Vec<(String, u64)>,
}

const EVENTS: u64 = 2;

/// Two events of that seed; their users are the questions that are asked.
fn events(seed: u64) -> Vec<String> {
    let options = CorpusOptions {
        seed,
        events: EVENTS,
        days: 0.001,
        incident: false,
        bodies: false,
        ..CorpusOptions::default()
    };
    let mut lines = Vec::new();
    generate(&options, &mut |line| lines.push(String::from_utf8(line.to_vec()).unwrap()));
    lines
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn case(name: &'static str, what: &'static str, bytes: Vec<u8>, of: &[String]) -> Case {
    let mut questions = vec![("*".to_string(), of.len() as u64)];
    for text in of {
        let event = value(text);
        questions.push((format!("auditID:{}", event["auditID"].as_str().unwrap()), 1));
    }
    let events = of.len() as u64;
    Case { name, file: "evidence.txt", bytes, what, events, blank: 0, questions }
}

fn lines(all: impl IntoIterator<Item = String>) -> Vec<u8> {
    all.into_iter().flat_map(|line| line.into_bytes().into_iter().chain([b'\n'])).collect()
}

fn as_lines(
    seed: u64,
    name: &'static str,
    what: &'static str,
    wrap: &dyn Fn(&str, usize) -> String,
) -> Case {
    let all = events(seed);
    let bytes = lines(all.iter().enumerate().map(|(index, text)| wrap(text, index)));
    case(name, what, bytes, &all)
}

fn as_one(
    seed: u64,
    name: &'static str,
    what: &'static str,
    wrap: &dyn Fn(&[String]) -> String,
) -> Case {
    let all = events(seed);
    case(name, what, lines([wrap(&all)]), &all)
}

/// Returns an `EventList` as the webhook backend sends it: items without kind and apiVersion.
pub fn event_list(events: &[&[u8]]) -> Vec<u8> {
    let head = b"{\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",";
    let items: Vec<Vec<u8>> = events
        .iter()
        .map(|event| [b"{".as_slice(), event.strip_prefix(head.as_slice()).unwrap()].concat())
        .collect();
    let mut out =
        b"{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{},\"items\":["
            .to_vec();
    out.extend_from_slice(&items.join(b",".as_slice()));
    out.extend_from_slice(b"]}\n");
    out
}

fn viaq(text: &str, index: usize) -> Value {
    let mut all = json!({
        "@timestamp": format!("2026-03-02T00:10:0{index}.000000Z"),
        "hostname": "cp-1",
        "k8s_audit_level": "Metadata",
        "log_source": "kubeAPI",
        "log_type": "audit",
        "openshift": {"cluster_id": "5f1c2a90-0000-4000-8000-00000000c1a5", "sequence": index},
    });
    let map = all.as_object_mut().unwrap();
    for (key, value) in value(text).as_object().unwrap() {
        map.insert(key.clone(), value.clone());
    }
    map.insert("level".to_string(), json!("default"));
    all
}

/// One case a format.
pub fn cases() -> Vec<Case> {
    let mut all = bare_cases();
    all.extend(forwarder_cases());
    all.extend(store_cases());
    all.extend(provider_cases());
    all
}

fn bare_cases() -> Vec<Case> {
    let list = events(1_003);
    let texts: Vec<&[u8]> = list.iter().map(String::as_bytes).collect();
    let list_case = case("event-list", "A webhook batch", event_list(&texts), &list);
    vec![
        as_lines(1_001, "bare", "One event a line", &|text, _| text.to_string()),
        as_lines(1_002, "bare-without-kind", "Events that do not name their kind", &|text, _| {
            text.replacen("\"kind\":\"Event\",\"apiVersion\":\"audit.k8s.io/v1\",", "", 1)
        }),
        list_case,
        as_lines(1_004, "pretty", "Events over many lines each", &|text, _| {
            serde_json::to_string_pretty(&value(text)).unwrap()
        }),
        as_one(1_005, "array", "A JSON array over many lines", &|all| {
            let values: Vec<Value> = all.iter().map(|text| value(text)).collect();
            serde_json::to_string_pretty(&values).unwrap()
        }),
        as_lines(1_006, "node-prefix", "oc adm node-logs over several nodes", &|text, index| {
            format!("cp-{} {text}", index % 2)
        }),
        as_lines(
            1_007,
            "time-prefix",
            "An export task's lines with a time in front",
            &|text, index| format!("2026-03-02T00:00:0{index}.000Z {text}"),
        ),
        as_lines(1_008, "v1beta1", "The API version before v1", &|text, _| {
            text.replacen("audit.k8s.io/v1\"", "audit.k8s.io/v1beta1\"", 1)
        }),
    ]
}

fn forwarder_cases() -> Vec<Case> {
    vec![
        as_lines(1_011, "viaq", "OpenShift Logging, flat", &|text, index| {
            viaq(text, index).to_string()
        }),
        as_lines(1_012, "otlp", "OpenTelemetry log records", &|text, index| {
            json!({"resourceLogs": [{"resource": {"attributes": [
                {"key": "openshift.log.source", "value": {"stringValue": "kubeAPI"}},
                {"key": "k8s.node.name", "value": {"stringValue": "cp-2"}},
            ]}, "scopeLogs": [{"scope": {}, "logRecords": [{
                "timeUnixNano": format!("177240960{index}000000000"),
                "body": {"stringValue": text},
                "attributes": [],
            }]}]}]})
            .to_string()
        }),
        as_lines(1_013, "syslog", "RFC 5424 carrying OpenShift Logging's JSON", &|text, index| {
            let id = value(text)["auditID"].as_str().unwrap().to_string();
            format!(
                "<110>1 2026-03-02T00:10:0{index}Z cp-1 kubeAPI {id} kubeAPI - {}",
                viaq(text, index)
            )
        }),
        as_lines(1_014, "graylog", "Graylog: the original in message", &|text, index| {
            json!({
                "gl2_message_id": format!("01K{index}"),
                "timestamp": "2026-03-02 00:10:00.000",
                "level": 6,
                "source": "cp-1",
                "message": viaq(text, index).to_string(),
            })
            .to_string()
        }),
    ]
}

fn store_cases() -> Vec<Case> {
    vec![
        as_lines(1_021, "loki-jsonl", "logcli -o jsonl", &|text, index| {
            json!({"labels": {"log_type": "audit", "kubernetes_host": "cp-0"}, "line": text, "timestamp": format!("2026-03-02T00:00:0{index}.000000001Z")}).to_string()
        }),
        as_one(1_022, "loki-api", "A query_range answer", &|all| {
            let values: Vec<Value> = all
                .iter()
                .enumerate()
                .map(|(index, text)| json!([format!("177240960{index}000000000"), text]))
                .collect();
            json!({"status": "success", "data": {"resultType": "streams", "result": [{"stream": {"log_type": "audit"}, "values": values}]}}).to_string()
        }),
        as_lines(1_023, "elasticsearch", "One document a line", &|text, index| {
            json!({"_index": "audit-000012", "_type": "_doc", "_id": format!("d{index}"), "_score": 1, "_source": viaq(text, index)}).to_string()
        }),
        as_one(1_024, "elasticsearch-hits", "A search answer", &|all| {
            let hits: Vec<Value> = all.iter().enumerate().map(|(index, text)| json!({"_index": "audit-000012", "_id": format!("d{index}"), "_source": viaq(text, index)})).collect();
            json!({"took": 3, "hits": {"total": {"value": all.len()}, "hits": hits}}).to_string()
        }),
        as_lines(1_025, "splunk-export", "A search export", &|text, index| {
            json!({"preview": false, "offset": index, "result": {"_raw": text, "_time": "2026-03-02T00:00:00.000+00:00", "host": "cp-1", "source": "kubeAPI", "sourcetype": "_json"}}).to_string()
        }),
        as_lines(1_026, "splunk-hec", "What a HTTP event collector is sent", &|text, index| {
            json!({"time": 1_772_409_600 + index, "host": "cp-1", "index": "audit", "source": "kubeAPI", "sourcetype": "_json", "event": viaq(text, index)}).to_string()
        }),
        splunk_csv(),
    ]
}

fn splunk_csv() -> Case {
    let all = events(1_027);
    let rows = all.iter().map(|text| {
        format!("\"2026-03-02T00:00:00.000+0000\",cp-1,\"{}\"", text.replace('"', "\"\""))
    });
    let bytes = lines(std::iter::once("\"_time\",host,\"_raw\"".to_string()).chain(rows));
    case("splunk-csv", "A table with a _raw column", bytes, &all)
}

fn provider_cases() -> Vec<Case> {
    let time = |index: usize| 1_772_409_600_000_u64 + index as u64;
    vec![
        as_one(1_031, "cloudwatch", "filter-log-events", &|all| {
            let events: Vec<Value> = all.iter().enumerate().map(|(index, text)| json!({"logStreamName": "kube-apiserver-audit-0f", "timestamp": time(index), "message": text, "ingestionTime": time(index) + 900, "eventId": format!("e{index}")})).collect();
            json!({"events": events, "searchedLogStreams": []}).to_string()
        }),
        as_one(1_032, "cloudwatch-subscription", "A subscription's data message", &|all| {
            let events: Vec<Value> = all.iter().enumerate().map(|(index, text)| json!({"id": format!("{index}"), "timestamp": time(index), "message": text})).collect();
            json!({"messageType": "DATA_MESSAGE", "owner": "000000000000", "logGroup": "/aws/eks/blue/cluster", "logStream": "kube-apiserver-audit-0f", "subscriptionFilters": [], "logEvents": events}).to_string()
        }),
        as_one(1_033, "cloudwatch-insights", "An Insights result", &|all| {
            let results: Vec<Value> = all.iter().map(|text| json!([{"field": "@timestamp", "value": "2026-03-02 00:00:00.000"}, {"field": "@message", "value": text}])).collect();
            json!({"results": results, "status": "Complete"}).to_string()
        }),
        as_lines(1_034, "aks", "Diagnostic logs with the event as text", &|text, _| {
            json!({"time": "2026-03-02T00:00:00.0000000Z", "resourceId": "/SUBSCRIPTIONS/0/MANAGEDCLUSTERS/BLUE", "category": "kube-audit", "operationName": "Microsoft.ContainerService/managedClusters/diagnosticLogs/Read", "properties": {"log": format!("{text}\n"), "stream": "stdout", "pod": "kube-apiserver-5d"}}).to_string()
        }),
        as_one(1_035, "aks-records", "An event hub's batch", &|all| {
            let records: Vec<Value> = all.iter().map(|text| json!({"time": "2026-03-02T00:00:00Z", "category": "kube-audit", "properties": {"log": text, "pod": "kube-apiserver-5d"}})).collect();
            json!({"records": records}).to_string()
        }),
    ]
}
