"""What is measured: the rows, and those of the target table that cannot be measured yet."""

from dataclasses import dataclass, field

import sessions
import wrk

NGINX, UNSENT, HAPROXY, VARNISH, EXPRESS, EXPRESS_SESSION, HYPER, OUR_HELLO = (
    "nginx",
    "nginx, sendfile off",
    "HAProxy",
    "Varnish",
    "Express",
    "express-session",
    "bare hyper",
    "appserver, hello",
)
"""The peers, as the tables call them."""


@dataclass(frozen=True)
class Row:
    """A workload for wrk."""

    key: str
    title: str
    path: str
    peers: tuple[str, ...] = (NGINX,)
    connections: int = 64
    headers: dict[str, str] = field(default_factory=dict)
    body: int = 0
    """Bytes that are sent; 0 is a GET."""
    target: float | None = None
    """The CPU time per request that is aimed at, as a ratio to `rival`."""
    rival: str = NGINX
    """The peer that the target is about."""
    site: str = "files"
    """What serves it: `files`, `proxy` or `cache`, or one of the examples."""
    more: str = ""
    """What appserver's configuration needs besides; a build that does not know it cannot yet."""
    encoding: str = ""
    """The `Content-Encoding` that an answer must have."""
    workers: int | None = None
    """Of each server, when it is not the number that was asked for."""
    has_sessions: bool = False
    """Whether requests come with the cookies of sessions, in turn."""
    has_redis: bool = False
    """Whether there is a Redis for all servers to keep them in."""


SERVICE, APP, PROXY, CACHE = "service", "bench-app", "proxy", "cache"
"""Sites: examples/service, benches/app.rs, and two that have an upstream."""

CLOSE = {"Connection": "close"}
GZIP = {"Accept-Encoding": "gzip"}
WEB = (NGINX, HAPROXY, EXPRESS, HYPER)
APPS = (NGINX, EXPRESS, HYPER)
FILES = (NGINX, UNSENT, EXPRESS)

ROWS = [
    Row("hello", "hello from the example service", "/hello", WEB, target=1.0, site=SERVICE),
    Row("hello-browser", "hello, a browser's dozen headers", "/hello", WEB, headers=wrk.BROWSER, site=SERVICE),
    Row("post-64", "POST, a body of 64 B", "/post", APPS, body=64, site=APP),
    Row("post-4k", "POST, a body of 4 KiB", "/post", APPS, body=4096, site=APP),
    Row("static-1k", "static file, 1 KiB", "/1k.bin", (*FILES, HYPER), target=0.75),
    Row("static-100k", "static file, 100 KiB", "/100k.bin", (*FILES, HYPER), target=0.70),
    Row("static-10m", "static file, 10 MiB", "/10m.bin", FILES, target=1.0),
    Row("static-gzip", "static JSON file, 20 KiB, gzip (nginx compresses it each time)", "/20k.json", headers=GZIP, more="gzip", encoding="gzip"),
    Row(
        "gzip",
        "gzip on the fly, 20 KiB JSON",
        "/20k.json",
        (NGINX, EXPRESS),
        headers=GZIP,
        target=0.8,
        site=APP,
        more="gzip",
        encoding="gzip",
    ),
    Row("cache-1k", "cached response hit, 1 KiB", "/1k.bin", (NGINX, VARNISH), target=0.65, site=CACHE, more="cache"),
    Row("cache-20k", "cached response hit, 20 KiB", "/20k.json", (NGINX, VARNISH), target=0.9, site=CACHE, more="cache"),
    Row(
        "cache-gzip",
        "cached and compressed hit, 20 KiB JSON",
        "/20k.json",
        (NGINX, VARNISH),
        headers=GZIP,
        target=0.1,
        site=CACHE,
        more="cache",
        encoding="gzip",
    ),
    Row("proxy-hello", "reverse proxy, hello", "/hello", (NGINX, HAPROXY), target=0.9, site=PROXY, more="proxy"),
    Row("proxy-20k", "reverse proxy, 20 KiB", "/20k.json", (NGINX, HAPROXY), target=0.9, site=PROXY, more="proxy"),
    Row(
        "session-redis",
        "session read and write in Redis",
        sessions.WRITE,
        (EXPRESS_SESSION,),
        target=0.1,
        rival=EXPRESS_SESSION,
        site=APP,
        more="session-redis",
        has_sessions=True,
        has_redis=True,
    ),
    Row(
        "session-embedded",
        "session read in the embedded store",
        sessions.READ,
        (OUR_HELLO,),
        target=1.5,
        rival=OUR_HELLO,
        site=APP,
        more="session-embedded",
        has_sessions=True,
    ),
    # A picture, which nobody compresses although browsers always ask for that.
    Row("browser", "1 KiB, a browser's dozen headers", "/1k.jpg", headers=wrk.BROWSER),
    Row("connections-512", "1 KiB, 512 connections", "/1k.bin", connections=512),
    Row("close", "1 KiB, a connection per request", "/1k.bin", headers=CLOSE),
]

CONNECTIONS = (64, 256, 1024, 4096, 10_000)
"""The steps of the growth with connections."""

GROWING = (NGINX, HAPROXY, HYPER)

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
    ("TLS keep-alive hello / full handshake", "≤ 0.85 × / ≤ 0.7 × nginx; resumption 20 of 20"),
]
"""Rows that cannot be measured so far, with their targets; they are listed and never made up."""

QUICK = [
    "hello",
    "static-1k",
    "static-100k",
    "static-10m",
    "gzip",
    "cache-1k",
    "cache-20k",
    "proxy-hello",
    "proxy-20k",
]
"""What `--quick` measures, beside nginx alone."""


def rows(cores: int) -> list[Row]:
    """Every workload on a machine of so many cores."""
    growth = [
        Row(f"workers-{count}", f"hello, workers: {count}", "/hello", GROWING, site=SERVICE, workers=count)
        for count in steps(cores)
    ]
    growth += [
        Row(f"growth-{count}", f"hello, connections: {count}", "/hello", GROWING, connections=count, site=SERVICE)
        for count in CONNECTIONS
    ]
    return ROWS + growth


def steps(cores: int) -> list[int]:
    """1, 2, 4 … and all of them."""
    return sorted({*(1 << bit for bit in range(cores.bit_length())), cores})


def keys(cores: int) -> list[str]:
    """Every name that `--only` knows."""
    return [row.key for row in rows(cores)] + list(SCENARIOS)
