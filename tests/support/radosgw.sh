#!/usr/bin/env bash
# radosgw.sh DIR RGW_PORT MON_PORT: Ceph's S3 server on loopback with its data in memory, for tests. Prints "ready" when it answers;
# ends, with everything it started, when its standard input is closed. Runs as whoever calls it, without systemd.
set -euo pipefail
dir=$1 port=$2 mon=$3
supervisor=
finish() {
  # The loop first, so that it starts no other; then what it and the rest have running.
  if [ -n "$supervisor" ]; then
    touch "$dir/stop"
    pkill -P "$supervisor" || true
  fi
  kill $(jobs -p) 2>/dev/null || true
  wait
  rm -rf "$dir"
}
trap finish EXIT
mkdir -p "$dir"/{mon,osd,rgw,run}
fsid=$(cat /proc/sys/kernel/random/uuid)
cat >"$dir/ceph.conf" <<CONF
[global]
fsid = $fsid
mon host = v2:127.0.0.1:$mon
mon initial members = a
public addr = 127.0.0.1
cluster addr = 127.0.0.1
keyring = $dir/keyring
run dir = $dir/run
admin socket = $dir/run/\$name.asok
log file = $dir/run/\$name.log
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail warn = 1
mon data avail crit = 1
[mon]
mon data = $dir/mon
mon cluster log file = $dir/run/cluster.log
[osd]
osd data = $dir/osd
osd objectstore = memstore
memstore device bytes = 2147483648
[client.rgw.a]
rgw frontends = beast tcp_nodelay=1 endpoint=127.0.0.1:$port
rgw dns name = localhost
CONF
conf=(-c "$dir/ceph.conf")
key() { ceph-authtool "$dir/keyring" --gen-key -n "$@" >/dev/null; }
ceph-authtool -C "$dir/keyring" --gen-key -n mon. --cap mon 'allow *' >/dev/null
key client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
key osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
key client.rgw.a --cap mon 'allow rw' --cap osd 'allow rwx'
monmaptool --create --fsid "$fsid" --addv a "[v2:127.0.0.1:$mon]" "$dir/monmap" >/dev/null
ceph-mon "${conf[@]}" -i a --mkfs --monmap "$dir/monmap" --keyring "$dir/keyring" &>/dev/null
ceph-mon "${conf[@]}" -i a -f </dev/null &>/dev/null &
osd=$(cat /proc/sys/kernel/random/uuid)
ceph "${conf[@]}" osd new "$osd" 0 &>/dev/null
ceph "${conf[@]}" osd crush add-bucket default root &>/dev/null || true
ceph "${conf[@]}" osd crush add osd.0 1.0 root=default host=h &>/dev/null
ceph-osd "${conf[@]}" -i 0 --mkfs --osd-uuid "$osd" &>/dev/null
ceph-osd "${conf[@]}" -i 0 -f </dev/null &>/dev/null &
# Version 16 dies of some UploadPartCopy requests: it is started again.
(
  trap - EXIT
  while [ ! -e "$dir/stop" ]; do
    radosgw "${conf[@]}" -f -n client.rgw.a --rgw-data "$dir/rgw" </dev/null &>/dev/null || true
  done
) &
supervisor=$!
for _ in $(seq 600); do
  curl -s -o /dev/null "http://127.0.0.1:$port/" && break
  sleep 0.1
done
radosgw-admin "${conf[@]}" user create --uid test --display-name test --access-key AKIDEXAMPLE \
  --secret-key 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' >/dev/null 2>&1
echo ready
cat >/dev/null
