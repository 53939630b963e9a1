#!/usr/bin/env bash
# Installs, below the target directory, what judges DKIM, ARC and SPF from outside: dkimpy, and the published test suite of
# RFC 7208 (in the source package of pyspf; it is not ours to keep here). Does nothing when that is there already.
# Without the network it says what is missing and ends well: the tests then say SKIPPED, unless OUTSIDE=required.
set -euo pipefail
cd "$(dirname "$0")"
folder="${CARGO_TARGET_DIR:-../../target}/outside"
mkdir -p "$folder"
folder="$(cd "$folder" && pwd)"
stamp="$(cat requirements.txt install.sh spf_cases.py | cksum)"
if [ "$(cat "$folder/stamp" 2>/dev/null || true)" = "$stamp" ]; then exit 0; fi
rm -f "$folder/stamp"

install() {
    python3 -m venv --clear "$folder/venv" || return 1
    "$folder/venv/bin/pip" --quiet --disable-pip-version-check install -r requirements.txt || return 1
    # Of the source package only the suite is used.
    "$folder/venv/bin/pip" --quiet --disable-pip-version-check download --no-deps --no-binary :all: \
        --dest "$folder" pyspf==2.0.14 || return 1
    tar -xzf "$folder/pyspf-2.0.14.tar.gz" -C "$folder" pyspf-2.0.14/test/rfc7208-tests.yml || return 1
    "$folder/venv/bin/python" spf_cases.py "$folder/pyspf-2.0.14/test/rfc7208-tests.yml" >"$folder/rfc7208.txt" || return 1
}

if ! install; then
    echo "outside: dkimpy and the suite of RFC 7208 cannot be had (no network, or no python3-venv?)" >&2
    [ "${OUTSIDE:-}" != required ] || exit 1
    exit 0
fi
echo "$stamp" >"$folder/stamp"
