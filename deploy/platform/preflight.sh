#!/usr/bin/env bash
# Says what is missing before anything is made, all of it at once. preflight.sh machine: before a cluster is created; preflight.sh
# cluster: before the shop comes up in the one that kubectl names.
set -euo pipefail

missing=()
need() { # PROGRAM WHERE-FROM
  command -v "$1" >/dev/null || missing+=("$1 is not on the path: $2")
}

machine() {
  need docker "https://docs.docker.com/engine/install/"
  need kubectl "https://kubernetes.io/docs/tasks/tools/"
  need kind "https://kind.sigs.k8s.io/"
  need ctlptl "https://github.com/tilt-dev/ctlptl"
  need tilt "https://docs.tilt.dev/install.html"
  need istioctl "https://istio.io/latest/docs/setup/getting-started/"
  docker info >/dev/null 2>&1 || missing+=("docker does not answer: start it, or add yourself to its group")
  if [[ $(uname) == Linux ]]; then
    [[ $(stat -fc %T /sys/fs/cgroup) == cgroup2fs ]] || missing+=("this machine mounts cgroup v1; kind nodes from Kubernetes 1.35 on need v2")
    (($(</proc/sys/fs/inotify/max_user_instances) >= 512)) ||
      missing+=("pods will find too many open files: sudo sysctl fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=524288")
    (($(awk '/MemTotal/ {print int($2 / 1024)}' /proc/meminfo) >= 8000)) || missing+=("the cluster and the shop need 8 GiB of memory")
  fi
  for port in 8080 8102; do
    ! (: </dev/tcp/127.0.0.1/$port) 2>/dev/null || missing+=("port $port of 127.0.0.1 is taken, by npm start perhaps")
  done
}

cluster() {
  need kubectl "https://kubernetes.io/docs/tasks/tools/"
  kubectl version >/dev/null 2>&1 || {
    missing+=("no cluster answers: ctlptl apply -f deploy/platform/ctlptl.yaml")
    return
  }
  kubectl get customresourcedefinition peerauthentications.security.istio.io >/dev/null 2>&1 ||
    missing+=("Istio is not in the cluster: deploy/platform/install.sh")
  kubectl get customresourcedefinition grpcroutes.gateway.networking.k8s.io >/dev/null 2>&1 ||
    missing+=("the Gateway API is not in the cluster: deploy/platform/install.sh")
  kubectl get storageclass -o name 2>/dev/null | grep -q . || missing+=("the cluster has no storage class, so stores have nowhere to write")
}

case ${1:-} in
  machine | cluster) "$1" ;;
  *) echo "usage: preflight.sh machine | cluster" >&2 && exit 2 ;;
esac
if ((${#missing[@]} > 0)); then
  printf '%s\n' "${missing[@]}" >&2
  exit 1
fi
echo "$1: all there"
