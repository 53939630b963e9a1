"""client -> one server -> another server -> sink: what arrives must be what was sent."""

import hashlib
import re
import smtplib
import time


def sent(subject, body, header=""):
    return f"From: a@a.example\r\nTo: b@b.example\r\n{header}Subject: {subject}\r\n\r\n".encode() + body


def large(size_bytes):
    lines, total, number = [], 0, 0
    while total < size_bytes:
        line = hashlib.sha256(str(number).encode()).hexdigest().encode() + b"\r\n"
        lines.append(b"." + line if number % 7 == 0 else line)
        total, number = total + len(lines[-1]), number + 1
    return b"".join(lines)


# Name, body, and what more.
BODIES = {
    "plain text": b"hello\r\n",
    "no body": b"",
    "lines of dots": b".\r\n..\r\n...\r\n.x\r\n\r\n.\r\n",
    "a line of 998 octets": b"x" * 998 + b"\r\n",
    "2 MiB": large(2 << 20),
}


class Chain:
    def __init__(self, first, sink):
        self.first, self.sink, self.results = first, sink, []

    def check(self, what, passed, note=""):
        self.results.append((what, "yes" if passed else "NO", note))

    def connect(self):
        client = smtplib.SMTP("127.0.0.1", self.first.port, local_hostname="client.test.example", timeout=60)
        client.ehlo()
        return client

    def wait(self, subject, count=1, limit_s=40):
        end = time.time() + limit_s
        while time.time() < end:
            found = self.sink.find(subject)
            if len(found) >= count:
                return found
            time.sleep(0.05)
        return self.sink.find(subject)

    def run(self):
        for case in (self.bodies, self.tls_between, self.eight_bit, self.many_recipients, self.unicode_addresses, self.null_sender,
                     self.parameters, self.deferral, self.refusal, self.hundred_messages):
            try:
                case()
            except Exception as error:  # a refusal is a result
                self.check(case.__name__.replace("_", " "), False, str(error).replace("|", "/")[:120])
        return self.results

    def bodies(self):
        for what, body in BODIES.items():
            subject = what.replace(" ", "-")
            with self.connect() as client:
                client.sendmail("a@a.example", ["b@b.example"], sent(subject, body))
            found = self.wait(subject)
            self.check(what, len(found) == 1 and found[0].body == body, self.way(found))

    def tls_between(self):
        """The last server's Received field says how it got the message from the first: RFC 3848, RFC 6531."""
        with self.connect() as client:
            client.sendmail("a@a.example", ["b@b.example"], sent("tls-between", b"x\r\n"))
        found = self.wait("tls-between")
        # Postfix also says with which cipher.
        protocols = re.findall(r"\bwith (?!cipher)(\S+)", found[0].header) if found else [""]
        self.check("STARTTLS between the two", protocols[0].lower() in ("esmtps", "utf8smtps"), self.way(found))

    def way(self, found):
        protocols = re.findall(r"\bwith (\S+)", found[0].header) if found else []
        return "Received: with " + ", ".join(protocols) if protocols else ""

    def eight_bit(self):
        body = "Grüße, 例え, \x01\x7f\r\n".encode() + bytes(range(128, 256)) + b"\r\n"
        with self.connect() as client:
            client.sendmail("a@a.example", ["b@b.example"], sent("8bit", body), mail_options=["BODY=8BITMIME"])
        found = self.wait("8bit")
        self.check("8 bit text", len(found) == 1 and found[0].body == body, found[0].parameters if found else "")

    def many_recipients(self):
        to = [f"r{number}@b.example" for number in range(60)]
        with self.connect() as client:
            client.sendmail("a@a.example", to, sent("recipients", b"x\r\n"))
        end = time.time() + 20
        while time.time() < end:
            found = self.sink.find("recipients")
            got = [path for message in found for path, _ in message.recipients]
            if len(got) >= len(to):
                break
            time.sleep(0.05)
        self.check("60 recipients, each once", sorted(got) == sorted(to), f"{len(found)} transactions")

    def unicode_addresses(self):
        with self.connect() as client:
            if not client.has_extn("smtputf8"):
                return self.check("SMTPUTF8", True, f"{self.first.name} does not offer it")
            client.sendmail("jörg@a.example", ["例え@b.example"], sent("unicode", b"x\r\n", "X-Name: Jörg\r\n"),
                            mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        found = self.wait("unicode")
        passed = found and found[0].sender == "jörg@a.example" and found[0].recipients[0][0] == "例え@b.example"
        self.check("SMTPUTF8", bool(passed), found[0].parameters if found else "")

    def null_sender(self):
        with self.connect() as client:
            client.sendmail("", ["b@b.example"], sent("null", b"x\r\n"))
        found = self.wait("null")
        self.check("null sender", len(found) == 1 and found[0].sender == "")

    def parameters(self):
        with self.connect() as client:
            if not client.has_extn("dsn"):
                return self.check("DSN parameters", True, f"{self.first.name} does not offer them")
            client.sendmail("a@a.example", ["b@b.example"], sent("dsn", b"x\r\n"), ["RET=HDRS", "ENVID=xyz+2B1"],
                            ["NOTIFY=FAILURE,DELAY", "ORCPT=rfc822;b@b.example"])
        found = self.wait("dsn")
        text = (found[0].parameters + " " + found[0].recipients[0][1]).upper() if found else ""
        kept = all(word in text for word in ("RET=HDRS", "ENVID=XYZ+2B1", "NOTIFY=", "FAILURE", "ORCPT=RFC822;B@B.EXAMPLE"))
        self.check("DSN parameters reach the end", kept, text.strip())

    def deferral(self):
        with self.connect() as client:
            client.sendmail("a@a.example", [f"later-{id(self)}@b.example"], sent("deferred", b"x\r\n"))
        self.check("450 and a second try: once", len(self.wait("deferred")) == 1)

    def refusal(self):
        with self.connect() as client:
            client.sendmail("sender@a.example", [f"refuse-{id(self)}@b.example"], sent("refused", b"x\r\n"))
        end = time.time() + 60
        reports = []
        while time.time() < end and not reports:
            reports = [m for m in self.sink.messages if f"refuse-{id(self)}@b.example".encode() in m.data and m.sender == ""]
            time.sleep(0.05)
        note = "" if reports else "no report within 60 s"
        passed = reports and b"message/delivery-status" in reports[0].data
        self.check("550: a report to the sender", bool(passed), note)

    def hundred_messages(self):
        with self.connect() as client:
            for number in range(100):
                client.sendmail("a@a.example", ["b@b.example"], sent("hundred", f"{number}\r\n".encode()))
        found = self.wait("hundred", 100)
        numbers = sorted(int(message.body) for message in found)
        self.check("100 messages on one connection, each once", numbers == list(range(100)), f"{len(found)} came")
