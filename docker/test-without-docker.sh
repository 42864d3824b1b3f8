#!/usr/bin/env bash
# Tests the image that docker/build-without-docker.sh built: who runs, what is in it,
# that it renders without a network the bytes that are rendered outside, and that Beam's
# workers start in it.
#
#   sudo docker/test-without-docker.sh [FOLDER]     (default: /var/tmp/dyso-image)
#
# DYSO is the dyso outside to compare with (default: .venv/bin/dyso), of the same code
# and packages. Pictures stay in FOLDER/pictures.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(cd "${1:-/var/tmp/dyso-image}" && pwd)
dyso=${DYSO:-.venv/bin/dyso}
out=$folder/out
buildah=(
  buildah --root "$folder/storage" --runroot "$folder/run" --storage-driver vfs
)
export BUILDAH_ISOLATION=chroot
container=

clean() {
  [ -z "$container" ] || "${buildah[@]}" rm "$container" >/dev/null
  rm -rf "$out"
}
fail() {
  echo "FAILED: $*" >&2
  exit 1
}
ok() { echo "ok  $*"; }
# Runs a command in the container, as the image's user.
inside() { "${buildah[@]}" run --volume "$out:/out" "$container" -- "$@"; }
# Runs what `docker run --network none IMAGE ...` would.
started() {
  unshare --net "${buildah[@]}" run --volume "$out:/out" ${user:+--user "$user"} \
    "$container" -- "${entrypoint[@]}" "$@"
}

trap clean EXIT
rm -rf "$out" "$folder/pictures"
mkdir -m 1777 "$out"
container=$("${buildah[@]}" from --pull-never dyso-worker)
mapfile -t entrypoint < <("${buildah[@]}" inspect --type image \
  --format '{{range .OCIv1.Config.Entrypoint}}{{println .}}{{end}}' dyso-worker \
  | sed '/^$/d')
user=

[ "$(inside id -u)" = 1000 ] || fail "runs as $(inside id)"
ok "runs as $(inside id)"
# shellcheck disable=SC2016
tools=$(inside sh -c \
  'for tool in as c++ cc cmake g++ gcc ld make; do command -v $tool; done; :')
[ -z "$tools" ] || fail "in the image: $tools"
ok "no compilers"
[ -z "$(inside find / -xdev -path /proc -prune -o -path /out -prune \
  -o -type d -path '*/.cache/pip' -print 2>/dev/null)" ] || fail "pip's cache is there"
! inside touch /opt/venv/written 2>/dev/null || fail "/opt/venv can be written"
ok "no pip cache; the environment cannot be written"

grep -q '^usage: dyso COMMAND' <<<"$(started)" || fail "no arguments: no help"
grep -q '^usage: dyso COMMAND' <<<"$(started --help)" || fail "--help: no help"
flags=(--id=1-1 --provision_endpoint=localhost:9)
[ "$(started "${flags[@]}")" = "boot stand-in: ${flags[*]}" ] || fail "no boot"
status=0
started nonsense 2>/dev/null || status=$?
[ "$status" = 2 ] || fail "dyso nonsense exits with $status"
ok "dispatch: help, dyso, Beam's boot"
started doctor || fail "doctor"

start=$SECONDS
started render specs/demo.yaml --split train --index 0 --out /out/inside
ok "rendered without a network in $((SECONDS - start)) s"
"$dyso" render specs/demo.yaml --split train --index 0 --out "$out/outside"
cp -r "$out/inside" "$folder/pictures"
diff -r "$out/inside" "$out/outside" || fail "not the bytes rendered outside"
[ "$(stat -c %u "$out/inside/scene.json")" = 1000 ] || fail "files of another user"
ok "$(find "$out/inside" -type f | wc -l) files, the same bytes as outside"
user=4242:4242
started render specs/demo.yaml --index 0 --resolution 32 --samples 1 --out /out/other
user=
[ "$(stat -c %u "$out/other/scene.json")" = 4242 ] || fail "files of another user"
ok "renders as any other user"

# shellcheck disable=SC2016
status=$(inside sh -c '"$@" >/dev/null 2>&1 & sleep 10; kill $!; wait $!; echo $?' sh \
  "${entrypoint[@]}" render specs/demo.yaml --resolution 2048 --out /out/ended)
[ "$status" = 143 ] || fail "after SIGTERM it exits with $status"
ok "SIGTERM ends it"

# Beam's Python side of an SDK container: a pool that starts workers for a job, which is
# begun in the image too, so that both know the assets by the same paths.
port=$(python3 -c 'import socket
with socket.socket() as s: s.bind(("localhost", 0)); print(s.getsockname()[1])')
start=$SECONDS
# shellcheck disable=SC2016
"${buildah[@]}" run --hostname localhost --volume "$out:/out" "$container" -- sh -c '
  python -m apache_beam.runners.worker.worker_pool_main --service_port="$1" \
    >/out/pool.log 2>&1 &
  timeout 600 python beam_pipeline.py --spec specs/demo.yaml --limit 1 \
    --output /out/beam --runner=PortableRunner --job_endpoint=embed \
    --environment_type=EXTERNAL --environment_config="localhost:$1"
  status=$?
  kill $!
  exit $status' sh "$port" \
  || { tail -n 30 "$out/pool.log" >&2; fail "the Beam job"; }
grep -q 'Starting worker with command' "$out/pool.log" || fail "Beam used no worker"
ok "Beam job on workers in the image: $((SECONDS - start)) s"
"$dyso" generate specs/demo.yaml --limit 1 --out "$out/generated" >/dev/null
for shard in "$out"/generated/*array_record*; do
  cmp "$shard" "$out/beam/$(basename "$shard")" || fail "not the records made outside"
done
ok "its records are the bytes made outside"
echo "all passed; look at $folder/pictures"
