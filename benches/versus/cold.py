"""How long it takes from the start of a program to its first answer."""

import statistics
import time
from typing import Any

import wire
from nginx import Nginx
from ours import Ours
from rounds import Setting
from server import Server, wait_until

TARGET_MS = 15.0


def measure(setting: Setting) -> list[dict[str, Any]]:
    """Interleaved starts of appserver and nginx."""
    starts = 5 if setting.is_quick else 15
    servers: list[Server] = [
        Ours(setting.scratch, setting.workers, setting.binary),
        Nginx(setting.scratch, setting.workers),
    ]
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
