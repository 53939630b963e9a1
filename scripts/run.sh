#!/usr/bin/env bash
# `make run`: builds the server, starts it with examples/minimal and a sink as its next hop, sends a few messages
# through, and leaves it running until Ctrl-C. Everything stays on loopback and below ./run.
#
# PORT and SINK_PORT choose other ports than 2525 and 2526.
set -euo pipefail
cd "$(dirname "$0")/.."

export PORT=${PORT:-2525} SINK_PORT=${SINK_PORT:-2526} SPOOL=$PWD/run/spool CONF=$PWD/examples/minimal
programs=${CARGO_TARGET_DIR:-target}/release
log=run/smtpd.log
smtpd= sink=

main() {
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap stop_all EXIT

    step "Building (the first time takes a few minutes)"
    cargo build --release -p smtpd -p bench --bins
    mkdir -p run/spool

    step "Starting a sink on 127.0.0.1:$SINK_PORT, which takes all mail and throws it away"
    "$programs/sink" "127.0.0.1:$SINK_PORT" >run/sink.log 2>&1 &
    sink=$!
    wait_for run/sink.log '^LISTENING' "$sink"

    step "Starting smtpd with examples/minimal on 127.0.0.1:$PORT, spool in run/spool"
    : >"$log"
    # tee must outlive a Ctrl-C, which goes to every process here, or the last lines would be lost.
    "$programs/smtpd" -f -c examples/minimal/smtpd.yaml --config-env-substitution 2> >(exec tee -i "$log" >&2) &
    smtpd=$!
    wait_for "$log" 'Started:' "$smtpd"

    step "One message by hand"
    converse
    wait_for_delivered 1

    step "Five messages by the load generator"
    "$programs/load" -m 5 -c 1 "127.0.0.1:$PORT"
    wait_for_delivered 6

    step "All six are delivered; smtpd goes on running. Ctrl-C stops it"
    echo "Send more:     swaks --server 127.0.0.1:$PORT --to jo@example.com"
    echo "Reload:        kill -HUP $smtpd   (after editing examples/minimal/smtpd-app.yaml)"
    echo "Read on:       docs/operators-guide.md"
    trap 'exit 0' INT # now it is the expected end
    wait "$smtpd"
}

step() { printf '\n== %s\n' "$*"; }

# Waits until a line of a file matches, while the process lives, for at most 20 seconds.
wait_for() {
    local file=$1 pattern=$2 pid=$3
    for _ in {1..200}; do
        grep -q -- "$pattern" "$file" && return
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    echo "run.sh: no line with '$pattern' in $file:" >&2
    cat "$file" >&2
    exit 1
}

# Waits until the log has so many lines about delivered messages.
wait_for_delivered() {
    for _ in {1..200}; do
        [ "$(grep -c '\] delivered ' "$log")" -ge "$1" ] && return
        sleep 0.1
    done
    echo "run.sh: fewer than $1 messages were delivered in 20 seconds" >&2
    exit 1
}

# A whole SMTP session, both sides shown.
converse() {
    exec 3<>"/dev/tcp/127.0.0.1/$PORT"
    hear
    say 'EHLO client.example.net'
    hear
    say 'MAIL FROM:<kim@example.net>'
    hear
    say 'RCPT TO:<jo@example.com>'
    hear
    say 'DATA'
    hear
    say 'From: Kim <kim@example.net>' 'To: Jo <jo@example.com>' 'Subject: Hello' '' 'Hello, Jo.' '.'
    hear
    say 'QUIT'
    hear
    exec 3>&-
}

# Sends lines.
say() {
    printf '%s\r\n' "$@" >&3
    printf 'C: %s\n' "$@"
}

# Shows a reply: lines until one without a hyphen after its code.
hear() {
    local line
    while IFS= read -r -t 10 line <&3; do
        printf 'S: %s\n' "${line%$'\r'}"
        [ "${line:3:1}" = - ] || return 0
    done
    echo 'run.sh: the server hung up or said nothing for 10 seconds' >&2
    exit 1
}

stop_all() {
    trap '' INT TERM
    stop "$smtpd"
    stop "$sink"
}

# Asks a child of ours to stop, and waits for it.
stop() {
    [ -n "$1" ] || return 0
    kill -TERM "$1" 2>/dev/null || true
    wait "$1" 2>/dev/null || true
}

main
