#!/usr/bin/env bash
# Creates a key for Prometheus and a reader for Grafana, and writes them to their files. Valid
# existing ones are kept.
set -euo pipefail

key=${PROMETHEUS_KEY_FILE:-/run/verbatim/prometheus/key}
password=${GRAFANA_PASSWORD_FILE:-/run/verbatim/grafana/password}

# Prometheus and Grafana run under other accounts. The folders are mounted only for them.
umask 022

# has COMMAND NAME: succeeds if the list has the name and it is not revoked.
has() {
    verbatim "$1" list | awk -F '  +' -v name="$2" '
        NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
        $column["NAME"] == name && (!("REVOKED" in column) || $column["REVOKED"] == "-") { found = 1 }
        END { exit !found }'
}

# keep FILE: replaces the file with standard input, completely or not at all.
keep() {
    cat >"$1.new"
    [[ -s $1.new ]] || { echo "Nothing was made for $1" >&2 && exit 1; }
    mv "$1.new" "$1"
}

if [[ -s $key ]] && has keys prometheus; then
    echo "The key of Prometheus is there."
else
    verbatim keys create --name prometheus --scope analytics | keep "$key"
    echo "A key for Prometheus was made."
fi

if [[ -s $password ]] && has readers grafana; then
    echo "The reader of Grafana is there."
else
    # A password is shown once, so a lost one is replaced.
    if has readers grafana; then
        verbatim readers drop grafana
    fi
    verbatim readers create --name grafana | awk '$1 == "password" { printf "%s", $2 }' | keep "$password"
    echo "A reader for Grafana was made."
fi
