"""What is measured: the rows that exist, and those of the target table that do not yet."""

from dataclasses import dataclass, field

import wrk


@dataclass(frozen=True)
class Row:
    """A workload for wrk."""

    key: str
    title: str
    path: str
    connections: int = 64
    headers: dict[str, str] = field(default_factory=dict)
    target: float | None = None
    """The CPU time per request that is aimed at, as a ratio to nginx."""
    needs_service: bool = False
    """Whether it asks the example service instead of a folder of files."""
    varies_sendfile: bool = False
    """Whether nginx is worth measuring without sendfile too."""


CLOSE = {"Connection": "close"}

ROWS = [
    Row("hello", "hello from the example service", "/hello", target=1.0, needs_service=True),
    Row("hello-browser", "hello, a browser's dozen headers", "/hello", headers=wrk.BROWSER, needs_service=True),
    Row("static-1k", "static file, 1 KiB", "/1k.bin", target=0.75, varies_sendfile=True),
    Row("static-100k", "static file, 100 KiB", "/100k.bin", target=0.70, varies_sendfile=True),
    Row("static-10m", "static file, 10 MiB", "/10m.bin", target=1.0, varies_sendfile=True),
    Row("browser", "1 KiB, a browser's dozen headers", "/1k.bin", headers=wrk.BROWSER),
    Row("connections-512", "1 KiB, 512 connections", "/1k.bin", connections=512),
    Row("close", "1 KiB, a connection per request", "/1k.bin", headers=CLOSE),
]

SCENARIOS = {
    "start": "from the start to the first 200",
    "idle": "10 000 idle keep-alive connections",
    "reload": "reload under load",
    "upgrade": "upgrade of the binary under load",
    "kill": "kill -9 of a worker under load",
    "scale": "one worker more, and back, under load",
    "hang": "a worker hangs (SIGSTOP) under load",
}

NOT_YET = [
    ("gzip on the fly, 20 KiB JSON", "≤ 0.8 × nginx at equal or smaller size"),
    ("cached response hit, 1 KiB / 20 KiB", "≤ 0.65 × / ≤ 0.9 × nginx"),
    ("cached and compressed hit", "≤ 0.1 × nginx"),
    ("reverse proxy, keep-alive upstream, hello / 20 KiB", "≤ 0.9 × nginx"),
    ("TLS keep-alive hello / full handshake", "≤ 0.85 × / ≤ 0.7 × nginx"),
    ("session read and write in Redis", "≤ 0.1 × express-session with connect-redis"),
    ("session read in the embedded store", "≤ 1.5 × hello"),
    ("small POST bodies", ""),
    ("growth with workers (1, 2, 4 …)", ""),
    ("growth with connections (64 → 10 000)", ""),
    ("events under load: PM2", ""),
    ("peers other than nginx: HAProxy, Varnish, Express, bare hyper", ""),
]
"""Rows that cannot be measured so far, with their targets; they are listed and never made up."""


def keys() -> list[str]:
    """Every name that `--only` knows."""
    return [row.key for row in ROWS] + list(SCENARIOS)
