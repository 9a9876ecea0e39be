#!/usr/bin/env bash
# Every linter that is on the path, on every overlay; those that are not are named. Exit code 1 where one complains.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failed=0

has() { # TOOL
  command -v "$1" >/dev/null || {
    echo "skipped  $1 is not on the path"
    return 1
  }
}

verdict() { # TEXT COMMAND...
  local text=$1
  shift
  if "$@" >"$work/out" 2>&1; then
    echo "ok       $text"
  else
    failed=1
    echo "FAIL     $text"
    head -n 40 "$work/out" | sed 's/^/         /'
  fi
}

if has kustomize; then render=(kustomize build); elif has kubectl; then render=(kubectl kustomize); else exit 0; fi
for folder in deploy/overlays/*/ deploy/tests/optional/ deploy/components/data-cnpg-{restore,replica}/; do
  name=$(basename "$folder")
  verdict "$name renders" bash -c '"$@" >"$0"' "$work/$name.yaml" "${render[@]}" "$folder"
done

# Schemas come from the net, or from where schemas.ts has written them.
catalog='https://raw.githubusercontent.com/datreeio/CRDs-catalog/main/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json'
online=()
[[ -n ${KUBE_SCHEMAS:-} ]] || online=(-schema-location default -schema-location "$catalog")
if has kubeconform; then
  for file in "$work"/*.yaml; do
    verdict "kubeconform $(basename "$file" .yaml)" kubeconform -strict -summary -kubernetes-version 1.34.0 \
      ${KUBE_SCHEMAS:+-schema-location "$KUBE_SCHEMAS"} ${online[@]+"${online[@]}"} "$file"
  done
fi

if has kube-score; then
  for name in ci staging production; do
    # Pods are throttled by limits of CPU long before they use what was paid for, so there are none.
    verdict "kube-score $name" kube-score score --ignore-container-cpu-limit --output-format ci --exit-one-on-warning \
      --kubernetes-version v1.34 "$work/$name.yaml"
    grep -E '^\[(CRITICAL|WARNING)\]' "$work/out" || true
  done
fi

if has kube-linter; then
  for name in staging production; do verdict "kube-linter $name" kube-linter lint "$work/$name.yaml"; done
fi

if has istioctl; then
  for name in local ci staging production; do
    verdict "istioctl analyze $name" istioctl analyze --use-kube=false --failure-threshold Warning "$work/$name.yaml"
  done
fi

if docker compose version >/dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
if has "${compose[0]}"; then
  verdict "compose.yaml" "${compose[@]}" --file compose.yaml --profile shop config --quiet
fi

if has promtool; then
  sed -n '/^  groups:/,$p' deploy/components/observability/rules.yaml | sed 's/^  //' >"$work/rules.yaml"
  cp deploy/components/observability/rules.test.yaml "$work/"
  verdict "promtool check rules" promtool check rules "$work/rules.yaml"
  verdict "promtool test rules" promtool test rules "$work/rules.test.yaml"
  verdict "promtool check config" promtool check config --syntax-only deploy/compose/prometheus.yaml
fi
exit "$failed"
