"""Workloads in interleaved rounds (A B C A B C …), so that a noisy minute hits every server."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import peers
import proc
import wire
import wrk
from figures import Spread, spread
from ours import Unable
from plan import Row
from scratch import empty, has_content
from server import Server, Trouble, wait_until
from setting import Setting


CONNECTIONS_PER_SECOND = 2000
"""How many connections a machine surely makes in a second; a round lasts long enough for them."""


@dataclass(frozen=True)
class Round:
    """One run of wrk against one server."""

    seen: wrk.Seen
    cpu_us: float
    """Server CPU time per request, in microseconds."""
    pss_kib: float
    """Proportional set size per worker, or per thread in its place, in the middle of the run."""


def measure(row: Row, setting: Setting) -> dict[str, Any]:
    """A row of the report."""
    found: dict[str, Any] = {"key": row.key, "title": row.title, "target": row.target, "servers": []}
    with ExitStack() as running:
        upstream = peers.upstream(row, setting, running)
        servers: list[Server] = []
        try:
            ours = running.enter_context(peers.ours(row, setting, upstream))
            check(row, ours)
            servers.append(ours)
        except Unable as why:
            found["not_yet"] = str(why)
            if not setting.with_peers:
                return found
        has_ours = bool(servers)
        for name in peers.wanted(row, setting):
            make = partial(peers.peer, name, row, setting, upstream)
            one = peers.started(f"{row.key}, {name}", make, setting, running)
            servers += [one] if one else []
        if not servers:
            return found
        sizes = [compare(row, servers[0], server) for server in servers]
        # Thousands of connections take a while to be made.
        seconds = max(setting.seconds, row.connections / CONNECTIONS_PER_SECOND)
        for server in servers:
            one_round(server, row, max(1, row.connections / CONNECTIONS_PER_SECOND))  # caches are warm afterwards, in the servers and below
        rounds: list[list[Round]] = [[] for _ in servers]
        for number in range(setting.rounds):
            setting.say(f"{row.title}: round {number + 1} of {setting.rounds}")
            for server, done in zip(servers, rounds):
                done.append(one_round(server, row, seconds))
    for server, done, size in zip(servers, rounds, sizes):
        figures = summary(server.name, done, rounds[0] if has_ours else None)
        found["servers"].append(figures | {"body_bytes": size, "writes_log": server.writes_log})
    return found


def check(row: Row, ours: Server) -> None:
    """Tells when this build does not do what the row is about."""
    answer = wire.fetch(ours.port, row.path, row.headers, row.body)
    if answer.status != 200:
        raise Unable(f"{row.path} is answered with {answer.status}")
    if answer.encoding != row.encoding:
        raise Unable(f"the answer's encoding is {answer.encoding or 'none'}, not {row.encoding or 'none'}")


def compare(row: Row, first: Server, other: Server) -> int:
    """Makes sure that both do the same work; the size of the other's body as it was sent."""
    left, right = (wire.fetch(server.port, row.path, row.headers, row.body) for server in (first, other))
    same = left.content() == right.content() and left.encoding == right.encoding == row.encoding
    if left.status != 200 or right.status != 200 or not same:
        what = ", ".join(f"{one.status} with {len(one.body)} B {one.encoding}".strip() for one in (left, right))
        raise Trouble(f"{row.path}: {first.name} and {other.name} do not answer the same ({what})")
    return len(right.body)


def one_round(server: Server, row: Row, seconds: float) -> Round:
    """One run, with the CPU time that the server's processes used for it."""
    words = wrk.command(server.port, row.path, row.connections, seconds, row.headers, row.body)
    sizes: list[int] = []

    def meanwhile() -> None:
        time.sleep(seconds / 2)
        sizes.extend(proc.pss_kib(pid) for pid in server.worker_pids())

    before = proc.cpu_seconds(server.group)
    seen = wrk.run(words, meanwhile)
    used = proc.cpu_seconds(server.group) - before
    if not seen.requests:
        raise Trouble(f"{server.name} answered nothing at all ({row.title}): {seen.errors}")
    if server.writes_log:  # whoever says so and writes no lines has an easy life
        wait_until(f"{server.name} writes its access log", lambda: has_content(server.access_log), 5.0)
        empty(server.access_log)
    return Round(seen, used * 1e6 / seen.requests, sum(sizes) / server.workers)


def summary(name: str, done: list[Round], ours: list[Round] | None) -> dict[str, Any]:
    """Medians over the rounds, and how appserver compares in the same rounds."""
    median = lambda read: statistics.median(read(one) for one in done)  # noqa: E731
    errors = {kind: sum(one.seen.errors[kind] for one in done) for kind in done[0].seen.errors}
    figures: dict[str, Any] = {
        "server": name,
        "requests_per_second": median(lambda one: one.seen.per_second),
        "p50_ms": median(lambda one: one.seen.p50_ms),
        "p99_ms": median(lambda one: one.seen.p99_ms),
        "errors": errors,
        "cpu_us_per_request": median(lambda one: one.cpu_us),
        "pss_kib_per_worker": median(lambda one: one.pss_kib),
        "rounds": [asdict(one) for one in done],
    }
    if ours is not None and done is not ours:
        figures["cpu_ratio"] = ratio(ours, done, lambda one: one.cpu_us)._asdict()
        figures["speed_ratio"] = ratio(ours, done, lambda one: one.seen.per_second)._asdict()
    return figures


def ratio(ours: list[Round], theirs: list[Round], read: Callable[[Round], float]) -> Spread:
    """Our figure over theirs, round by round."""
    pairs = [(read(left), read(right)) for left, right in zip(ours, theirs)]
    return spread([left / right if right else float("inf") for left, right in pairs])
