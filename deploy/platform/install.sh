#!/usr/bin/env bash
# The platform of a laptop's or CI's cluster: Gateway API and Istio, in the versions of deploy/versions.yaml. Safe to run again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

version() { # NAME
  sed -n "s/^$1: .*installed: \([^ }]*\).*/\1/p" deploy/versions.yaml
}

istio=$(version istio)
found=$(istioctl version --remote=false --short 2>/dev/null || true)
[[ $found == *"$istio"* ]] || echo "istioctl is ${found:-not there}; tested with $istio" >&2

kubectl apply --server-side -f \
  "https://github.com/kubernetes-sigs/gateway-api/releases/download/$(version gatewayApi)/standard-install.yaml"
istioctl install -y -f deploy/platform/istio.yaml --readiness-timeout 5m
kubectl -n istio-system rollout status deployment/istiod --timeout=5m
