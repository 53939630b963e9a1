#!/usr/bin/env bash
# Asks MaxMind's own test databases through the module geoip, and all that are broken on purpose whether they break more than the
# answer. Fetches them, pinned, from GitHub. Usage: geoip.sh HSH [DIRECTORY]
set -euo pipefail
hsh=$(realpath "$1")
dir=${2:-$(mktemp -d)}
cd "$dir"
commit=2f18851
[ -d MaxMind-DB ] || git clone -q https://github.com/maxmind/MaxMind-DB
git -C MaxMind-DB checkout -q "$commit"
ask() {
    printf 'version: "6.10"\nplugins: [{id: geoip, config: {path: "%s"}}]\n' "$PWD/$1" >geoip.yaml
    echo "import { geoip } from \"extras://geoip\"; echo geoip(\"$2\");" | timeout 20 "$hsh" -c geoip.yaml -
}
status=0
expect() {
    local got
    got=$(ask "MaxMind-DB/test-data/$1" "$2")
    if [ "$got" = "$3" ]; then echo "$1 $2: $got"; else echo "$1 $2: $got, not $3"; status=1; fi
}
expect GeoIP2-Country-Test.mmdb 89.160.20.112 '["country"=>"Sweden","iso_code"=>"SE"]'
expect GeoIP2-Country-Test.mmdb 2001:218::1 '["country"=>"Japan","iso_code"=>"JP"]'
expect GeoIP2-Country-Test.mmdb 10.0.0.1 '[]'
expect GeoLite2-ASN-Test.mmdb 1.128.0.1 '["organization"=>"Telstra Pty Ltd","number"=>1221]'
count=0
for file in MaxMind-DB/test-data/*.mmdb MaxMind-DB/bad-data/*/*.mmdb; do
    for address in 1.1.1.1 ::1 89.160.20.112; do
        # An error of the script is an answer, too; a signal is not.
        ask "$file" "$address" >out 2>&1 || [ $? -lt 124 ] || { echo "$file: status $?"; status=1; }
        ! grep -q panicked out || { echo "$file: $(cat out)"; status=1; }
    done
    count=$((count + 1))
done
echo "$count databases asked"
exit $status
