"""The command line: what is asked for, and in which order it is measured."""

import argparse
import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import chart
import cold
import events
import idle
import machine
import needs
import peers
import plan
import report
import rounds
from scratch import scratch
from server import Trouble, adopt_orphans
from setting import Setting

STARTED = time.monotonic()

RESULTS = needs.ROOT / "benches/RESULTS.md"
CHART = RESULTS.with_suffix(".svg")


def main() -> int:
    """Measures and prints; 1 when something could not be measured, 130 on Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is cleaned up
    options = parse()
    adopt_orphans()
    try:
        results = measure(options)
    except Trouble as trouble:
        print(f"benches/versus/run: {trouble}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    text = report.markdown(results)
    print(json.dumps(results, indent=2) if options.json else text)
    if options.results:
        CHART.write_text(chart.svg(results["workloads"]))
        RESULTS.write_text(preface(results) + text)
        say(f"written: {RESULTS.relative_to(needs.ROOT)} and {CHART.name}")
    return 1 if results["failed"] else 0


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="benches/versus/run",
        description="Measures appserver side by side with its peers, in interleaved rounds on the loopback.",
    )
    add = parser.add_argument
    keys = plan.keys(machine.usable_cores())
    add("--quick", action="store_true", help="hello, static, gzip, cache and proxy beside nginx alone, in short rounds: about two minutes")
    add("--json", action="store_true", help="print every figure as JSON")
    add("--only", action="append", metavar="ROW", choices=keys, help=f"one of {', '.join(keys)}; may be repeated")
    add("--peers", action="store_true", help="measure the peers of rows that appserver cannot serve yet")
    add("--results", action="store_true", help="write benches/RESULTS.md and benches/RESULTS.svg")
    add("--binary", type=Path, metavar="PATH", help="measure this program instead of building one; its examples are looked for beside it")
    add("--workers", type=int, default=machine.usable_cores(), metavar="N", help="of each server (default: one per usable core)")
    add("--rounds", type=int, metavar="N", help="instead of 5, or 3 with --quick")
    add("--seconds", type=int, metavar="N", help="of each round, instead of 5, or 2 with --quick")
    options = parser.parse_args()
    for name in ("workers", "rounds", "seconds"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is at least 1")
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, in the order of the report."""
    rows = plan.rows(machine.usable_cores())
    wanted = options.only or (plan.QUICK if options.quick else plan.keys(machine.usable_cores()))
    taking_part = programs(wanted, options.quick)
    needs.prepare(["wrk", *sorted(taking_part & needs.PACKAGES.keys())])
    needs.program("wrk")
    built = needs.programs(options.binary)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # ten thousand connections need it
    results: dict[str, Any] = {
        "machine": machine.facts(built, options.binary is not None, options.workers, taking_part),
        "command": spelled(options),
        "workloads": [],
        "start": [],
        "idle": [],
        "events": {},
        "failed": {},
        "not_yet": [{"title": title, "target": target} for title, target in plan.NOT_YET],
    }

    def fail(key: str, trouble: Trouble) -> None:
        say(f"{key}: {trouble}")
        results["failed"][key] = str(trouble)

    def attempt(key: str, part: Callable[[], None]) -> None:
        try:
            part()
        except Trouble as trouble:  # told at the end; it does not stop the others
            fail(key, trouble)

    with scratch() as folder:
        setting = Setting(
            scratch=folder,
            programs=built,
            workers=options.workers,
            rounds=options.rounds or (3 if options.quick else 5),
            seconds=options.seconds or (2 if options.quick else 5),
            is_quick=options.quick,
            with_peers=options.peers,
            say=say,
            fail=fail,
        )
        results["machine"]["rounds"] = f"{setting.rounds} of {setting.seconds} s, interleaved"
        for row in rows:
            if row.key in wanted:
                attempt(row.key, lambda: results["workloads"].append(rounds.measure(row, setting)))
        if "start" in wanted:
            say(plan.SCENARIOS["start"])
            attempt("start", lambda: results.update(start=cold.measure(setting)))
        if "idle" in wanted:
            attempt("idle", lambda: results.update(idle=idle.measure(setting)))
        for kind in events.EVENTS:
            if kind in wanted:
                attempt(kind, lambda: results["events"].update({kind: events.measure(kind, setting)}))
    results["machine"]["load after"] = machine.load()
    return results


def programs(wanted: list[str], is_quick: bool) -> set[str]:
    """What takes part besides appserver: the names of programs, and of crates."""
    rows = [row for row in plan.rows(machine.usable_cores()) if row.key in wanted]
    found = {program for row in rows for name in peers.named(row, is_quick) for program in peers.PROGRAMS[name]}
    if is_quick:
        return found | {"nginx"}
    if any(plan.HYPER in row.peers for row in rows) or {"start", "idle"} & set(wanted):
        found.add("hyper")
    if set(plan.SCENARIOS) & set(wanted):
        found |= {"nginx"}
    if {"start", *events.EVENTS} & set(wanted):
        found |= {"node", "npm"}
    if "start" in wanted:
        found.add("haproxy")
    return found


def spelled(options: argparse.Namespace) -> str:
    """The command, without the paths of this machine."""
    words = ["benches/versus/run"]
    words += ["--quick"] if options.quick else []
    words += ["--peers"] if options.peers else []
    words += ["--binary", "PATH"] if options.binary else []
    for key in options.only or []:
        words += ["--only", key]
    if options.workers != machine.usable_cores():
        words += ["--workers", str(options.workers)]
    for name in ("rounds", "seconds"):
        value = getattr(options, name)
        words += [f"--{name}", str(value)] if value is not None else []
    return " ".join(words)


def preface(results: dict[str, Any]) -> str:
    """The head of the file."""
    return (
        "# appserver beside its peers\n\n"
        f"Written by `{results['command']}`; do not edit. Every figure is from that one run.\n\n"
        f"![Server CPU time per request]({CHART.name})\n\n"
    )


def say(text: str) -> None:
    """Tells the person who waits what goes on."""
    print(f"… {time.monotonic() - STARTED:4.0f} s: {text}", file=sys.stderr, flush=True)
