"""What is counted."""

import json
from dataclasses import dataclass
from pathlib import Path


READ, WRITE = "/session/read", "/session/write"
"""What benches/app.rs answers: how often a session was written, and one time more."""


@dataclass(frozen=True)
class Row:
    """A request that is sent again and again."""

    key: str
    title: str
    program: str
    """The program, below the folder of built programs."""
    path: str
    config: str = ""
    """More lines for the configuration; `{scratch}` is a folder of its own,
    `{redis}` the port of a Redis that is started for it."""
    has_sessions: bool = False
    """Whether each connection sends the cookie of a session that it has begun before."""


EMBEDDED = """[session]
enabled = true
secret = "signs the cookies of the benchmark"
[store]
dir = "{scratch}/store"
"""
"""Sessions in a file of this machine."""

REDIS = """[session]
enabled = true
store = "redis"
url = "redis://127.0.0.1:{redis}"
secret = "signs the cookies of the benchmark"
[store]
timeout = "10s"
"""
"""Sessions in a Redis, which need not hurry."""

ROWS = [
    Row("hello", "examples/service, every default layer and the access log", "examples/service", "/"),
    Row("hello-axum", "examples/hello, an axum Router", "examples/hello", "/"),
    Row("static-1k", "a file of 1 KiB", "appserver", "/1k.bin"),
    Row("session-unused", "the same hello where sessions are enabled", "examples/service", "/", EMBEDDED),
    Row("session-read", "a field of a session in the embedded store", "examples/bench-app", READ, EMBEDDED, True),
    Row("session-write", "read, changed and saved there", "examples/bench-app", WRITE, EMBEDDED, True),
    Row("session-redis", "the same in Redis", "examples/bench-app", WRITE, REDIS, True),
]

BROWSER: dict[str, str] = json.loads((Path(__file__).parent.parent / "browser.json").read_text())
"""A browser's dozen."""
