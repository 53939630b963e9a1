#!/usr/bin/env python3
"""Print a result file of `compare run` as Markdown tables. usage: tables.py FILE

The value of a figure is the median of its repetitions; a ratio is the median of the ratios pair by pair, each
pair from the same repetition.
"""
import statistics
import sys

DRIVERS = {"load": "driven by `load`", "source": "driven by smtp-source (cross-check)"}
TITLES = {"accept": "Accept: stored durably, delivery held", "relay": "Relay: stored durably and delivered to a sink"}


def read(path):
    """(peer, key) -> values of the repetitions, in order; and the lines about the machine."""
    values, machine = {}, []
    for line in open(path):
        fields = line.split()
        if len(fields) < 4:
            continue
        if fields[0] == "sysinfo":
            machine.append(" ".join(fields[1:]))
            continue
        try:
            values.setdefault((fields[0], fields[1]), []).append(float(fields[2]))
        except ValueError:
            pass
    return values, machine


class Figures:
    def __init__(self, values):
        self.values = values

    def median(self, peer, key, digits):
        values = self.values.get((peer, key))
        return f"{statistics.median(values):.{digits}f}" if values else "-"

    def ratio(self, peer, base, key, inverse=False):
        pairs = list(zip(self.values.get((peer, key), []), self.values.get((base, key), [])))
        ratios = [(b / a if inverse else a / b) for a, b in pairs if a and b]
        return f"{statistics.median(ratios):.1f}" if ratios else "-"

    def cells(self, cell, driver):
        """(bytes, mode, sessions) of all cells measured, in reading order."""
        found = set()
        for _, key in self.values:
            parts = key.split(".")
            if len(parts) == 6 and parts[0] == cell and parts[1] == driver:
                found.add((int(parts[3][1:]), parts[4], int(parts[2][1:])))
        return sorted(found)


def size(size_bytes):
    return f"{size_bytes // 1024} KiB" if size_bytes % 1024 == 0 else f"{size_bytes} B"


def cell_table(figures, cell, driver):
    rows = figures.cells(cell, driver)
    if not rows:
        return
    print(f"### {TITLES[cell]}, {DRIVERS[driver]}\n")
    print("| size | msgs per conn. | sessions | msg/s Postfix | ours | CPU-s/1000 Postfix | ours | floor "
          "| msgs per CPU-s, ours : Postfix | CPU, ours : floor | flushes/1000 Postfix | ours | floor "
          "| p50/p99 us Postfix | ours | MiB Postfix | ours | bad |")
    print("|" + "---|" * 18)
    for size_bytes, mode, sessions in rows:
        key = f"{cell}.{driver}.s{sessions}.l{size_bytes}.{mode}"

        def values(metric, digits, peers=("postfix", "ours")):
            return [figures.median(peer, f"{key}.{metric}", digits) for peer in peers]

        latency = ["/".join(values(q, 0, (peer,))[0] for q in ("p50", "p99")) for peer in ("postfix", "ours")]
        bad = sum(sum(figures.values.get((peer, f"{key}.{metric}"), []))
                  for peer in ("postfix", "ours", "floor") for metric in ("bad", "failed"))
        row = [size(size_bytes), {"c1": "1", "cN": "many"}[mode], str(sessions)]
        row += values("rate", 0) + values("cpu", 3, ("postfix", "ours", "floor"))
        row += ["**" + figures.ratio("ours", "postfix", key + ".cpu", inverse=True) + "**",
                figures.ratio("ours", "floor", key + ".cpu")]
        row += values("flush", 0, ("postfix", "ours", "floor")) + latency + values("anon_max", 0) + [f"{bad:.0f}"]
        print("| " + " | ".join(row) + " |")
    print()


def lone_table(figures):
    print("### One message alone (2 KiB, 20 a second on one connection)\n")
    print("| | final dot to 250, p50 us | p99 us | transaction, p50 us | p99 us |")
    print("|---|---|---|---|---|")
    for peer in ("postfix", "ours", "floor"):
        row = [figures.median(peer, f"lone.{what}_{q}", 0) for what in ("dot", "transaction") for q in ("p50", "p99")]
        print(f"| {peer} | " + " | ".join(row) + " |")
    print()


def idle_table(figures):
    print("### Idle sessions after EHLO\n")
    print("| | sessions | KiB of anonymous memory each | CPUs with them | CPUs without |")
    print("|---|---|---|---|---|")
    for peer in ("postfix", "ours"):
        row = [figures.median(peer, f"idle.{what}", digits)
               for what, digits in (("sessions", 0), ("anon_per_session", 2), ("cpu_with", 4), ("cpu_without", 4))]
        print(f"| {peer} | " + " | ".join(row) + " |")
    print()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    values, machine = read(sys.argv[1])
    figures = Figures(values)
    print("Machine: " + "; ".join(dict.fromkeys(machine)) + ".\n")
    for cell in ("accept", "relay"):
        for driver in ("load", "source"):
            cell_table(figures, cell, driver)
    if any(key.startswith("lone.") for _, key in values):
        lone_table(figures)
    if any(key.startswith("idle.") for _, key in values):
        idle_table(figures)


if __name__ == "__main__":
    main()
