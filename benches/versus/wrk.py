"""Driving wrk and reading what it has seen."""

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from server import Trouble

SCRIPT = Path(__file__).parent / "wrk.lua"

BROWSER: dict[str, str] = json.loads((Path(__file__).parent.parent / "browser.json").read_text())
"""A browser's dozen; wrk adds Host."""


@dataclass(frozen=True)
class Seen:
    """What one run of wrk has seen."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: dict[str, int]

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds if self.seconds else 0.0


def command(
    port: int,
    path: str,
    connections: int,
    seconds: float,
    headers: dict[str, str],
    body: int = 0,
    cookies: Path | None = None,
) -> list[str]:
    """The command line; with a `body` of so many bytes, it is a POST; `cookies` are sent in turn."""
    words = ["wrk", f"-t{min(2, connections)}", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    words += ["--timeout", "5s", "-s", str(SCRIPT)]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    words.append(f"http://127.0.0.1:{port}{path}")
    if cookies is not None:
        return [*words, "--", "COOKIES", str(cookies)]
    return [*words, "--", "POST", str(body)] if body else words


def begin(words: list[str]) -> subprocess.Popen[str]:
    """Starts wrk and does not wait."""
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(running: subprocess.Popen[str], interrupt: bool = False) -> Seen:
    """What a running wrk has seen, at its end or, when interrupted, until now."""
    if interrupt:
        running.send_signal(signal.SIGINT)
    output, _ = running.communicate(timeout=120)
    for line in output.splitlines():
        if line.startswith("SEEN "):
            return Seen(**json.loads(line.removeprefix("SEEN ")))
    raise Trouble(f"wrk ended with {running.returncode}: {output.strip()}")


def run(words: list[str], meanwhile: Callable[[], None]) -> Seen:
    """A whole run; `meanwhile` is called while the load is on."""
    running = begin(words)
    try:
        meanwhile()
        return finish(running)
    finally:
        if running.poll() is None:
            running.kill()
            running.wait()
