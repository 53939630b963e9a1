"""Reads the recorded reports with Python's email package and checks what it finds. Argument: their directory."""

import email
import email.policy
import pathlib
import sys

EXPECTED = {
    "failed": ["5.1.1"],
    "several": ["5.1.1", "4.4.7", "5.1.2"],
    "delayed": ["4.2.2"],
    "relayed": ["2.0.0"],
    "utf8": ["5.1.1"],
    "hostile": ["5.1.1"],
}

for name, statuses in EXPECTED.items():
    path = pathlib.Path(sys.argv[1]) / f"{name}.eml"
    report = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    parts = list(report.iter_parts())
    assert report.get_content_type() == "multipart/report", name
    assert report.get_param("report-type") == "delivery-status", name
    assert report["Auto-Submitted"] == "auto-replied" and report["To"].addresses, name
    assert report.get("Bcc") is None and report.get("X") is None, name
    assert parts[0].get_content_type() == "text/plain" and "Your message" in parts[0].get_content(), name
    kind = "message/global-delivery-status" if name == "utf8" else "message/delivery-status"
    assert parts[1].get_content_type() == kind, (name, parts[1].get_content_type())
    if name == "utf8":
        # The package knows no such type: it takes the first block for the header of a message.
        first = parts[1].get_payload()[0]
        rest = first.get_payload().replace("\r\n", "\n").split("\n\n")
        blocks = [first] + [email.message_from_string(block) for block in rest if block.strip()]
    else:
        blocks = parts[1].get_payload()
    found = [block["Status"] for block in blocks if block["Status"]]
    assert found == statuses, (name, found)
    assert blocks[0]["Reporting-MTA"] == "dns; mx1.example.org", name
    assert all(block["Action"] and block["Final-Recipient"] for block in blocks[1:]), name
    given_back = [part.get_content_type() for part in parts[2:]]
    print(f"{name}: {len(blocks) - 1} recipients, status {' '.join(found)}, gives back {' '.join(given_back) or 'nothing'}")
