"""How long it takes from the start of a program to its first answer."""

import statistics
import time
from typing import Any

import wire
from express import Express, Pm2
from haproxy import Haproxy
from hyper import Hyper
from nginx import Nginx
from ours import Ours
from server import Server, Trouble, wait_until
from setting import Setting

TARGET_MS = 15.0


def measure(setting: Setting) -> list[dict[str, Any]]:
    """Interleaved starts of everybody who serves without an upstream."""
    starts = 5 if setting.is_quick else 15
    scratch, workers = setting.scratch, setting.workers
    servers: list[Server] = [Ours(scratch, workers, setting.programs.appserver), Nginx(scratch, workers)]
    if not setting.is_quick:
        hyper = Hyper(scratch, workers, setting.programs.examples / "bare-hyper")
        servers += [hyper, Haproxy(scratch, workers), Express(scratch, workers), Pm2(scratch, workers)]
        servers = [server for server in servers if can_start(server, setting)]
    times: list[list[float]] = [[] for _ in servers]
    for number in range(-1, starts):
        for server, seen in zip(servers, times):
            took = first_answer_ms(server)
            if number >= 0:  # the first start makes the folder and warms the page cache
                seen.append(took)
    return [
        {
            "server": server.name,
            "starts": starts,
            "median_ms": statistics.median(seen),
            "least_ms": min(seen),
            "most_ms": max(seen),
        }
        for server, seen in zip(servers, times)
    ]


def can_start(server: Server, setting: Setting) -> bool:
    """Whether it starts at all; if not, the report says so."""
    try:
        first_answer_ms(server)
    except (OSError, Trouble) as trouble:
        setting.fail(f"start, {server.name}", Trouble(str(trouble)))
        return False
    return True


def first_answer_ms(server: Server) -> float:
    """One start, timed, and its end."""
    try:
        before = time.monotonic()
        server.spawn()
        answered = lambda: wire.answers(server.port, "/1k.bin")  # noqa: E731
        wait_until(f"{server.name} answers", answered, step=0.0005)
        return (time.monotonic() - before) * 1e3
    finally:
        server.stop()
