"""swaks with each of its options, and openssl s_client, against our server."""

import shutil
import subprocess

STOPS = ["connect", "first-helo", "tls", "helo", "mail", "rcpt"]


def version(program, *arguments):
    if not shutil.which(program):
        return None
    return subprocess.run([program, *arguments], capture_output=True, text=True).stdout.splitlines()[0].strip()


def last(text, letters="<"):
    """What the server said last, for the table."""
    replies = [line for line in text.splitlines() if line[:2].strip().startswith(tuple(letters)) and line[4:].strip()]
    return replies[-1].strip().lstrip("<-~* ").strip().replace("|", "/")[:80] if replies else ""


class Swaks:
    """What each option does, and whether mail must arrive. A case: options, whether the sink gets the message, the exit
    status that is right (None: any), and what must be in the transcript."""

    def __init__(self, server, sink):
        self.server, self.sink, self.results = server, sink, []

    def run(self):
        for title, options, arrives, status, wanted in self.cases():
            self.case(title, options, arrives, status, wanted)
        return self.results

    def case(self, title, options, arrives, status, wanted):
        subject = f"swaks-{len(self.results)}"
        command = ["swaks", "--from", "a@a.example", "--to", "b@b.example", "--timeout", "10",
                   "--header", f"Subject: {subject}", "--server", "127.0.0.1"]
        if any(option in ("--socket", "--pipe") for option in options):
            command = command[:-2]
        elif not any(option in ("--port", "-p") for option in options):
            command += ["--port", str(self.server.port)]
        run = subprocess.run(command + options, capture_output=True, text=True, errors="replace", timeout=60)
        text = run.stdout + run.stderr
        found = self.wait(subject) if arrives else self.sink.find(subject)
        passed = bool(found) == arrives and (status is None or run.returncode == status) and wanted in text
        note = f"exit {run.returncode}; {last(text)}"
        self.results.append((f"`{title}`", "yes" if passed else "NO", note))

    def wait(self, subject):
        import time
        end = time.time() + 40
        while time.time() < end and not self.sink.find(subject):
            time.sleep(0.02)
        return self.sink.find(subject)

    def cases(self):
        tls_port = ["--port", str(self.server.tls_port)]
        cert, key = str(self.server.cert), str(self.server.key)

        def ok(options, wanted="", title=None):
            return title or " ".join(options), options, True, 0, wanted

        yield ok([], "250 2.0.0", "no option")
        for protocol in ("SMTP", "ESMTP", "SSMTP", "SSMTPA", "ESMTPS", "ESMTPA", "ESMTPSA"):
            if protocol.startswith("SSMTP"):
                continue
            if protocol == "ESMTPSA":
                yield ok(["--protocol", protocol, "-au", "u", "-ap", "p"], "235 ", f"--protocol {protocol}")
            elif protocol.endswith("A"):
                yield f"--protocol {protocol}", ["--protocol", protocol, "-au", "u", "-ap", "p"], False, 28, ""
            else:
                yield ok(["--protocol", protocol])
        yield ok(["--protocol", "SSMTP", *tls_port], "=== TLS started", "--protocol SSMTP")
        yield "--protocol LMTP", ["--protocol", "LMTP"], False, None, "LHLO"
        for names in (["--ehlo", "x.example"], ["--helo", "[127.0.0.1]"], ["--lhlo", "x.example"]):
            yield ok(names)
        yield ok(["--pipeline"], "")
        yield ok(["--pipeline", "--to", "b@b.example,c@b.example,d@b.example"], "")
        yield "--prdr (not offered)", ["--prdr"], False, 30, ""
        yield ok(["--to", ",".join(f"r{n}@b.example" for n in range(50))], title="--to (50 recipients)")
        yield ok(["--from", "<>"])
        yield ok(["--tls"], "=== TLS started")
        yield ok(["--tls-optional"], "=== TLS started")
        yield ok(["--tls-optional-strict"], "=== TLS started")
        yield ok(["--tls-on-connect", *tls_port], "=== TLS started", "--tls-on-connect")
        yield ok(["--tls", "--pipeline"], "=== TLS started")
        for protocol, works in (("tlsv1_2", True), ("tlsv1_3", True), ("tlsv1", False), ("tlsv1_1", False)):
            title = f"--tls --tls-protocol {protocol}"
            yield title, ["--tls", "--tls-protocol", protocol], works, 0 if works else 29, ""
        yield ok(["--tls", "--tls-protocol", "tlsv1_2", "--tls-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "AES128-GCM")
        yield ok(["--tls", "--tls-sni", "mx.test.example"], "=== TLS started")
        yield ok(["--tls", "--tls-sni", "other.example"], "=== TLS started")
        yield ok(["--tls", "--tls-verify", "--tls-ca-path", cert], "=== TLS started", "--tls --tls-verify --tls-ca-path")
        yield "--tls --tls-verify", ["--tls", "--tls-verify"], False, 29, ""
        yield ok(["--tls", "--tls-cert", cert, "--tls-key", key], "=== TLS started", "--tls --tls-cert --tls-key")
        yield ok(["--tls", "--tls-get-peer-cert"], "BEGIN CERTIFICATE")
        # DIGEST-MD5 and NTLM take Perl modules that swaks does not come with.
        for mechanism in ("PLAIN", "LOGIN", "CRAM-MD5", "CRAM-SHA1"):
            credentials = ["-au", "u", "-ap", "p"]
            yield f"--auth {mechanism}", ["--auth", mechanism, *credentials], False, 28, ""
            yield ok(["--auth-optional", mechanism, *credentials], title=f"--auth-optional {mechanism}")
        yield ok(["--auth-optional-strict", "PLAIN", "-au", "u", "-ap", "p"], title="--auth-optional-strict PLAIN")
        yield "--xclient-addr", ["--xclient-addr", "192.0.2.1"], False, 33, ""
        yield ok(["--xclient-optional", "--xclient-addr", "192.0.2.1"], title="--xclient-optional --xclient-addr")
        yield ok(["--xclient-optional-strict", "--xclient-name", "x.example"])
        for version_ in ("1", "2"):
            proxy = ["--proxy-version", version_, "--proxy-family", "TCP4" if version_ == "1" else "AF_INET",
                     "--proxy-source", "192.0.2.1", "--proxy-source-port", "9", "--proxy-dest", "192.0.2.2",
                     "--proxy-dest-port", "25"]
            if version_ == "2":
                proxy += ["--proxy-protocol", "STREAM", "--proxy-command", "PROXY"]
            yield f"--proxy-version {version_} (from a peer that is not listed)", proxy, False, None, ""
            yield ok([*proxy, "--local-interface", "127.0.0.4"], title=f"--proxy-version {version_} (from one that is)")
        yield ok(["--xclient-addr", "192.0.2.1", "--local-interface", "127.0.0.3"], "XCLIENT ADDR=192.0.2.1",
                 "--xclient-addr (from a peer that is listed)")
        for mechanism in ("PLAIN", "LOGIN"):
            yield ok(["--tls", "--auth", mechanism, "-au", "u", "-ap", "p"], "235 ", f"--tls --auth {mechanism}")
            yield (f"--tls --auth {mechanism} (a wrong password)",
                   ["--tls", "--auth", mechanism, "-au", "u", "-ap", "q"], False, 28, "535 ")
        yield ok(["--socket", str(self.server.socket)], title="--socket")
        yield ok(["--pipe", f"openssl s_client -quiet -connect 127.0.0.1:{self.server.tls_port}"], title="--pipe")
        yield ok(["-6", "--server", "::1"], title="-6 --server ::1")
        for stop in STOPS:
            if stop == "tls":
                yield f"--tls --quit-after {stop}", ["--tls", "--quit-after", stop], False, 0, "QUIT"
            else:
                yield f"--quit-after {stop}", ["--quit-after", stop], False, 0, "QUIT"
            yield f"--drop-after {stop}", ["--drop-after", stop] + (["--tls"] if stop == "tls" else []), False, 0, ""
            # Nothing is sent at connect, so nothing is dropped.
            yield f"--drop-after-send {stop}", ["--drop-after-send", stop] + (["--tls"] if stop == "tls" else []), stop == "connect", 0, ""
        yield "--drop-after data", ["--drop-after", "data"], False, 0, ""
        yield ok(["--drop-after", "dot"])
        yield "--drop-after-send data", ["--drop-after-send", "data"], False, 0, ""
        yield "--drop-after-send dot", ["--drop-after-send", "dot"], True, 0, ""
        yield ok(["--body", "one line"])
        yield ok(["--attach", "@" + cert], title="--attach @FILE")
        yield ok(["--attach-type", "text/html", "--attach-name", "x.html", "--attach", "<p>hi</p>"])
        yield ok(["--attach-body", "in a part"])
        yield ok(["--add-header", "X-Test: yes"])
        yield ok(["--h-X-Other", "yes"])
        yield ok(["--data", "From: a@a.example\\nSubject: %SUBJECT%\\n\\nraw\\n.\\n..\\n".replace("%SUBJECT%", f"swaks-{len(self.results)}")],
                 title="--data")
        yield ok(["--no-data-fixup", "--data", f"Subject: swaks-{len(self.results)}\r\n\r\nas it is\r\n."],
                 title="--no-data-fixup")
        yield "--no-data-fixup (bare LF)", ["--no-data-fixup", "--data", "Subject: x\n\nbare\n\r\n."], False, 26, ""
        for quiet in (["--suppress-data"], ["--show-time-lapse"], ["--show-raw-text"], ["--hide-all"], ["--silent", "1"],
                      ["--no-hints"], ["--protect-prompt"], ["--force-getpwuid"]):
            yield ok(quiet)
        # swaks sends what it dumps with bare line feeds.
        yield "--dump-as-body (bare LF)", ["--dump-as-body"], False, 26, "550 5.6.11"
        yield ok(["-4"])
        yield ok(["--local-interface", "127.0.0.2"])
        yield ok(["--server", "127.0.0.1", "--copy-routing", "b.example"])
        yield ok(["--timeout", "5s"])


class OpenSsl:
    """openssl s_client; a mail goes through where `mail` says so."""

    def __init__(self, server, sink):
        self.server, self.sink, self.results = server, sink, []

    def run(self):
        start = ["-starttls", "smtp", "-connect", f"127.0.0.1:{self.server.port}"]
        implicit = ["-connect", f"127.0.0.1:{self.server.tls_port}"]
        session = str(self.server.dir / "session.pem")
        cert = str(self.server.cert)
        self.case("-starttls smtp", start, "250")
        self.case("-starttls smtp -name x.example", [*start, "-name", "x.example"], "250")
        self.case("implicit TLS", implicit, "250")
        for number in ("1_2", "1_3"):
            self.case(f"-starttls smtp -tls{number}", [*start, f"-tls{number}"], f"TLSv{number.replace('_', '.')}")
        for number in ("1", "1_1"):
            arguments = [*start, f"-tls{number}", "-cipher", "DEFAULT:@SECLEVEL=0"]
            self.case(f"-starttls smtp -tls{number} is refused", arguments, "handshake failure", mail=False)
        self.case("-verify_return_error -CAfile -verify_hostname",
                  [*start, "-CAfile", cert, "-verify_return_error", "-verify_hostname", "mx.test.example"],
                  "Verify return code: 0")
        self.case("-servername mx.test.example", [*start, "-servername", "mx.test.example"], "250")
        self.case("-tls1_2 -sess_out", [*start, "-tls1_2", "-sess_out", session], "250")
        self.case("-tls1_2 -sess_in resumes", [*start, "-tls1_2", "-sess_in", session], "Reused, TLSv1.2")
        self.case("-tls1_3 -sess_out", [*start, "-tls1_3", "-sess_out", session], "250")
        self.case("-tls1_3 -sess_in resumes", [*start, "-tls1_3", "-sess_in", session], "Reused, TLSv1.3")
        self.case("-cipher ECDHE-ECDSA-CHACHA20-POLY1305", [*start, "-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"],
                  "ECDHE-ECDSA-CHACHA20-POLY1305")
        self.case("-groups X25519", [*start, "-groups", "X25519"], "X25519")
        self.case("-groups P-256", [*start, "-groups", "P-256"], "ECDH, prime256v1")
        self.case("-cert -key (a client certificate nobody asked for)",
                  [*start, "-cert", cert, "-key", str(self.server.key)], "250")
        return self.results

    def case(self, title, arguments, wanted, mail=True):
        subject = f"openssl-{len(self.results)}"
        commands = ["EHLO x.example", "MAIL FROM:<a@a.example>", "rCPT TO:<b@b.example>", "DATA",
                    f"Subject: {subject}", "", "hi", ".", "QUIT"]
        # One line at a time, as somebody types: s_client reads what comes before each.
        script = "".join(f"sleep 0.1; printf '%s\\r\\n' '{command}';" for command in commands)
        process = subprocess.Popen(["sh", "-c", f"sleep 0.3; {script} sleep 0.3"], stdout=subprocess.PIPE)
        run = subprocess.run(["openssl", "s_client", "-ign_eof", *arguments], stdin=process.stdout, capture_output=True, timeout=60)
        process.wait()
        text = (run.stdout + run.stderr).decode("utf-8", "replace")
        arrived = bool(Swaks.wait(self, subject)) if mail else False
        self.results.append((f"`{title}`", "yes" if wanted in text and arrived == mail else "NO",
                             "mail arrived" if arrived else "no mail"))
