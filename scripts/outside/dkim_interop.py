#!/usr/bin/env python3
"""Signs with hsh and verifies with dkimpy, and the other way round.

    scripts/outside/install.sh && cargo build -p hsh
    target/outside/venv/bin/python scripts/outside/dkim_interop.py target/debug/hsh

Every message is tried with each key and each pair of canonicalisations, and gets ARC chains of up to three hops that hsh and
dkimpy seal in all orders, which both validate. The keys are those of the tests. One run of hsh does all that can be done at
once.
"""

import base64
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile

import dkim

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
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

# Reads jobs, each an array with `do`, a message in Base64 and what else it needs; prints an answer for each.
SCRIPT = """
import { ARC, arc_validate } from "extras://arc";

function sign($job) {
    $mail = MailMessage::String(base64_decode($job["message"]));
    $mail->signDKIM($job["selector"], "example.org", $job["key"], ["canonicalization_header" => $job["header"],
        "canonicalization_body" => $job["body"], "timestamp" => true, "identity" => "joe=x y@sub.example.org",
        "oversign_headers" => ["from", "to", "cc"]]);
    return base64_encode($mail->toString());
}

function verify($job) {
    $mail = MailMessage::String(base64_decode($job["message"]));
    $record = $job["record"];
    $result = $mail->verifyDKIM($mail->getHeader("DKIM-Signature", ["field" => true]),
        ["dns_function" => function ($name) closure ($record) { return ["result" => $record]; }]);
    return $result["result"] . " " . ($result["error"] ?? "");
}

function chain($mail, $record) {
    return arc_validate($mail, function ($name, $options) closure ($record) { return ["result" => [$record]]; },
        ["dns_function" => function ($name) closure ($record) { return ["result" => $record]; }]);
}

function seal($job) {
    $mail = MailMessage::String(base64_decode($job["message"]));
    $chain = chain($mail, $job["record"]);
    if (!ARC::seal($mail, "rsa2048", "example.org", $job["key"], $chain, "mx.example.org; arc=" . $chain["status"]))
        throw "no seal";
    return base64_encode($mail->toString());
}

function validate($job) {
    $chain = chain(MailMessage::String(base64_decode($job["message"])), $job["record"]);
    return $chain["status"] . " " . ($chain["error"] ?? "");
}

$actions = ["sign" => sign, "verify" => verify, "seal" => seal, "validate" => validate];
$answers = [];
foreach (json_decode(File("file://jobs")->read()) as $job) {
    $action = $actions[$job["do"]];
    $answers[] = $action($job);
}
echo json_encode($answers);
"""


def hsh(program, folder, jobs):
    """The answers to jobs, in their order."""
    for job in jobs:
        job["message"] = base64.b64encode(job["message"]).decode()
    (folder / "script.hsl").write_text(SCRIPT)
    (folder / "jobs").write_text(json.dumps(jobs))
    command = [program, "-B", "-c", "/dev/null", "-R", str(folder), str(folder / "script.hsl")]
    done = subprocess.run(command, capture_output=True, timeout=600)
    if done.returncode != 0:
        sys.exit(done.stderr.decode())
    return json.loads(done.stdout)


def seed_of(pem):
    """The raw private key, which is how dkimpy wants an Ed25519 key: the last 32 bytes of its PKCS#8."""
    return base64.b64encode(base64.b64decode(b"".join(pem.split(b"\n")[1:-2]))[-32:])


def signatures(program, folder, known):
    """Signs and verifies both ways; returns how many verdicts there were, and which were wrong."""
    keys = {"rsa1024": "rsa1024.pkcs1.pem", "rsa2048": "rsa2048.pkcs1.pem", "ed25519": "ed25519.pem"}
    modes = ["simple", "relaxed"]
    cases = list(itertools.product(MESSAGES, keys, modes, modes))
    jobs, failed = [], []
    for title, selector, header, body in cases:
        message, pem = MESSAGES[title], (KEYS / keys[selector]).read_bytes()
        record = known[f"{selector}._domainkey.example.org"]
        algorithm = b"ed25519-sha256" if selector == "ed25519" else b"rsa-sha256"
        key = seed_of(pem) if selector == "ed25519" else pem
        signer = dkim.DKIM(message, signature_algorithm=algorithm)
        field = signer.sign(selector.encode(), b"example.org", key, canonicalize=(header.encode(), body.encode()))
        spoken = {"selector": selector, "key": pem.decode(), "header": header, "body": body}
        jobs += [
            {"do": "sign", "message": message, **spoken},
            {"do": "verify", "message": field + message, "record": record},
        ]
    answers = hsh(program, folder, jobs)
    for (title, selector, header, body), signed, verdict in zip(cases, answers[::2], answers[1::2]):
        record = known[f"{selector}._domainkey.example.org"].encode()
        if not dkim.verify(base64.b64decode(signed), dnsfunc=lambda name, timeout=5: record):
            failed.append(f"dkimpy refuses {title} {selector} {header}/{body}")
        if verdict.strip() != "pass":
            failed.append(f"hsh says {verdict} to {title} {selector} {header}/{body}")
    return len(answers), failed


def chains(program, folder, record):
    """Seals and validates; returns how many verdicts there were, and which were wrong."""
    pem = (KEYS / "rsa2048.pkcs1.pem").read_bytes()
    hops = list(itertools.chain(*(itertools.product(["hsh", "dkimpy"], repeat=length) for length in (1, 2, 3))))
    cases = [[title, order, MESSAGES[title]] for title in ["plain", "folded", "blank", "eightbit"] for order in hops]
    for hop in range(3):
        ours = [case for case in cases if case[1][hop:] and case[1][hop] == "hsh"]
        jobs = [{"do": "seal", "message": case[2], "record": record, "key": pem.decode()} for case in ours]
        for case, sealed in zip(ours, hsh(program, folder, jobs)):
            case[2] = base64.b64decode(sealed)
        for case in [case for case in cases if case[1][hop:] and case[1][hop] == "dkimpy"]:
            # What dkimpy writes into cv= is what this says about the chain so far.
            status = b"pass" if b"ARC-Seal:" in case[2] else b"none"
            results = b"Authentication-Results: mx.example.org; arc=" + status + b"\r\n"
            fields = dkim.arc_sign(results + case[2], b"rsa2048", b"example.org", pem, b"mx.example.org")
            case[2] = b"".join(fields) + case[2]
    told = [(title, order, wanted, sealed + more) for title, order, sealed in cases
            for wanted, more in (("pass", b""), ("fail", b"more\r\n"))]
    jobs = [{"do": "validate", "message": message, "record": record} for *_, message in told]
    failed = []
    for (title, order, wanted, message), ours in zip(told, hsh(program, folder, jobs)):
        theirs = (dkim.arc_verify(message, dnsfunc=lambda name, timeout=5: record.encode())[0] or b"none").decode()
        if theirs != wanted or ours.split()[0] != wanted:
            failed.append(f"{title} {'-'.join(order)}: hsh says {ours}, dkimpy {theirs}, not {wanted}")
    return 2 * len(told), failed


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else str(ROOT / "target/debug/hsh")
    lines = RECORDS.read_text().splitlines()
    known = dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
    with tempfile.TemporaryDirectory() as name:
        count, failed = signatures(program, pathlib.Path(name), known)
        more, wrong = chains(program, pathlib.Path(name), known["rsa2048._domainkey.example.org"])
    failed += wrong
    print(f"{count + more} verifications, {len(failed)} failed")
    sys.exit("\n".join(failed) if failed else 0)


main()
