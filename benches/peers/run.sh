#!/usr/bin/env bash
# Runs the same corpus and the same questions through audithound and its peers, checks that the
# counts agree, and writes one table, ratios first, to benches/peers/results/.
#
#   benches/peers/run.sh [--events N] [--seed S] [--runs N] [--keep]
#
# What the package registries have is installed into benches/peers/.cache (not committed):
# VictoriaLogs as a Go module, DuckDB as a Python package, ripgrep, jq and zstd as Debian packages.
# What cannot be installed is named in the table as not measured.  Servers listen on loopback only,
# answer a bounded number of questions, and are stopped at the end.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$here/.cache
events=1000000 seed=1 runs=5 keep=0
while [ $# -gt 0 ]; do
    case $1 in
        --events) events=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --runs) runs=$2; shift 2 ;;
        --keep) keep=1; shift ;;
        *) echo "$1: unknown option (--events N, --seed S, --runs N, --keep)" >&2; exit 2 ;;
    esac
done
mkdir -p "$cache/bin" "$here/results"
log=$cache/install.log
: >"$log"

say() { echo "peers: $*" >&2; }

# Debian packages: only what is missing, and only where that is allowed.
missing=()
for pair in rg:ripgrep jq:jq zstd:zstd curl:curl; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    say "installing ${missing[*]}"
    { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } >>"$log" 2>&1 ||
        say "some of ${missing[*]} could not be installed"
fi

# The module asks for a version of VictoriaMetrics that the proxy may not serve; a module of our own
# that asks for a later release gets both.
if [ ! -x "$cache/bin/victoria-logs" ] && command -v go >/dev/null; then
    say "building VictoriaLogs (some minutes)"
    module=github.com/VictoriaMetrics/VictoriaLogs
    GOBIN=$cache/bin go install "$module/app/victoria-logs@latest" >>"$log" 2>&1 || {
        mkdir -p "$cache/vl"
        cd "$cache/vl"
        printf 'module peers\n\ngo 1.26\n' >go.mod
        printf '//go:build tools\n\npackage peers\n\nimport _ "%s/app/victoria-logs"\n' "$module" >tools.go
        { go mod edit -require=github.com/VictoriaMetrics/VictoriaMetrics@v1.151.0 &&
            go mod edit -require="$module@v1.51.1-0.20260624061259-dc94972a8708" &&
            go mod tidy && go build -o "$cache/bin/victoria-logs" "$module/app/victoria-logs"; } >>"$log" 2>&1 ||
            say "VictoriaLogs could not be built"
        cd "$root"
    }
fi

if [ ! -d "$cache/venv" ] && command -v python3 >/dev/null; then
    say "installing DuckDB"
    { python3 -m venv "$cache/venv" && "$cache/venv/bin/pip" install -q duckdb; } >>"$log" 2>&1 ||
        say "DuckDB could not be installed"
fi

say "building audithound"
(cd "$root" && cargo build --release --quiet && cargo bench --quiet --no-run --bench generate) >>"$log" 2>&1
search=$(cd "$root" && cargo bench --no-run --bench search --message-format=json 2>>"$log" |
    grep -o '"executable":"[^"]*/deps/search-[^"]*"' | tail -1 | cut -d'"' -f4)
corpus=$cache/corpus-$events-$seed.log
counts=$cache/corpus-$events-$seed.json
if [ ! -s "$corpus" ] || [ ! -s "$counts" ]; then
    say "generating $events events"
    (cd "$root" && cargo bench --quiet --bench generate -- \
        --events "$events" --seed "$seed" --out "$corpus" --counts "$counts") >&2
fi

python=$cache/venv/bin/python3
[ -x "$python" ] || python=python3
"$python" "$here/measure.py" --corpus "$corpus" --counts "$counts" --cache "$cache" \
    --audithound "$root/target/release/audithound" --search "$search" --runs "$runs" \
    --out "$here/results/$events.md"
[ "$keep" = 1 ] || rm -rf "$cache/victoria" "$cache/peer.index" "$cache/duck.db" "$corpus"
cat "$here/results/$events.md"
