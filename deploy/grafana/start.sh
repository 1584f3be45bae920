#!/bin/sh
# Starts Grafana with the dashboards of Verbatim: writes them to VERBATIM_DASHBOARDS with the page's
# address (VERBATIM_PAGE_URL) in their links, reads the reader's password, and runs the given command.
set -eu

: "${VERBATIM_DASHBOARDS:?names the folder to write to}"
source=${VERBATIM_DASHBOARDS_SOURCE:-/etc/verbatim/dashboards}
page=${VERBATIM_PAGE_URL:-http://localhost:8080}

# The URL becomes part of JSON, and of a sed replacement.
case $page in
http://* | https://*) ;;
*) echo "VERBATIM_PAGE_URL begins with http:// or https://: $page" >&2 && exit 1 ;;
esac
case $page in
*[\"\\\&\|\ ]*) echo "VERBATIM_PAGE_URL has a character that an address of a page does not have: $page" >&2 && exit 1 ;;
esac

mkdir -p "$VERBATIM_DASHBOARDS"
rm -f "$VERBATIM_DASHBOARDS"/*.json
for file in "$source"/*.json; do
    sed "s|http://localhost:8080|${page%/}|g" "$file" >"$VERBATIM_DASHBOARDS/${file##*/}"
done

if [ -n "${VERBATIM_READER_PASSWORD_FILE:-}" ]; then
    VERBATIM_READER_PASSWORD=$(cat "$VERBATIM_READER_PASSWORD_FILE")
    export VERBATIM_READER_PASSWORD
fi

exec "$@"
