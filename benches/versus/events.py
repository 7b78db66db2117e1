"""What clients notice of a reload, an upgrade, a kill, a change of scale and a hang."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import proc
import wire
import wrk
from figures import percentile
from express import Pm2
from nginx import Nginx
from ours import Ours
from server import Lacking, Server, Trouble, signal_one, wait_until
from setting import Setting

PATH = "/1k.bin"
KEEP_ALIVE, PER_REQUEST = 32, 16
"""The paced clients of each sort."""
PRESSURE = 32
"""The connections of wrk, which keeps every worker busy meanwhile."""
HANG = 3.0
"""How long a worker hangs; longer than the patience of a client."""
SETTLE = 8.0
"""How long workers that were replaced may stay; what is left then is told."""
AT_LEAST = 0.5
"""What counts as "during", at least: a kill is over too soon to have a percentile."""


def measure(kind: str, setting: Setting) -> list[dict[str, Any]]:
    """The event on each server, one after the other."""
    scratch, workers = setting.scratch, setting.workers
    nginx = Nginx(scratch, workers)
    nginx.is_orphan = kind == "upgrade"
    servers: list[Server] = [Ours(scratch, workers, setting.programs.appserver), nginx]
    if not setting.is_quick:
        servers.append(Pm2(scratch, workers))
    found: list[dict[str, Any]] = []
    for server in servers:
        setting.say(f"{kind} under load: {server.name}")
        try:
            with server:
                found.append(one(kind, server, min(4.0, setting.seconds)))
        except Lacking as lacking:
            found.append({"server": server.name, "lacking": str(lacking)})
        except (OSError, Trouble) as trouble:
            setting.fail(f"{kind}, {server.name}", Trouble(str(trouble)))
    return found


def one(kind: str, server: Server, calm: float) -> dict[str, Any]:
    """A calm time, the event, and a calm time again."""
    words = [sys.executable, "-B", str(Path(__file__).parent / "load.py"), str(server.port), PATH]
    words += [str(KEEP_ALIVE), str(PER_REQUEST)]
    paced = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    pressure = wrk.begin(wrk.command(server.port, PATH, PRESSURE, 300, {}))
    try:
        time.sleep(0.7)  # everybody is connected
        start = time.monotonic()
        time.sleep(calm)
        event = time.monotonic()
        left_over = EVENTS[kind](server)
        lasted = time.monotonic() - event
        time.sleep(max(0.0, AT_LEAST - lasted))
        over = time.monotonic()
        time.sleep(calm)
        end = time.monotonic()
        seen = json.loads(paced.communicate()[0])
        pressed = wrk.finish(pressure, interrupt=True)
    finally:
        for running in (paced, pressure):
            if running.poll() is None:
                running.kill()
                running.wait()
    if not wire.answers(server.port, PATH):
        raise Trouble(f"{server.name} no longer answers after: {kind}\n{server.last_words()}")
    facts = {"lasted_ms": lasted * 1e3, "left_over": left_over}
    return report(server.name, seen, pressed, (start, event, over, end)) | facts


def report(name: str, seen: dict[str, Any], pressed: wrk.Seen, times: tuple[float, ...]) -> dict[str, Any]:
    """The figures of before, during and after."""
    start, event, over, end = times
    windows = {"before": (start, event), "during": (event, over), "after": (over, end)}
    p99 = {}
    for window, (first, last) in windows.items():
        found = percentile([took for when, took in seen["answers"] if first <= when < last], 0.99)
        p99[window] = None if found is None else found * 1e3
    failed = Counter(kind for when, kind in seen["failures"] if event <= when < end)
    calm = Counter(kind for when, kind in seen["failures"] if start <= when < event)
    return {
        "server": name,
        "answers": sum(event <= when < end for when, _ in seen["answers"]),
        "failed": dict(failed),
        "failed_before": dict(calm),
        "pressure_errors": {kind: count for kind, count in pressed.errors.items() if count},
        "pressure_requests": pressed.requests,
        "closed_idle": seen["closed_idle"],
        "longest_gap_ms": {
            "before": longest_gap(seen["answers"], start, event),
            "during": longest_gap(seen["answers"], event, end),
        },
        "slowest_ms": max((took * 1e3 for when, took in seen["answers"] if event <= when < end), default=None),
        "p99_ms": p99,
    }


def longest_gap(answers: list[list[float]], first: float, last: float) -> float:
    """The longest time without an answer to anybody, in milliseconds."""
    times = [first, *sorted(when for when, _ in answers if first <= when < last), last]
    return max(right - left for left, right in zip(times, times[1:])) * 1e3


def settled(fact: Callable[[], bool]) -> bool:
    """Whether a fact comes within the time that is given to it."""
    try:
        wait_until("the event is over", fact, SETTLE)
    except Trouble:
        return False
    return True


def replaced(server: Server, old: set[int], workers: int) -> int:
    """Waits until there are so many workers and none of the old; how many of the old are left."""
    settled(lambda: len(server.worker_pids() - old) >= workers and not living(server, old))
    return len(living(server, old))


def living(server: Server, pids: set[int]) -> set[int]:
    """Those of `pids` that still run, whoever is their parent now."""
    return {one.pid for one in proc.of_group(server.group)} & pids


def reload(server: Server) -> int:
    """Every worker is replaced."""
    old = server.worker_pids()
    server.reload()
    return replaced(server, old, server.workers)


def upgrade(server: Server) -> int:
    """The program is replaced."""
    old = server.worker_pids()
    server.upgrade()
    return replaced(server, old, server.workers)


def kill(server: Server) -> int:
    """A worker is killed; over when there are as many as before."""
    gone = server.kill_worker(signal.SIGKILL)
    pids = lambda: server.worker_pids() - {gone}  # noqa: E731
    if not settled(lambda: len(pids()) >= server.workers):
        raise Trouble(f"{server.name} does not replace a killed worker")
    return 0


def scale(server: Server) -> int:
    """One more, and one fewer."""
    count = server.workers
    for workers in (count + 1, count):
        server.scale(workers)
        if not settled(lambda: len(server.worker_pids()) == workers):
            return abs(len(server.worker_pids()) - workers)
    return 0


def hang(server: Server) -> int:
    """A worker stands still for a while."""
    stopped = server.kill_worker(signal.SIGSTOP)
    try:
        time.sleep(HANG)
    finally:
        signal_one(stopped, signal.SIGCONT)
    return 0


EVENTS: dict[str, Callable[[Server], int]] = {
    "reload": reload,
    "upgrade": upgrade,
    "kill": kill,
    "scale": scale,
    "hang": hang,
}
"""What each does; how many workers were then still not as they should be."""
