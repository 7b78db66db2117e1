"""Where and with what a measurement was made."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

import needs
import nginx


def facts(binary: Path, is_given: bool, workers: int) -> dict[str, str]:
    """Machine, date and versions; the order is that of the report."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{field('/proc/cpuinfo', 'model name')}, {usable_cores()} usable cores",
        "memory": f"{int(field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB",
        "kernel": platform.release(),
        "system": field("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "load before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "appserver": f"{first_line([str(binary), '--version'])}, {origin(binary, is_given)}",
        "rustc": first_line(["rustc", "--version"]),
        "nginx": nginx.version(),
        "wrk": first_line(["wrk", "-v"]).split(" [")[0],
        "workers": f"{workers} each",
    }


def usable_cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def field(path: str, name: str, separator: str = ":") -> str:
    """The value of a line `name: value`."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return "unknown"
    parted = (line.partition(separator) for line in lines)
    return next((value.strip() for key, _, value in parted if key.strip() == name), "unknown")


def first_line(words: list[str]) -> str:
    """The first line that a program prints."""
    try:
        done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except OSError:
        return "unknown"
    return (done.stdout.splitlines() or ["unknown"])[0].strip()


def origin(binary: Path, is_given: bool) -> str:
    """Which sources the binary was made of, as far as that is known."""
    if not is_given:
        return f"commit {commit()}"
    built = datetime.datetime.fromtimestamp(binary.stat().st_mtime, datetime.UTC)
    return f"a given binary of {built:%Y-%m-%d %H:%M} UTC (checked out: {commit()})"


def commit() -> str:
    """The commit that is checked out, and whether it was changed."""
    said = first_line(["git", "-C", str(needs.ROOT), "describe", "--always", "--dirty", "--abbrev=9"])
    return "unknown" if said.startswith("fatal") else said
