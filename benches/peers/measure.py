"""Measures audithound and its peers on one corpus and writes one table, ratios first."""

import argparse
import datetime
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request

PORT = 19428
QUESTIONS = [
    ("user_403", "one user's refusals (two fields)"),
    ("address", "one address"),
    ("exec", "exec"),
    ("host_pid", "hostPID in a body"),
    ("secrets_list", "lists of secrets"),
    ("rare", "rare word anywhere"),
    ("frequent", "frequent word, exact count"),
    ("top_users", "top 10 users"),
    ("hours", "hourly histogram"),
]
NOT_MEASURED = ["ClickHouse server", "Quickwit", "OpenSearch", "Loki"]


def du(path):
    """Returns the bytes a file or a directory takes."""
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(
        os.path.getsize(os.path.join(folder, name))
        for folder, _, names in os.walk(path)
        for name in names
    )


def run(command, **more):
    """Runs a command; returns its output, wall and CPU seconds, and peak memory in bytes."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more)
    out = child.stdout.read()
    _, status, used = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    return out, wall, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024, child.returncode


def best(runs, ask):
    """Returns the answer and the best wall time in milliseconds of several runs."""
    times, answer = [], None
    for _ in range(runs):
        begin = time.monotonic()
        answer = ask()
        times.append((time.monotonic() - begin) * 1000)
    return answer, min(times)


class Peer:
    """What was measured of one peer."""

    def __init__(self, name):
        self.name, self.note = name, ""
        self.wall = self.cpu = self.memory = self.disk = None
        self.answers, self.millis = {}, {}

    def ask(self, key, runs, how):
        try:
            self.answers[key], self.millis[key] = best(runs, how)
        except Exception as problem:  # One question that fails is no reason to lose the rest.
            self.note += f" {key}: {problem};"


def audithound(args, truth):
    peer = Peer("audithound")
    index = os.path.join(args.cache, "peer.index")
    shutil.rmtree(index, ignore_errors=True)
    tool = args.audithound
    _, peer.wall, peer.cpu, peer.memory, code = run([tool, "index", args.corpus, "--index", index])
    if code != 0:
        peer.note = f" index ended with {code};"
        return peer, Peer("audithound, warm process")
    peer.disk = du(index)

    def text(*command):
        return run([tool, *command, "--index", index])[0].decode()

    queries = {
        "user_403": f"user:{truth['denied_user']} AND code:403",
        "address": f"ip:{truth['denied_address']}",
        "exec": "objectRef.subresource:exec",
        "host_pid": "requestObject.spec.hostPID:true",
        "secrets_list": "resource:secrets AND verb:list",
        "rare": truth["rare_word"],
        "frequent": truth["frequent_word"],
    }
    for key, query in queries.items():
        peer.ask(key, args.runs, lambda q=query: int(text("search", q, "--count")))

    def top():
        rows = text("top", "user", "--limit", "10", "--format", "jsonl").splitlines()
        return [json.loads(row) for row in rows][:10]

    def hours():
        rows = text("histogram", "--interval", "1h", "--format", "jsonl")
        return [json.loads(row) for row in rows.splitlines()]

    peer.ask("top_users", args.runs, lambda: [number(row) for row in top()])
    peer.ask("hours", args.runs, lambda: [number(row) for row in hours()])
    return peer, warm(args, index, queries)


def warm(args, index, queries):
    """Asks the same in one process that keeps decoded columns, but no answers."""
    peer = Peer("audithound, warm process")
    asked = {key: ["count", query] for key, query in queries.items()}
    asked |= {"top_users": ["top", "*"], "hours": ["hours", "*"]}
    child = subprocess.run([args.search, "--ask", index, str(args.runs)], check=True,
                           input=json.dumps(asked).encode(), stdout=subprocess.PIPE)
    for key, told in json.loads(child.stdout.splitlines()[-1]).items():
        peer.answers[key], peer.millis[key] = told["answer"], told["ms"]
    return peer


def number(row):
    """Returns the count of a row whatever its key is called."""
    if "count" in row:
        return int(row["count"])
    return next(value for value in row.values() if isinstance(value, int))


def victoria(args, truth):
    peer = Peer("VictoriaLogs")
    tool = os.path.join(args.cache, "bin", "victoria-logs")
    if not os.path.exists(tool):
        return None
    data = os.path.join(args.cache, "victoria")
    shutil.rmtree(data, ignore_errors=True)
    server = subprocess.Popen(
        [tool, f"-httpListenAddr=127.0.0.1:{PORT}", f"-storageDataPath={data}",
         "-retentionPeriod=100y", "-insert.maxLineSizeBytes=1MiB"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        victoria_asked(args, truth, peer, server)
    finally:
        server.terminate()
        server.wait(timeout=60)
    # What was still in memory is on disk now.
    peer.disk = du(data)
    return peer


def victoria_asked(args, truth, peer, server):
    base = f"http://127.0.0.1:{PORT}"

    def get(path):
        with urllib.request.urlopen(base + path, timeout=120) as answer:
            return answer.read()

    for _ in range(100):
        try:
            get("/health")
            break
        except OSError:
            time.sleep(0.1)
    begin = time.monotonic()
    insert = (f"{base}/insert/jsonline?_stream_fields=stage&_time_field=requestReceivedTimestamp"
              "&_msg_field=requestURI")
    subprocess.run(["curl", "-sS", "-X", "POST", "-T", args.corpus, insert],
                   check=True, stdout=subprocess.DEVNULL)
    get("/internal/force_flush")
    peer.wall = time.monotonic() - begin
    # Merging goes on behind the answer; its time belongs to the ingestion.
    peer.cpu, peer.memory = settled(server.pid), peak_of(server.pid)
    # What it would merge in time is merged for its size and its answers, at no cost to its rate.
    get("/internal/force_merge")
    settled(server.pid)

    def rows(query):
        asked = urllib.parse.urlencode({"query": query, "limit": "100000"})
        return [json.loads(row) for row in get("/select/logsql/query?" + asked).splitlines()]

    def count(query):
        return int(rows(query + " | count() n")[0]["n"])

    queries = {
        "user_403": f'user.username:="{truth["denied_user"]}" responseStatus.code:="403"',
        "address": f'sourceIPs:"{truth["denied_address"]}"',
        "exec": 'objectRef.subresource:="exec"',
        "host_pid": 'requestObject.spec.hostPID:="true"',
        "secrets_list": 'objectRef.resource:="secrets" verb:="list"',
        # A word anywhere cannot be asked without naming the field.
        "rare": f'"requestObject.data.application.yaml":{truth["rare_word"]}',
        "frequent": f'objectRef.resource:{truth["frequent_word"]}',
    }
    for key, query in queries.items():
        peer.ask(key, args.runs, lambda q=query: count(q))
    peer.ask("top_users", args.runs, lambda: [int(row["c"]) for row in rows(
        "* | stats by (user.username) count() c | sort by (c desc) | limit 10")])
    peer.ask("hours", args.runs, lambda: [int(row["c"]) for row in rows(
        "* | stats by (_time:1h) count() c | sort by (_time)")])


def settled(pid):
    """Waits until a process does nothing for three seconds; returns its CPU seconds."""
    last, quiet = cpu_of(pid), 0
    for _ in range(240):
        time.sleep(0.5)
        now = cpu_of(pid)
        quiet = quiet + 1 if now - last < 0.05 else 0
        last = now
        if quiet >= 6:
            break
    return last


def cpu_of(pid):
    """Returns the CPU seconds a process has used."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        parts = stat.read().rsplit(")", 1)[1].split()
    return (int(parts[11]) + int(parts[12])) / os.sysconf("SC_CLK_TCK")


