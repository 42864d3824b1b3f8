#!/usr/bin/env bash
# Builds docker/worker.Dockerfile where there is no Docker engine and no Docker Hub,
# with buildah in a chroot. What Docker Hub would give has stand-ins: Debian 12 with its
# own Python 3.11, and, for Beam's boot binary, a script that prints its arguments.
#
#   sudo docker/build-without-docker.sh [FOLDER]     (default: /var/tmp/dyso-image)
#   sudo docker/test-without-docker.sh [FOLDER]
#
# It takes as much as 30 GB of disk while it works. The caller's PIP_CONFIG_FILE,
# PIP_INDEX_URL, SSL_CERT_FILE and proxies count; MIRROR is Debian's mirror.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:-/var/tmp/dyso-image}

missing=()
for tool in buildah debootstrap; do
  command -v "$tool" >/dev/null || missing+=("$tool")
done
if ((${#missing[@]})); then
  echo "$0: not found: ${missing[*]}; apt-get install ${missing[*]}" >&2
  exit 1
fi
if [ "$(id -u)" != 0 ]; then
  echo "$0: debootstrap and chroot need root; run it with sudo" >&2
  exit 1
fi

mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
scratch=$(mktemp -d "$folder/build.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
export BUILDAH_ISOLATION=chroot TMPDIR=$scratch
buildah() {
  command buildah --root "$folder/storage" --runroot "$folder/run" \
    --storage-driver vfs "$@"
}
# Makes a folder an image: SOURCE NAME [ENVIRONMENT]
as_image() {
  local container
  container=$(buildah from scratch)
  buildah copy --quiet "$container" "$1" / >/dev/null
  [ -z "${3-}" ] || buildah config --env "$3" "$container"
  buildah commit --quiet --rm "$container" "$2" >/dev/null
}

if ! buildah images --quiet dyso-base >/dev/null 2>&1; then
  echo "base: Debian 12 with its Python 3.11"
  debootstrap --variant=minbase --include=ca-certificates,python3-venv \
    bookworm "$scratch/base" ${MIRROR:+"$MIRROR"} >"$scratch/debootstrap.log" \
    || { tail -n 20 "$scratch/debootstrap.log" >&2; exit 1; }
  rm -rf "$scratch"/base/var/cache/apt/archives/*.deb
  as_image "$scratch/base" dyso-base \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  rm -rf "$scratch/base"
fi

echo "beam: a stand-in whose boot prints its arguments"
mkdir -p "$scratch/beam/opt/apache/beam"
printf '#!/bin/sh\necho "boot stand-in:" "$@"\n' >"$scratch/beam/opt/apache/beam/boot"
chmod 755 "$scratch/beam/opt/apache/beam/boot"
as_image "$scratch/beam" dyso-beam

options=()
config=${PIP_CONFIG_FILE:-/etc/pip.conf}
{
  if [ -f "$config" ]; then cat "$config"; fi
  [ -z "${PIP_INDEX_URL-}" ] || printf '\n[install]\nindex-url = %s\n' "$PIP_INDEX_URL"
} >"$scratch/pip.conf"
[ ! -s "$scratch/pip.conf" ] || options+=(--secret "id=pip,src=$scratch/pip.conf")
# A proxy may have an authority of its own, which this machine trusts.
certificates=/etc/ssl/certs/ca-certificates.crt
trusted=${SSL_CERT_FILE:-$certificates}
[ ! -f "$trusted" ] || options+=(--volume "$trusted:$certificates:ro")

echo "worker: docker/worker.Dockerfile"
start=$SECONDS
buildah build --pull-never --build-arg BASE=localhost/dyso-base \
  --build-arg BEAM=localhost/dyso-beam "${options[@]}" \
  --file docker/worker.Dockerfile --tag dyso-worker .
buildah rm --all >/dev/null
buildah rmi --prune >/dev/null
echo "dyso-worker: built in $((SECONDS - start)) s"
buildah images dyso-worker
echo "next: docker/test-without-docker.sh $folder"
