#!/bin/sh
# From the bundled sample to a knowledge graph and three questions: `make demo` runs this with the venv's bin in PATH.
set -eu
cd "$(dirname "$0")/.."
KB=demo-kb

show() {
    printf '\n$ %s\n' "$*"
    "$@"
}

show mindkg build examples/sample.csv -o "$KB" --load ladybug --load oxigraph
show mindkg info "$KB"

show mindkg query "$KB" relation-counts
show mindkg query "$KB" top-hypernyms -p limit=10
# what goes with a hiking backpack; the engines give the same rows in the same order
show mindkg query "$KB" also-bought-for-the-same-reason -p product=MKG0000018 --engine oxigraph

show mindkg export "$KB" --to turtle
printf '\na co-buy and an intention in %s:\n' "$KB/exports/kb.ttl"
sed -n '/^cobuy:/,/^$/p' "$KB/exports/kb.ttl" | head -n 8
sed -n '/^intention:/,/^$/p' "$KB/exports/kb.ttl" | head -n 6
