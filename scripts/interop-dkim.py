#!/usr/bin/env python3
"""Signs with hsh and verifies with dkimpy, and the other way round.

    python3 -m venv /tmp/v && /tmp/v/bin/pip install dkimpy pynacl
    cargo build -p hsh && /tmp/v/bin/python scripts/interop-dkim.py target/debug/hsh

Every message is tried with each key and each pair of canonicalisations, and gets ARC chains of up to three hops that hsh and
dkimpy seal in all orders, which both validate. The keys are those of the tests.
"""

import base64
import itertools
import pathlib
import subprocess
import sys
import tempfile

import dkim

ROOT = pathlib.Path(__file__).resolve().parent.parent
KEYS = ROOT / "mail/src/keys/testdata"
RECORDS = ROOT / "mail/src/dkim/testdata/keys.txt"

MESSAGES = {
    "plain": b"From: Joe <joe@example.org>\r\nTo: suzie@example.net\r\nSubject: Is dinner ready?\r\n\r\nHi.\r\n\r\nWe lost.\r\n",
    "folded": b"Received: a\r\n\tb\r\nFROM:  Joe\r\n  Six\tPack  <joe@example.org>  \r\nTo:suzie@example.net,\r\n other@example.net\r\n"
    b"Subject:\t Is   dinner\r\n\t\r\n ready?\r\nTo: third@example.net\r\n\r\n  leading\t space \t and  trailing \t\r\n\t \r\nend\r\n\r\n \r\n\r\n",
    "empty": b"From: joe@example.org\r\nSubject: \r\n\r\n",
    "blank": b"From: joe@example.org\r\nSubject: x\r\n\r\n\r\n\r\n\r\n",
    "unfinished": b"From: joe@example.org\r\nSubject: x\r\n\r\nabc",
    "eightbit": b"From: j\xc3\xb6e@example.org\r\nSubject: caf\xe9\r\n\r\ncaf\xe9\x00 \xa0\r\n..dot\r\nlone\rcr\r\n",
}

SIGN = """
$mail = MailMessage::String(File("file://message")->read());
$key = File("file://key")->read();
$mail->signDKIM("SELECTOR", "example.org", $key, ["canonicalization_header" => "HEADER", "canonicalization_body" => "BODY",
    "timestamp" => true, "identity" => "joe=x y@sub.example.org", "oversign_headers" => ["from", "to", "cc"]]);
echo $mail->toString();
"""

VERIFY = """
$mail = MailMessage::String(File("file://message")->read());
$record = File("file://record")->read();
$result = $mail->verifyDKIM($mail->getHeader("DKIM-Signature", ["field" => true]),
    ["dns_function" => function ($name) closure ($record) { return ["result" => $record]; }]);
echo $result["result"] . " " . ($result["error"] ?? "");
"""

SEAL = """
import { ARC, arc_validate } from "extras://arc";
$mail = MailMessage::String(File("file://message")->read());
$record = File("file://record")->read();
$ask = function ($name, $options) closure ($record) { return ["result" => [$record]]; };
$chain = arc_validate($mail, $ask, ["dns_function" => function ($name) closure ($record) { return ["result" => $record]; }]);
if (!ARC::seal($mail, "rsa2048", "example.org", File("file://key")->read(), $chain, "mx.example.org; arc=" . $chain["status"]))
    throw "no seal";
echo $mail->toString();
"""

VALIDATE = """
import { arc_validate } from "extras://arc";
$record = File("file://record")->read();
$ask = function ($name, $options) closure ($record) { return ["result" => [$record]]; };
$chain = arc_validate(MailMessage::String(File("file://message")->read()), $ask,
    ["dns_function" => function ($name) closure ($record) { return ["result" => $record]; }]);
echo $chain["status"] . " " . ($chain["error"] ?? "");
"""


def records():
    lines = RECORDS.read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))


