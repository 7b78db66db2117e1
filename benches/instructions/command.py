"""The command line: what is counted, compared and kept."""

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import machine
from counting import Trouble, Unknown, count
from plan import BROWSER, ROWS

HERE = Path(__file__).parent
BASELINE = HERE / "baseline.json"
TOLERANCE = 0.03
"""How much more than the baseline is a regression; callgrind itself repeats within 1 %."""


def main() -> int:
    """Counts, prints, compares; 1 when a row costs more than it did."""
    options = parse()
    if options.build and not build():
        return 1
    rows = [row for row in ROWS if not options.only or row.key in options.only]
    counted: dict[str, int] = {}
    try:
        for row in rows:
            for name, headers in [("", {}), ("-browser", BROWSER)]:
                if name and not options.browser:
                    continue
                try:
                    counted[row.key + name] = count(row, headers, options.target, options.keep, row.key + name)
                except Unknown as unknown:
                    print(f"not counted: {unknown}", flush=True)
                    continue
                print(f"{row.key + name:24}{counted[row.key + name]:>8}  {row.title}", flush=True)
    except Trouble as trouble:
        print(f"benches/instructions: {trouble}", file=sys.stderr)
        return 1
    here = machine.describe()
    if options.write:
        keep(counted, here)
        return 0
    return compare(counted, here)


def keep(counted: dict[str, int], here: dict[str, str]) -> None:
    """Makes these figures the baseline. Rows that were not counted keep theirs, unless those were
    counted with other tools."""
    before = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    kept = before["instructions"] if before.get("machine") == here else {}
    BASELINE.write_text(json.dumps({"machine": here, "instructions": kept | counted}, indent=2) + "\n")


def build() -> bool:
    """Builds what is counted, and installs valgrind where that can be done."""
    if shutil.which("valgrind") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-qy", "valgrind"]):
            subprocess.run(["apt-get", *words], env=quiet, stdout=subprocess.DEVNULL, check=False)
    words = ["cargo", "build", "--release", "--locked", "--bin", "appserver"]
    for row in ROWS:
        if row.program.startswith("examples/"):
            words += ["--example", row.program.removeprefix("examples/")]
    return subprocess.run(words, cwd=HERE.parent.parent, check=False).returncode == 0


def compare(counted: dict[str, int], here: dict[str, str]) -> int:
    """Holds the figures against the baseline, if it was made with the same tools."""
    if not BASELINE.exists():
        return 0
    baseline = json.loads(BASELINE.read_text())
    same = baseline["machine"] == here
    if not same:
        print("The baseline was counted with other tools: differences are shown and not judged.")
    worse = 0
    for key, now in counted.items():
        before = baseline["instructions"].get(key)
        if before is None:
            print(f"{key}: no baseline")
            continue
        change = now / before - 1
        print(f"{key}: {before} → {now} ({change:+.1%})")
        worse += change > TOLERANCE
    return int(same and worse > 0)


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(prog="benches/instructions/run", description=__doc__)
    parser.add_argument("--only", action="append", choices=[row.key for row in ROWS], help="only this row")
    parser.add_argument("--browser", action="store_true", help="each row with a browser's dozen headers too")
    parser.add_argument("--target", type=Path, default=HERE.parent.parent / "target/release", metavar="DIR",
                        help="where the built programs are (default: target/release)")
    parser.add_argument("--build", action="store_true", help="build the programs first")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep callgrind's files there, for callgrind_annotate")
    parser.add_argument("--write", action="store_true", help="make these figures the baseline")
    return parser.parse_args()
