#!/usr/bin/env bash
# npm run check:manifests: everything that can be said of the manifests without a node, by the tools that are on the path; what is not
# there is named. With SOUK_API_SERVER=<kubeconfig> an API server is asked too. Exit code 1 where one complains.
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

if command -v kustomize >/dev/null; then render=(kustomize build); else render=(kubectl kustomize); fi
has "${render[0]}" || exit 0

# What was skipped is said by the tests themselves.
verdict "tests of what is rendered" npx --no-install vitest run --project integration deploy/tests/
sed -n 's/^skipped: /skipped  /p' "$work/out"

for folder in deploy/overlays/*/ deploy/tests/optional/ deploy/components/data-cnpg-{restore,replica}/; do
  name=$(basename "$folder")
  verdict "$name renders" bash -c '"$@" >"$0"' "$work/$name.yaml" "${render[@]}" "$folder"
done

if has kubeconform; then
  # Schemas are made of the projects' own definitions; where Go cannot fetch these, others' are taken from the net.
  catalog='https://raw.githubusercontent.com/datreeio/CRDs-catalog/main/{{.Group}}/{{.ResourceKind}}_{{.ResourceAPIVersion}}.json'
  schemas=(-schema-location default -schema-location "$catalog")
  if has go && node deploy/tests/definitions.ts "$work/definitions" >"$work/out" 2>&1; then
    verdict "schemas of deploy/versions.yaml" node deploy/tests/schemas.ts "$work/schemas" "$work"/definitions/*
    schemas=(-schema-location "$work/schemas/{{.Group}}_{{.ResourceKind}}_{{.ResourceAPIVersion}}.json")
  fi
  for file in "$work"/*.yaml; do
    verdict "kubeconform $(basename "$file" .yaml)" kubeconform -strict -summary -kubernetes-version 1.34.0 "${schemas[@]}" "$file"
  done
fi

if has kube-score; then
  for name in local ci staging production optional; do
    # Pods are throttled by limits of CPU long before they use what was paid for, so there are none.
    verdict "kube-score $name" kube-score score --ignore-container-cpu-limit --output-format ci --exit-one-on-warning \
      --kubernetes-version v1.34 "$work/$name.yaml"
    grep -E '^\[(CRITICAL|WARNING)\]' "$work/out" || true
  done
fi

if has kube-linter; then
  for name in staging production optional; do verdict "kube-linter $name" kube-linter lint "$work/$name.yaml"; done
fi

if has istioctl; then
  for name in local ci staging production optional; do
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
