#!/usr/bin/env python3
"""Talks to other mail programs, both ways, and prints what came of it as Markdown.

    cargo build -p smtpd && python3 scripts/interop target/debug >/tmp/interop.md

Runs on loopback, in a scratch directory, as root (Postfix and Exim want it). What is not installed is left out and said.
Debian: apt-get install postfix swaks openssl; Exim conflicts with Postfix, so unpack it and name it:

    apt-get download exim4-daemon-light exim4-base && for deb in exim4-*.deb; do dpkg -x $deb exim; done
    useradd -r -M Debian-exim; EXIM=$PWD/exim/usr/sbin/exim4 python3 scripts/interop target/debug
"""

import pathlib
import subprocess
import sys
import tempfile

import chains
import clients
import servers
import sink as sinks

failures = 0


def table(title, results):
    global failures
    passed = sum(1 for _, verdict, _ in results if verdict == "yes")
    failures += len(results) - passed
    print(f"\n### {title}: {passed} of {len(results)}\n\n| Case | Works | Seen |\n|---|---|---|")
    for what, verdict, note in results:
        print(f"| {what} | {verdict} | {note} |")
    sys.stdout.flush()


def chain(scratch, programs, other, ours_first):
    """One order of the two servers, with TLS between them where they agree on it."""
    sink = sinks.Sink()
    running = []
    try:
        if ours_first:
            running.append(other(scratch / "second", sink.port))
            running.append(servers.Smtpd(scratch / "first", programs, running[0].port))
            title = f"client → smtpd → {other.name} → sink"
        else:
            running.append(servers.Smtpd(scratch / "second", programs, sink.port))
            running.append(other(scratch / "first", running[0].port))
            title = f"client → {other.name} → smtpd → sink"
        table(title, chains.Chain(running[-1], sink).run())
    finally:
        for server in reversed(running):
            server.stop()


def main():
    programs = pathlib.Path(sys.argv[1]).resolve()
    only = sys.argv[2:]
    with tempfile.TemporaryDirectory(prefix="interop-") as scratch:
        scratch = pathlib.Path(scratch)
        scratch.chmod(0o755)
        for other in (servers.Postfix, servers.Exim):
            if only and other.name.lower() not in only:
                continue
            if not (version := other.version()):
                print(f"\n{other.name} is not here (or this is not root): left out")
                continue
            print(f"\n## {other.name} {version}")
            chain(scratch / f"{other.name}-second", programs, other, ours_first=True)
            chain(scratch / f"{other.name}-first", programs, other, ours_first=False)
        for name, runner, arguments in (("swaks", clients.Swaks, ["--version"]), ("openssl", clients.OpenSsl, ["version"])):
            if only and name not in only:
                continue
            if not (version := clients.version(name, *arguments)):
                print(f"\n{name} is not here: left out")
                continue
            sink = sinks.Sink()
            server = servers.Smtpd(scratch / name, programs, sink.port)
            try:
                table(version, runner(server, sink).run())
            finally:
                server.stop()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
