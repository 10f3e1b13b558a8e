"""Measures how long the same Sigma rules take with audithound, rsigma and jq on one corpus."""

import argparse
import collections
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys

from measure import du, run

WRITES = 'IN(.verb; "create", "delete", "patch", "replace", "update")'
PODS = '.verb == "create" and .objectRef.resource == "pods"'
# One filter per rule, by its title.  hostPath, capabilities and the top-level apiGroup are pseudo
# fields of these rules: the filters ask for what they stand for.
FILTERS = {
    "Kubernetes Admission Controller Modification":
        '.objectRef.apiGroup == "admissionregistration.k8s.io" and IN(.objectRef.resource; '
        f'"mutatingwebhookconfigurations", "validatingwebhookconfigurations") and {WRITES}',
    "Kubernetes CronJob/Job Modification":
        f'.objectRef.apiGroup == "batch" and IN(.objectRef.resource; "cronjobs", "jobs") and {WRITES}',
    "Deployment Deleted From Kubernetes Cluster":
        '.verb == "delete" and .objectRef.resource == "deployments"',
    "Potential Remote Command Execution In Pod Container":
        f'{PODS} and .objectRef.subresource == "exec"',
    "Container With A hostPath Mount Created":
        f'{PODS} and any(.requestObject.spec.volumes[]?; .hostPath.path != null)',
    "Creation Of Pod In System Namespace":
        f'{PODS} and .objectRef.namespace == "kube-system"',
    "Privileged Container Deployed":
        f'{PODS} and any(.requestObject.spec | (.containers, .initContainers, .ephemeralContainers)[]?; '
        '(.securityContext.capabilities.add // []) != [])',
    "RBAC Permission Enumeration Attempt":
        '.verb == "create" and .objectRef.apiGroup == "authorization.k8s.io" and '
        '.objectRef.resource == "selfsubjectrulesreviews"',
    "Kubernetes Rolebinding Modification":
        '.objectRef.apiGroup == "rbac.authorization.k8s.io" and '
        f'IN(.objectRef.resource; "clusterrolebindings", "rolebindings") and {WRITES}',
    "Kubernetes Secrets Enumeration": '.verb == "list" and .objectRef.resource == "secrets"',
    "Kubernetes Unauthorized or Unauthenticated Access": 'IN(.responseStatus.code; 401, 403)',
    "Kubernetes ClusterRoleBinding Created":
        '.verb == "create" and .objectRef.resource == "clusterrolebindings" and '
        'IN(.responseStatus.code; 200, 201) and '
        '(.user.username | startswith("system:serviceaccount:kube-system") | not)',
    "Kubernetes Pod Exec Command": f'{PODS} and .objectRef.subresource == "exec"',
    "Service Account Created": '.verb == "create" and .objectRef.resource == "serviceaccounts"',
    "Events Deleted":
        'IN(.verb; "delete", "deletecollection") and .objectRef.resource == "events"',
    "Secret Modified Or Deleted":
        '.objectRef.resource == "secrets" and IN(.verb; "create", "delete", "patch", "update")',
}


class Peer:
    """What was measured of one peer."""

    def __init__(self, name):
        self.name, self.counts = name, {}
        self.wall = self.cpu = self.memory = None

    def best(self, wall, cpu, memory):
        """Keeps the best of several runs."""
        if self.wall is None or wall < self.wall:
            self.wall, self.cpu = wall, cpu
        self.memory = max(self.memory or 0, memory)


def audithound(args):
    peer = Peer("audithound")
    index = os.path.join(args.cache, "hunt.index")
    shutil.rmtree(index, ignore_errors=True)
    _, wall, cpu, _, code = run([args.audithound, "index", args.corpus, "--index", index])
    if code != 0:
        sys.exit(f"peers: index ended with {code}")
    command = [args.audithound, "hunt", "--index", index, "--rules", args.rules, "--pack", "none",
               "--level", "informational", "--format", "json"]
    for _ in range(args.runs):
        out, *used, code = run(command)
        if code != 0:
            sys.exit(f"peers: hunt ended with {code}")
        peer.best(*used)
    for finding in json.loads(out)["findings"]:
        # Stages of one request are events of their own to everybody else.
        peer.counts[finding["title"]] = finding["stages"]
    return peer, wall, cpu, du(index)


