# Sourced by ./run, ./test and .ci/run: packages, builds, and one sentence when something cannot go on.

source tools/duckdb.sh

die() {
  printf '%s: %s\n' "$(basename "$0")" "$1" >&2
  exit "${2:-1}"
}

note() { printf '== %s\n' "$1" >&2; }

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else
    die "installing packages needs root: run this as root, or install sudo"
  fi
}

# install_packages LIST…: installs tools/packages/LIST.txt, once for each content of the list.
install_packages() {
  local list missing=() name
  for list in "$@"; do
    while read -r name _; do
      case "$name" in '' | '#'*) continue ;; esac
      if ! dpkg-query -W -f='${Status}' "$name" 2>/dev/null | grep -q 'ok installed'; then
        # A name may be provided by another package (nodejs of another source brings npm with it).
        case "$name" in npm) command -v npm >/dev/null && continue ;; esac
        missing+=("$name")
      fi
    done <"tools/packages/$list.txt"
  done
  [ ${#missing[@]} -gt 0 ] || return 0
  [ -r /etc/debian_version ] && command -v apt-get >/dev/null ||
    die "this needs Debian 12 (or a relative of it) to install: ${missing[*]}"
  local free_kib
  free_kib=$(df -Pk . | awk 'NR==2 {print $4}')
  [ "$free_kib" -gt 2000000 ] || die "only $((free_kib / 1024)) MiB are free here; building needs 2 GB"
  note "installing ${#missing[@]} Debian packages"
  local log
  log=$(mktemp)
  if ! as_root env DEBIAN_FRONTEND=noninteractive sh -c '
        apt-get -q update && apt-get -q install -y --no-install-recommends "$@"' sh "${missing[@]}" >"$log" 2>&1; then
    tail -n 5 "$log" >&2
    die "apt-get could not install ${missing[*]}; is the network there? (log: $log)"
  fi
  rm -f "$log"
}

# build PRESET TARGET…: configures (when needed) and builds into build/PRESET.
build() {
  local preset=$1
  shift
  fetch_duckdb
  if [ ! -f "build/$preset/build.ninja" ]; then
    note "configuring build/$preset"
    cmake --preset "$preset" >"/tmp/millrace-cmake.$$" 2>&1 || {
      tail -n 15 "/tmp/millrace-cmake.$$" >&2
      die "cmake could not configure build/$preset"
    }
    rm -f "/tmp/millrace-cmake.$$"
  fi
  local quiet=()
  if [ -t 2 ]; then export NINJA_STATUS='   [%p %f/%t] '; else quiet=(--quiet); fi
  [ -z "$(ninja -C "build/$preset" -n "$@" 2>/dev/null | grep -v 'Entering\|no work\|Re-checking')" ] ||
    note "building build/$preset (the first time takes some minutes)"
  ninja -C "build/$preset" "${quiet[@]}" "$@" >&2 || die "the build failed; the first error is above"
}
