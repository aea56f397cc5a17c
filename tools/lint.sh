#!/usr/bin/env bash
# tools/lint.sh BUILD_DIR [FILE…]: clang-tidy over src/ (or the files named) with the checks of .clang-tidy.
set -euo pipefail
cd "$(dirname "$0")/.."
build=$1
shift
# The sanitizer flags of g++ mean nothing to clang-tidy and slow it down.
mkdir -p build/lint
sed -E 's/-fsanitize=[^ ]+//g; s/-fno-sanitize-recover=all//g; s/"command": "[^"]*ccache /"command": "/' \
  "$build/compile_commands.json" >build/lint/compile_commands.json
[ $# -gt 0 ] || mapfile -t files < <(git ls-files 'src/*.cc' | grep -v '^src/aws/tables/')
status=0
printf '%s\n' "${@:-${files[@]}}" | xargs -P"$(nproc)" -n 4 clang-tidy-19 --quiet -p build/lint >build/lint/log 2>&1 || status=1
grep -E 'error:|warning:' -A 4 build/lint/log || true
[ "$status" = 0 ] || { echo "clang-tidy found something: see above" >&2; exit 1; }