def peak_of(pid):
    """Returns the peak resident memory of a process in bytes."""
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


DUCK_LOAD = """
import duckdb, sys
con = duckdb.connect(sys.argv[2])
con.execute("SET threads TO 2")
con.execute('''CREATE TABLE ev AS SELECT * FROM read_json(?, format='newline_delimited',
  maximum_object_size=16777216, columns={
  auditID:'VARCHAR', stage:'VARCHAR', requestURI:'VARCHAR', verb:'VARCHAR', "user":'STRUCT(username VARCHAR)',
  sourceIPs:'VARCHAR[]', userAgent:'VARCHAR',
  objectRef:'STRUCT(resource VARCHAR, namespace VARCHAR, name VARCHAR, subresource VARCHAR)',
  responseStatus:'STRUCT(code INTEGER)', requestObject:'JSON', responseObject:'JSON',
  requestReceivedTimestamp:'TIMESTAMP', annotations:'JSON'})''', [sys.argv[1]])
con.close()
"""


def duckdb(args, truth):
    try:
        import duckdb as module
    except ImportError:
        return None
    peer = Peer("DuckDB (typed table)")
    path = os.path.join(args.cache, "duck.db")
    if os.path.exists(path):
        os.remove(path)
    _, peer.wall, peer.cpu, peer.memory, code = run(
        [sys.executable, "-c", DUCK_LOAD, args.corpus, path])
    if code != 0:
        peer.note = f" load ended with {code};"
        return peer
    peer.disk = du(path)
    con = module.connect(path, read_only=True)
    con.execute("SET threads TO 2")

    def one(where):
        return con.execute(f"SELECT count(*) FROM ev WHERE {where}").fetchone()[0]

    anywhere = " OR ".join(f"{c} ILIKE '%{{}}%'" for c in (
        "requestURI", "requestObject::VARCHAR", "responseObject::VARCHAR"))
    queries = {
        "user_403": f"\"user\".username = '{truth['denied_user']}' AND responseStatus.code = 403",
        "address": f"list_contains(sourceIPs, '{truth['denied_address']}')",
        "exec": "objectRef.subresource = 'exec'",
        "host_pid": "requestObject->>'$.spec.hostPID' = 'true'",
        "secrets_list": "objectRef.resource = 'secrets' AND verb = 'list'",
        "rare": anywhere.replace("{}", truth["rare_word"]),
        "frequent": anywhere.replace("{}", truth["frequent_word"]),
    }
    for key, where in queries.items():
        peer.ask(key, args.runs, lambda w=where: one(w))
    peer.ask("top_users", args.runs, lambda: [row[1] for row in con.execute(
        'SELECT "user".username, count(*) c FROM ev GROUP BY 1 ORDER BY c DESC LIMIT 10').fetchall()])
    peer.ask("hours", args.runs, lambda: [row[1] for row in con.execute(
        "SELECT date_trunc('hour', requestReceivedTimestamp) h, count(*) FROM ev GROUP BY 1 ORDER BY 1"
    ).fetchall()])
    con.close()
    return peer


