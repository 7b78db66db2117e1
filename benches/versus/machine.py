"""Where and with what a measurement was made."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

import needs
import npm
from needs import Programs
from server import Trouble


def facts(programs: Programs, is_given: bool, workers: int, peers: set[str]) -> dict[str, str]:
    """Machine, date and versions; the order is that of the report."""
    return {
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{field('/proc/cpuinfo', 'model name')}, {usable_cores()} usable cores",
        "memory": f"{int(field('/proc/meminfo', 'MemTotal').split()[0]) / 2**20:.1f} GiB",
        "kernel": platform.release(),
        "system": field("/etc/os-release", "PRETTY_NAME", "=").strip('"'),
        "load before": load(),
        "appserver": f"{first_line([str(programs.appserver), '--version'])}, {origin(programs.appserver, is_given)}",
        "rustc": first_line(["rustc", "--version"]),
        "wrk": first_line(["wrk", "-v"]).split(" [")[0],
        **versions(peers),
        "workers": f"{workers} each",
    }


def versions(programs: set[str]) -> dict[str, str]:
    """Of the peers that take part."""
    found = {}
    if "nginx" in programs:
        found["nginx"] = first_line([needs.found("nginx") or "nginx", "-v"]).removeprefix("nginx version: nginx/")
    if "haproxy" in programs:
        found["HAProxy"] = first_line([needs.found("haproxy") or "haproxy", "-v"]).removeprefix("HAProxy version ").split(" ")[0]
    if "varnishd" in programs:
        said = first_line([needs.found("varnishd") or "varnishd", "-V"])
        found["Varnish"] = said.partition("(varnish-")[2].split(" ")[0] or said
    if "node" in programs:
        found["Node"] = first_line([needs.found("node") or "node", "--version"])
        try:
            for package in ("express", "compression", "pm2", "express-session", "connect-redis"):
                found[package] = npm.version(package)
        except Trouble:
            found["express"] = "unknown"
    if "redis-server" in programs:
        said = first_line([needs.found("redis-server") or "redis-server", "--version"])
        found["Redis"] = said.partition("v=")[2].split(" ")[0] or said
    if "hyper" in programs:
        found["hyper"] = locked("hyper")
    return found


def locked(package: str) -> str:
    """The version of a crate that is built in."""
    lines = (needs.ROOT / "Cargo.lock").read_text().splitlines()
    at = lines.index(f'name = "{package}"') if f'name = "{package}"' in lines else -1
    return lines[at + 1].partition(" = ")[2].strip('"') if at >= 0 else "unknown"


def load() -> str:
    """The load averages of the last 1, 5 and 15 minutes."""
    return " ".join(f"{one:.2f}" for one in os.getloadavg())


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
