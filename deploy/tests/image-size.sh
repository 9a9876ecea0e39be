#!/usr/bin/env bash
# image-size.sh IMAGE BASE: an image may add 100 MB to its base, and runs as a numeric user.
set -euo pipefail
most=100
size() { docker image inspect --format '{{.Size}}' "$1"; }
docker image inspect "$2" >/dev/null 2>&1 || docker pull --quiet "$2"
added=$((($(size "$1") - $(size "$2")) / 1000000))
user=$(docker image inspect --format '{{.Config.User}}' "$1")
echo "$1 adds $added MB to $2 and runs as $user"
[[ $user =~ ^[0-9]{5,}:[0-9]{5,}$ ]] && ((added <= most))
