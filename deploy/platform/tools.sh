#!/usr/bin/env bash
# tools.sh FOLDER TOOL...: programs that check and run manifests, in the versions of deploy/versions.yaml; what is in the folder already
# stays. Those that Go can install need Go.
set -euo pipefail
versions=$(dirname "${BASH_SOURCE[0]}")/../versions.yaml
os=$(uname -s | tr '[:upper:]' '[:lower:]')
machine=$(uname -m)
case $machine in x86_64) arch=amd64 ;; aarch64) arch=arm64 machine=arm64 ;; *) arch=$machine ;; esac

version() { # TOOL
  local found
  case $1 in
    istioctl) found=$(sed -n 's/^istio: .*installed: \([^ }]*\).*/\1/p' "$versions") ;;
    *) found=$(sed -n "s/^tools: .*[{ ]$1: \([^ ,}]*\).*/\1/p" "$versions") ;;
  esac
  echo "${found:?deploy/versions.yaml names no version of $1}"
}

fetch() { curl --fail --silent --show-error --location --retry 3 "https://github.com/$1"; }

install_tool() { # TOOL VERSION, into the folder
  local named=$os
  case $1 in
    kustomize) GOBIN=$folder go install "sigs.k8s.io/kustomize/kustomize/v5@v$2" ;;
    kubeconform) GOBIN=$folder go install "github.com/yannh/kubeconform/cmd/kubeconform@v$2" ;;
    kube-score) GOBIN=$folder go install "github.com/zegl/kube-score/cmd/kube-score@v$2" ;;
    kube-linter) GOBIN=$folder go install "golang.stackrox.io/kube-linter/cmd/kube-linter@v$2" ;;
    kind) GOBIN=$folder go install "sigs.k8s.io/kind@v$2" ;;
    ctlptl) GOBIN=$folder go install "github.com/tilt-dev/ctlptl/cmd/ctlptl@v$2" ;;
    promtool)
      fetch "prometheus/prometheus/releases/download/v$2/prometheus-$2.$os-$arch.tar.gz" |
        tar --extract --gzip --directory "$folder" --strip-components 1 "prometheus-$2.$os-$arch/promtool"
      ;;
    tilt)
      [[ $os != darwin ]] || named=mac
      fetch "tilt-dev/tilt/releases/download/v$2/tilt.$2.$named.$machine.tar.gz" |
        tar --extract --gzip --directory "$folder" tilt
      ;;
    skaffold)
      fetch "GoogleContainerTools/skaffold/releases/download/v$2/skaffold-$os-$arch" >"$folder/skaffold"
      chmod +x "$folder/skaffold"
      ;;
    istioctl)
      [[ $os != darwin ]] || named=osx
      fetch "istio/istio/releases/download/$2/istioctl-$2-$named-$arch.tar.gz" |
        tar --extract --gzip --directory "$folder" istioctl
      ;;
    *) echo "tools.sh knows no $1" >&2 && return 2 ;;
  esac
}

(($# > 1)) || { echo "usage: tools.sh FOLDER TOOL..." >&2 && exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
for tool in "$@"; do
  [[ -x $folder/$tool ]] || install_tool "$tool" "$(version "$tool")"
  echo "$tool $(version "$tool")"
done
