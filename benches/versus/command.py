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

import cold
import events
import idle
import machine
import needs
import plan
import report
import rounds
from scratch import scratch
from server import Trouble, adopt_orphans

PROGRAMS = {"nginx": "nginx-light", "wrk": "wrk"}
"""What is called, and the Debian packages it comes from."""

STARTED = time.monotonic()

RESULTS = needs.ROOT / "benches/RESULTS.md"


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
        RESULTS.write_text(preface(results) + text)
        say(f"written: {RESULTS.relative_to(needs.ROOT)}")
    return 1 if results["failed"] else 0


def parse() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="benches/versus/run",
        description="Measures appserver side by side with nginx, in interleaved rounds on the loopback.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="short rounds, nginx in one variant: about two minutes")
    add("--json", action="store_true", help="print every figure as JSON")
    add("--only", action="append", metavar="ROW", choices=plan.keys(), help=f"one of {', '.join(plan.keys())}; may be repeated")
    add("--results", action="store_true", help="write benches/RESULTS.md")
    add("--binary", type=Path, metavar="PATH", help="measure this program instead of building one; examples/service is looked for beside it")
    add("--workers", type=int, default=machine.usable_cores(), metavar="N", help="of each server (default: one per usable core)")
    add("--rounds", type=int, metavar="N", help="instead of 5, or 2 with --quick")
    add("--seconds", type=int, metavar="N", help="of each round, instead of 5, or 2 with --quick")
    options = parser.parse_args()
    for name in ("workers", "rounds", "seconds"):
        value = getattr(options, name)
        if value is not None and value < 1:
            parser.error(f"--{name} is at least 1")
    return options


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that was asked for, in the order of the report."""
    needs.ensure_programs(PROGRAMS)
    binary, service = needs.binaries(options.binary)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # ten thousand connections need it
    wanted = options.only or plan.keys()
    results: dict[str, Any] = {
        "machine": machine.facts(binary, options.binary is not None, options.workers),
        "command": spelled(options),
        "workloads": [],
        "start": [],
        "idle": [],
        "events": {},
        "failed": {},
        "not_yet": [{"title": title, "target": target} for title, target in plan.NOT_YET],
    }
    with scratch() as folder:
        setting = rounds.Setting(
            scratch=folder,
            binary=binary,
            service=service,
            workers=options.workers,
            rounds=options.rounds or (2 if options.quick else 5),
            seconds=options.seconds or (2 if options.quick else 5),
            is_quick=options.quick,
            say=say,
        )
        results["machine"]["rounds"] = f"{setting.rounds} of {setting.seconds} s, interleaved"
        for row in plan.ROWS:
            if row.key in wanted:
                attempt(results, row.key, lambda: results["workloads"].append(rounds.measure(row, setting)))
        if "start" in wanted:
            say(plan.SCENARIOS["start"])
            attempt(results, "start", lambda: results.update(start=cold.measure(setting)))
        if "idle" in wanted:
            attempt(results, "idle", lambda: results.update(idle=idle.measure(setting)))
        for kind in events.EVENTS:
            if kind in wanted:
                attempt(results, kind, lambda: results["events"].update({kind: events.measure(kind, setting)}))
    return results


def spelled(options: argparse.Namespace) -> str:
    """The command, without the paths of this machine."""
    words = ["benches/versus/run"]
    words += ["--quick"] if options.quick else []
    words += ["--binary", "PATH"] if options.binary else []
    for key in options.only or []:
        words += ["--only", key]
    if options.workers != machine.usable_cores():
        words += ["--workers", str(options.workers)]
    for name in ("rounds", "seconds"):
        value = getattr(options, name)
        words += [f"--{name}", str(value)] if value is not None else []
    return " ".join(words)


def attempt(results: dict[str, Any], key: str, part: Callable[[], None]) -> None:
    """Measures a part; what goes wrong is told at the end and does not stop the others."""
    try:
        part()
    except Trouble as trouble:
        say(f"{key}: {trouble}")
        results["failed"][key] = str(trouble)


def preface(results: dict[str, Any]) -> str:
    """The head of the file."""
    return (
        "# appserver beside its peers\n\n"
        f"Written by `{results['command']}`; do not edit. Every figure is from that one run.\n\n"
    )


def say(text: str) -> None:
    """Tells the person who waits what goes on."""
    print(f"… {time.monotonic() - STARTED:4.0f} s: {text}", file=sys.stderr, flush=True)
