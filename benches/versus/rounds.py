"""Workloads in interleaved rounds (A B C A B C …), so that a noisy minute hits every server."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import peers
import proc
import sessions
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
    found: dict[str, Any] = {"key": row.key, "title": row.title, "target": row.target, "rival": row.rival, "servers": []}
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
        servers += started(row, setting, servers, upstream, running)
        rounds = interleaved(row, setting, servers)
        for server, done in zip(servers, rounds):
            figures = summary(server.name, done, rounds[0] if has_ours else None)
            figures["body_bytes"] = len(fetch(server, row).body)
            found["servers"].append(figures | {"writes_log": server.writes_log})
    return found


def fetch(server: Server, row: Row) -> wire.Answer:
    """What a server answers to the row's request."""
    if server.path is not None:
        return wire.fetch(server.port, server.path)
    return wire.fetch(server.port, row.path, row.headers, row.body)


def check(row: Row, ours: Server) -> None:
    """Tells when this build does not do what the row is about; only newer features may lack."""
    answer = fetch(ours, row)
    trouble = Unable if row.more else Trouble
    if answer.status != 200:
        raise trouble(f"{row.path} is answered with {answer.status}")
    if answer.encoding != row.encoding:
        raise trouble(f"the answer's encoding is {answer.encoding or 'none'}, not {row.encoding or 'none'}")


def started(
    row: Row, setting: Setting, before: list[Server], upstream: int, running: ExitStack
) -> list[Server]:
    """The peers that run and do the same work; the others have their line at the end of the report."""
    found: list[Server] = []
    for name in peers.wanted(row, setting):
        try:
            one = running.enter_context(peers.peer(name, row, setting, upstream))
            compare(row, (before + found + [one])[0], one)
            found.append(one)
        except Trouble as trouble:
            setting.fail(f"{row.key}, {name}", trouble)
    return found


def interleaved(row: Row, setting: Setting, servers: list[Server]) -> list[list[Round]]:
    """The rounds of each server."""
    connecting = row.connections / CONNECTIONS_PER_SECOND
    cookies = {server: sessions.make(server) for server in servers if row.has_sessions and server.path is None}
    for server in servers:
        one_round(server, row, max(1, connecting), cookies.get(server))  # caches are warm afterwards, in the servers and below
    rounds: list[list[Round]] = [[] for _ in servers]
    for number in range(setting.rounds if servers else 0):
        setting.say(f"{row.title}: round {number + 1} of {setting.rounds}")
        for server, done in zip(servers, rounds):
            done.append(one_round(server, row, max(setting.seconds, connecting), cookies.get(server)))
    return rounds


def compare(row: Row, first: Server, other: Server) -> None:
    """Makes sure that both do the same work."""
    if first.path != other.path:
        return
    left, right = (fetch(server, row) for server in (first, other))
    same = left.content() == right.content() and left.encoding == right.encoding == row.encoding
    if left.status != 200 or right.status != 200 or not same:
        what = ", ".join(f"{one.status} with {len(one.body)} B {one.encoding}".strip() for one in (left, right))
        raise Trouble(f"{row.path}: {first.name} and {other.name} do not answer the same ({what})")


def one_round(server: Server, row: Row, seconds: float, cookies: Path | None = None) -> Round:
    """One run, with the CPU time that the server's processes used for it."""
    if server.path is None:
        words = wrk.command(server.port, row.path, row.connections, seconds, row.headers, row.body, cookies)
    else:
        words = wrk.command(server.port, server.path, row.connections, seconds, {})
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