def rsigma(args):
    tool = os.path.join(args.cache, "bin", "rsigma")
    if not os.path.exists(tool):
        return None
    peer = Peer("rsigma engine eval")
    command = [tool, "engine", "eval", "-q", "-r", args.rules, "-e", f"@{args.corpus}",
               "--output-format", "ndjson"]
    for _ in range(args.runs):
        out, *used, code = run(command)
        if code != 0:
            print(f"peers: rsigma ended with {code}", file=sys.stderr)
            return None
        peer.best(*used)
    peer.counts = dict(collections.Counter(
        json.loads(line)["rule_title"] for line in out.splitlines()))
    return peer


def jq(args):
    if not shutil.which("jq"):
        return None
    peer = Peer("jq, a filter per rule")
    wall = cpu = memory = 0
    for title, condition in FILTERS.items():
        # Once: each filter reads the whole corpus.
        out, *used, code = run(["jq", "-r", f"select({condition}) | .auditID", args.corpus])
        if code != 0:
            print(f"peers: jq ended with {code}: {title}", file=sys.stderr)
        peer.counts[title] = len(out.splitlines())
        wall, cpu, memory = wall + used[0], cpu + used[1], max(memory, used[2])
    peer.best(wall, cpu, memory)
    return peer


def table(peers, index):
    ours = peers[0]
    lines = ["| | " + " | ".join(peer.name for peer in peers) + " |", "|---" * (len(peers) + 1) + "|"]

    def row(label, cells):
        lines.append(f"| {label} | " + " | ".join(cells) + " |")

    for label, of in (("wall", lambda p: p.wall), ("CPU", lambda p: p.cpu), ("memory", lambda p: p.memory)):
        row(f"**{label}, times ours**", [f"{of(peer) / of(ours):.2f}" for peer in peers])
    both = ours.wall + index[0]
    row("**wall with building the index once, times ours**",
        ["1.00"] + [f"{peer.wall / both:.2f}" for peer in peers[1:]])
    row("wall", [f"{peer.wall * 1000:.0f} ms" for peer in peers])
    row("CPU", [f"{peer.cpu:.2f} s" for peer in peers])
    row("peak memory, MB", [f"{peer.memory / 1e6:.0f}" for peer in peers])
    row("building the index", [f"{index[0] * 1000:.0f} ms, {index[2] / 1e6:.1f} MB"] + ["-"] * (len(peers) - 1))
    differ = []
    for title in FILTERS:
        counts = [peer.counts.get(title, 0) for peer in peers]
        if any(counts):
            row(title, [str(count) for count in counts])
        if len(set(counts)) > 1:
            differ.append((title, dict(zip([peer.name for peer in peers], counts))))
    return lines, differ


def main():
    parser = argparse.ArgumentParser()
    for name in ("corpus", "counts", "cache", "rules", "audithound", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with open(args.counts, encoding="utf-8") as file:
        truth = json.load(file)
    ours, *index = audithound(args)
    peers, missing = [ours], []
    for name, measure in (("rsigma", rsigma), ("jq", jq)):
        print(f"peers: {name}", file=sys.stderr)
        peer = measure(args)
        missing.append(name) if peer is None else peers.append(peer)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            cwd=os.path.dirname(os.path.abspath(__file__)), check=False).stdout.strip()
    lines, differ = table(peers, index)
    head = [
        f"Corpus: {truth['counts']['all']:,} generated events, {truth['bytes'] / 1e6:,.0f} MB; "
        f"{len(FILTERS)} rules.",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}; {datetime.date.today()}; commit {commit}.",
        f"Best of {args.runs} whole processes with a warm page cache; jq is run once per rule.",
        "Not measured: " + (", ".join(missing) or "nothing") + ".",
        "",
    ]
    notes = [f"{title}: {counts}" for title, counts in differ]
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n".join(head + lines + ([""] + notes if notes else [])) + "\n")
    # What a filter by hand finds is held to; what rsigma cannot map is marked.
    wrong = [title for title, counts in differ
             if counts.get("jq, a filter per rule", counts["audithound"]) != counts["audithound"]]
    for title in wrong:
        print(f"peers: jq counts otherwise: {title}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
