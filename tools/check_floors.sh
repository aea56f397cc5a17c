#!/usr/bin/env bash
# A folder under src/ may include only folders on lower floors. Prints what does not, and fails.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=$(git ls-files 'src/*.cc' 'src/*.h' | xargs awk '
  BEGIN {
    n = split("base=0 media_helper=1 http=1 aws=2 sql=2 objects=3 logs=4 audit=4 secrets=4 iam=4 events=4 engine=4 exec=5 services=6 workloads=6 cli=7", a, " ")
    for (i = 1; i <= n; i++) { split(a[i], p, "="); floor[p[1]] = p[2] }
  }
  FNR == 1 { split(FILENAME, q, "/"); here = q[2] }
  /^#include "/ {
    f = $0; sub(/^#include "/, "", f); sub(/".*/, "", f); split(f, r, "/"); there = r[1]
    if (there != here && there in floor && floor[there] >= floor[here]) print FILENAME ": includes " f
  }')
[ -z "$bad" ] || { printf 'includes that go up or across a floor:\n%s\n' "$bad" >&2; exit 1; }
