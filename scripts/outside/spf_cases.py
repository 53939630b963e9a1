#!/usr/bin/env python3
"""Turns the published test suite of RFC 7208 (YAML) into the format of mail/src/spf/tests/cases.txt.

    spf_cases.py rfc7208-tests.yml > rfc7208.txt
"""

import sys

import yaml


def escaped(text):
    return str(text).replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def values(kind, value):
    """The record's value as one text; none where the suite says that there is no such record."""
    if kind == "MX":
        return value[1]
    if kind in ("TXT", "SPF"):
        text = value if isinstance(value, str) else "".join(value)
        return None if text == "NONE" else text
    return value


def records(name, entries):
    """A name's records. What is there as type SPF only, drivers give as TXT."""
    has_text = any(isinstance(entry, dict) and "TXT" in entry for entry in entries)
    exchangers, found = [], []
    for entry in entries:
        if entry == "TIMEOUT":
            found.append(("TIMEOUT", ""))
            continue
        for kind, value in entry.items():
            if kind == "SPF":
                if has_text:
                    continue
                kind = "TXT"
            if kind == "MX":
                exchangers.append((value[0], value[1]))
                continue
            text = values(kind, value)
            if text is not None:
                found.append((kind, text))
    found += [("MX", host) for _, host in sorted(exchangers, key=lambda pair: pair[0])]
    for kind, text in found:
        print("\t".join(escaped(field) for field in (name, kind, text)))


def main():
    with open(sys.argv[1], encoding="utf-8") as suite:
        for section in yaml.safe_load_all(suite):
            print("=== " + section["description"])
            for name, entries in section["zonedata"].items():
                records(name, entries)
            for title, test in section["tests"].items():
                results = test["result"] if isinstance(test["result"], list) else [test["result"]]
                explanation = test.get("explanation", "-")
                fields = [">", title, test["host"], test["helo"], test["mailfrom"], "|".join(results), explanation]
                print("\t".join(escaped(field) for field in fields))


main()