def scanners(args, truth):
    """Peers that keep no index: their figure is the time of one question over the corpus."""
    found = []
    if shutil.which("rg"):
        peer = Peer("ripgrep (no index)")
        for key in ("rare", "frequent"):
            word = truth[f"{key}_word"]
            peer.ask(key, args.runs, lambda w=word: int(
                run(["rg", "-c", "-w", "--", w, args.corpus])[0] or 0))
        found.append(peer)
    if shutil.which("jq"):
        peer = Peer("jq (no index)")
        script = (f'select(.user.username=="{truth["denied_user"]}" and .responseStatus.code==403)'
                  ' | .auditID')
        peer.ask("user_403", 1, lambda: len(run(["jq", "-r", script, args.corpus])[0].splitlines()))
        found.append(peer)
    if shutil.which("zstd"):
        peer = Peer("zstd -3 (size only)")
        packed = os.path.join(args.cache, "corpus.zst")
        _, peer.wall, peer.cpu, peer.memory, _ = run(
            ["zstd", "-3", "-q", "-f", args.corpus, "-o", packed])
        peer.disk = du(packed)
        os.remove(packed)
        found.append(peer)
    return found


def expected(key, truth):
    if key == "top_users":
        return [count for _, count in truth["top_users"]]
    if key == "hours":
        return truth["hours"]
    return truth["counts"][key]