def hsh(program, folder, script):
    (folder / "script.hsl").write_text(script)
    command = [program, "-B", "-c", "/dev/null", "-R", str(folder), str(folder / "script.hsl")]
    done = subprocess.run(command, capture_output=True, timeout=60)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return done.stdout


def seed_of(pem):
    """The raw private key, which is how dkimpy wants an Ed25519 key: the last 32 bytes of its PKCS#8."""
    return base64.b64encode(base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))[-32:])


def seal(message, by, program, folder):
    """The message with one more set."""
    if by == "hsh":
        (folder / "message").write_bytes(message)
        return hsh(program, folder, SEAL)
    pem = (KEYS / "rsa2048.pkcs1.pem").read_bytes()
    # What dkimpy writes into cv= is what this says about the chain so far.
    status = b"pass" if b"ARC-Seal:" in message else b"none"
    results = b"Authentication-Results: mx.example.org; arc=" + status + b"\r\n"
    fields = dkim.arc_sign(results + message, b"rsa2048", b"example.org", pem, b"mx.example.org")
    return b"".join(fields) + message


def chains(program, folder, record):
    """Seals and validates; returns how many verdicts there were and which were wrong."""
    (folder / "key").write_bytes((KEYS / "rsa2048.pkcs1.pem").read_bytes())
    (folder / "record").write_text(record)
    failed, count = [], 0
    for title in ["plain", "folded", "blank", "eightbit"]:
        for hops in itertools.chain(*(itertools.product(["hsh", "dkimpy"], repeat=length) for length in (1, 2, 3))):
            message = MESSAGES[title]
            for by in hops:
                message = seal(message, by, program, folder)
            for changed in [False, True]:
                sealed = message + b"more\r\n" if changed else message
                wanted = "fail" if changed else "pass"
                theirs = (dkim.arc_verify(sealed, dnsfunc=lambda name, timeout=5: record.encode())[0] or b"none").decode()
                (folder / "message").write_bytes(sealed)
                ours = hsh(program, folder, VALIDATE).decode().strip()
                if theirs != wanted or ours.split()[0] != wanted:
                    failed.append(f"{title} {'-'.join(hops)} changed={changed}: hsh says {ours}, dkimpy {theirs}")
                count += 2
    return count, failed


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/debug/hsh")
    known, failed, count = records(), [], 0
    keys = {"rsa1024": "rsa1024.pkcs1.pem", "rsa2048": "rsa2048.pkcs1.pem", "ed25519": "ed25519.pem"}
    modes = ["simple", "relaxed"]
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        for (title, message), selector, header, body in itertools.product(MESSAGES.items(), keys, modes, modes):
            pem = (KEYS / keys[selector]).read_bytes()
            record = known[f"{selector}._domainkey.example.org"]
            (folder / "key").write_bytes(pem)
            (folder / "record").write_text(record)

            (folder / "message").write_bytes(message)
            script = SIGN.replace("SELECTOR", selector).replace("HEADER", header).replace("BODY", body)
            signed = hsh(program, folder, script)
            if not dkim.verify(signed, dnsfunc=lambda name, timeout=5: record.encode()):
                failed.append(f"dkimpy refuses {title} {selector} {header}/{body}")

            algorithm = b"ed25519-sha256" if selector == "ed25519" else b"rsa-sha256"
            key = seed_of(pem) if selector == "ed25519" else pem
            signer = dkim.DKIM(message, signature_algorithm=algorithm)
            field = signer.sign(selector.encode(), b"example.org", key, canonicalize=(header.encode(), body.encode()))
            (folder / "message").write_bytes(field + message)
            verdict = hsh(program, folder, VERIFY).decode().strip()
            if verdict != "pass":
                failed.append(f"hsh says {verdict} to {title} {selector} {header}/{body}")
            count += 2
        more, wrong = chains(program, folder, known["rsa2048._domainkey.example.org"])
        count, failed = count + more, failed + wrong
    print(f"{count} verifications, {len(failed)} failed")
    sys.exit("\n".join(failed) if failed else 0)


main()
