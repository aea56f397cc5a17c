# Sourced by tools/setup.sh: DuckDB's header and library, which Debian 12 has no package for.

# fetch_duckdb: makes third_party/duckdb with what tools/duckdb.lock names, unless DuckDB is installed or it is there already.
fetch_duckdb() {
  local into=third_party/duckdb lock=tools/duckdb.lock registry work name member address sum
  cmp -s "$lock" "$into/lock" && return 0
  [ -f /usr/include/duckdb.h ] || [ -f /usr/local/include/duckdb.h ] && return 0
  [ "$(uname -m)" = x86_64 ] ||
    die "there is no locked DuckDB for $(uname -m): install DuckDB (duckdb.h and libduckdb.so) and run this again"
  registry=${npm_config_registry:-https://registry.npmjs.org}
  note "fetching DuckDB (35 MB)"
  mkdir -p third_party
  work=$(mktemp -d third_party/.duckdb.XXXXXX)
  while read -r name member address sum; do
    case "$name" in '' | '#'*) continue ;; esac
    curl -fsSL --retry 3 -o "$work/archive" "${registry%/}/$address" ||
      { rm -rf "$work"; die "DuckDB could not be fetched from ${registry%/}/$address; is the network there?"; }
    echo "$sum  $work/archive" | sha512sum --check --status ||
      { rm -rf "$work"; die "${registry%/}/$address is not the file that $lock names (SHA-512 differs)"; }
    tar -xzOf "$work/archive" "$member" >"$work/$name"
  done <"$lock"
  rm "$work/archive"
  cp "$lock" "$work/lock"
  chmod 755 "$work"
  rm -rf "$into"
  mv -T "$work" "$into" 2>/dev/null || rm -rf "$work"  # another one was faster
}