def cell(value, form):
    return "-" if value is None else form.format(value)


def table(peers, truth, args):
    size = truth["bytes"]
    # Questions are compared between processes that are warm.
    ours, warm_ours = peers[:2]
    names = [peer.name for peer in peers]
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]

    def row(label, values):
        lines.append(f"| {label} | " + " | ".join(values) + " |")

    def ratio(of, base=ours):
        out = []
        for peer in peers:
            mine, theirs = of(base), of(peer)
            if mine is None or theirs is None or min(mine, theirs) <= 0:
                out.append("-")
            else:
                out.append(f"{theirs / mine:.2f}")
        return out

    row("**index CPU, times ours**", ratio(lambda p: p.cpu))
    row("**index wall, times ours**", ratio(lambda p: p.wall))
    row("**size, times ours**", ratio(lambda p: p.disk))
    row("**memory, times ours**", ratio(lambda p: p.memory))
    for key, label in QUESTIONS:
        row(f"**{label}, times ours**", ratio(lambda p, k=key: p.millis.get(k), warm_ours))
    mega = 1e6
    row("index, MB/s of raw per CPU-second", [cell(p.cpu and size / mega / p.cpu, "{:.1f}") for p in peers])
    row("index, MB/s wall", [cell(p.wall and size / mega / p.wall, "{:.1f}") for p in peers])
    row("size, % of raw", [cell(p.disk and 100 * p.disk / size, "{:.1f}") for p in peers])
    row("peak memory, MB", [cell(p.memory and p.memory / mega, "{:.0f}") for p in peers])
    for key, label in QUESTIONS:
        want = expected(key, truth)
        cells = []
        for peer in peers:
            if key not in peer.millis:
                cells.append("-")
                continue
            wrong = "" if peer.answers[key] == want else " (**another count**)"
            cells.append(f"{peer.millis[key]:.2f} ms{wrong}")
        row(label, cells)
    return lines


def main():
    parser = argparse.ArgumentParser()
    for name in ("corpus", "counts", "cache", "audithound", "search", "out"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    with open(args.counts, encoding="utf-8") as file:
        truth = json.load(file)
    peers, missing = list(audithound(args, truth)), list(NOT_MEASURED)
    for name, measure in (("VictoriaLogs", victoria), ("DuckDB", duckdb)):
        print(f"peers: {name}", file=sys.stderr)
        peer = measure(args, truth)
        missing.append(name) if peer is None else peers.append(peer)
    peers += scanners(args, truth)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True,
                            cwd=os.path.dirname(os.path.abspath(__file__)), check=False).stdout.strip()
    lines = table(peers, truth, args)
    head = [
        f"Corpus: {truth['counts']['all']:,} generated events, {truth['bytes'] / 1e6:,.0f} MB.",
        f"Machine: {os.cpu_count()} cores, {platform.machine()}; {datetime.date.today()}; commit {commit}.",
        f"Best of {args.runs} with a warm page cache.  Questions to audithound are whole processes, and",
        "within one process that keeps no answers; VictoriaLogs' are requests to its running server,",
        "DuckDB's are within one process; what is times ours is measured against the warm process.",
        "A word anywhere cannot be asked of VictoriaLogs; the field was named for it.",
        "Not measured: " + ", ".join(missing) + ".",
        "",
    ]
    notes = [f"{peer.name}:{peer.note}" for peer in peers if peer.note]
    with open(args.out, "w", encoding="utf-8") as file:
        file.write("\n".join(head + lines + ([""] + notes if notes else [])) + "\n")
    wrong = [(p.name, k) for p in peers for k in p.answers if p.answers[k] != expected(k, truth)]
    for name, key in wrong:
        print(f"peers: {name} answers {key} with another count", file=sys.stderr)
    # The product's own counts are held to; what a peer cannot express is marked in the table.
    sys.exit(1 if any(name.startswith("audithound") for name, _ in wrong) or peers[0].note else 0)


if __name__ == "__main__":
    main()
