#!/usr/bin/env bash
# Counts the instructions of indexing 20,000 events and of asking twenty questions, and prints the
# change against the committed numbers in benches/instructions.txt.
#
#   benches/instructions.sh [--write]
#
# Instructions do not depend on how busy the machine is; they do depend on the compiler and on what
# the processor offers (valgrind shows its own), so changes below one percent mean nothing.
# Prints a message and succeeds where valgrind is missing.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/.." && pwd)
known=$here/instructions.txt
if ! command -v valgrind >/dev/null; then
    echo "instructions: valgrind is not installed, nothing counted"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$root"

# Returns the path of a bench program, built if need be.
program() {
    cargo bench --no-run --bench "$1" --message-format=json 2>/dev/null |
        grep -o "\"executable\":\"[^\"]*/deps/$1-[^\"]*\"" | tail -1 | cut -d'"' -f4
}

# Prints the instructions of a command.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$@" 2>"$work/valgrind" >/dev/null ||
        { cat "$work/valgrind" >&2; exit 1; }
    sed -n 's/.*Collected : //p' "$work/valgrind"
}

generate=$(program generate) ingest=$(program ingest) search=$(program search)
"$generate" --events 20000 --seed 1 --out "$work/corpus.log" >/dev/null
index=$(count "$ingest" --child-build "$work/corpus.log" "$work/index" 1)
questions=$(count "$search" --twenty "$work/index")
if [ "${1:-}" = --write ]; then
    printf 'index %s\nquestions %s\n' "$index" "$questions" >"$known"
    echo "instructions: written"
fi
for line in "index $index" "questions $questions"; do
    name=${line% *} now=${line#* }
    then=$(sed -n "s/^$name //p" "$known" 2>/dev/null || true)
    if [ -n "$then" ]; then
        # Not %d: some awks know 32 bits only.
        awk -v name="$name" -v now="$now" -v then="$then" 'BEGIN {
            printf "instructions: %-10s %15.0f, %+.2f %% against %.0f\n", name, now, 100 * (now - then) / then, then }'
    else
        echo "instructions: $name $now, no number committed"
    fi
done
