#!/usr/bin/env bash
# Imports the files beside this script into an empty database of a Neo4j that is stopped:
#
#     bash import.sh [csv|parquet] [DATABASE] [more options of neo4j-admin …]
#
# NEO4J_ADMIN names the admin tool where neo4j-admin is not on the PATH. README.md says what comes afterwards.
set -eu
cd "$(dirname "$0")"
form=${1:-csv}
database=${2:-neo4j}
shift $(($# < 2 ? $# : 2))
report=--report-file=${TMPDIR:-/tmp}/mindkg-import.report  # this folder may be one that cannot be written to
case $form in
csv)
  exec "${NEO4J_ADMIN:-neo4j-admin}" database import full "$database" CSV_ARGUMENTS "$report" "$@"
  ;;
parquet)
  exec "${NEO4J_ADMIN:-neo4j-admin}" database import full "$database" PARQUET_ARGUMENTS "$report" "$@"
  ;;
*)
  echo "usage: bash import.sh [csv|parquet] [DATABASE]" >&2
  exit 2
  ;;
esac
