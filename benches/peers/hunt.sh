#!/usr/bin/env bash
# Puts the same sixteen Sigma rules to the same corpus with audithound, rsigma and jq, checks that the
# counts agree, and writes one table, ratios first, to benches/peers/results/.
#
#   benches/peers/hunt.sh [--events N] [--seed S] [--runs N] [--keep]
#
# The public rules stand beside this checkout (../shared/sigma-rules) and are only copied to
# benches/peers/.cache, which is not committed; benches/peers/further.yml makes them sixteen.
# rsigma is installed there as well, with cargo; jq is the system's.  What is not there is named in
# the table as not measured.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$here/.cache
events=100000 seed=1 runs=5 keep=0
while [ $# -gt 0 ]; do
    case $1 in
        --events) events=$2; shift 2 ;;
        --seed) seed=$2; shift 2 ;;
        --runs) runs=$2; shift 2 ;;
        --keep) keep=1; shift ;;
        *) echo "$1: unknown option (--events N, --seed S, --runs N, --keep)" >&2; exit 2 ;;
    esac
done
mkdir -p "$cache" "$here/results"
log=$cache/install.log
: >"$log"

say() { echo "peers: $*" >&2; }

if [ ! -x "$cache/bin/rsigma" ]; then
    say "building rsigma (some minutes)"
    (cd "$cache" && CARGO_TARGET_DIR=$cache/rsigma-target cargo install --root "$cache" --locked \
        rsigma --version =0.23.0) >>"$log" 2>&1 || say "rsigma could not be built"
    rm -rf "$cache/rsigma-target"
fi

say "building audithound"
(cd "$root" && cargo build --release --quiet && cargo bench --quiet --no-run --bench generate) >>"$log" 2>&1
corpus=$cache/corpus-$events-$seed.log
counts=$cache/corpus-$events-$seed.json
if [ ! -s "$corpus" ] || [ ! -s "$counts" ]; then
    say "generating $events events"
    (cd "$root" && cargo bench --quiet --bench generate -- \
        --events "$events" --seed "$seed" --out "$corpus" --counts "$counts") >&2
fi

rules=$cache/hunt-rules
rm -rf "$rules"
mkdir -p "$rules"
for folder in sigmahq-k8s-audit thirdparty-jaypark81; do
    from=$root/../shared/sigma-rules/$folder
    if [ -d "$from" ]; then cp "$from"/*.y*ml "$rules/"; else say "no rules at $from"; fi
done
cp "$here/further.yml" "$rules/"

python3 "$here/hunt.py" --corpus "$corpus" --counts "$counts" --cache "$cache" --rules "$rules" \
    --audithound "$root/target/release/audithound" --runs "$runs" --out "$here/results/hunt-$events.md"
[ "$keep" = 1 ] || rm -rf "$cache/hunt.index" "$corpus" "$rules"
cat "$here/results/hunt-$events.md"
