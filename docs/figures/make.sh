#!/bin/sh
# The figures of docs/hypernyms.md, made from the bundled sample; needs mindkg[plot] and mindkg in PATH.
set -eu
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mindkg build examples/sample.csv -o "$work/kb"
mindkg build examples/sample.csv --field tail -o "$work/tail-kb"
mindkg hypernyms "$work/kb" -o "$work/report" --focus clothing
mindkg hypernyms "$work/kb" -o "$work/compared" --compare "$work/tail-kb" --names answers,tails --limit 500

for name in top-concepts coverage heat-relation hierarchy neighbourhood; do
    cp "$work/report/figures/$name.svg" docs/figures/
done
cp "$work/compared/figures/comparison-relations.svg" docs/figures/
