"""Workloads in interleaved rounds (A B A B …), so that a noisy minute hits every server."""

import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import proc
import wire
import wrk
from figures import Spread, spread
from nginx import Nginx
from ours import Ours
from plan import Row
from scratch import empty, has_content
from server import Server, Trouble, wait_until


@dataclass(frozen=True)
class Setting:
    """How everything is measured."""

    scratch: Path
    binary: Path
    service: Path | None
    workers: int
    rounds: int
    seconds: float
    is_quick: bool
    say: Callable[[str], None]


@dataclass(frozen=True)
class Round:
    """One run of wrk against one server."""

    seen: wrk.Seen
    cpu_us: float
    """Server CPU time per request, in microseconds."""
    pss_kib: float
    """Proportional set size of a worker, in the middle of the run."""


def measure(row: Row, setting: Setting) -> dict[str, Any]:
    """A row of the report."""
    program = setting.service if row.needs_service else setting.binary
    if program is None:
        return {"key": row.key, "title": row.title, "target": row.target, "not_yet": "no examples/service"}
    with ExitStack() as running:
        ours: Server = running.enter_context(Ours(setting.scratch, setting.workers, program))
        servers = [ours, *(running.enter_context(peer) for peer in peers(row, setting, ours))]
        for server in servers[1:]:
            compare(row, ours, server)
        for server in servers:
            one_round(server, row, 1)  # caches are warm afterwards, in the servers and below
        rounds: list[list[Round]] = [[] for _ in servers]
        for number in range(setting.rounds):
            setting.say(f"{row.title}: round {number + 1} of {setting.rounds}")
            for server, done in zip(servers, rounds):
                done.append(one_round(server, row, setting.seconds))
    figures = [summary(server.name, done, rounds[0]) for server, done in zip(servers, rounds)]
    return {"key": row.key, "title": row.title, "target": row.target, "servers": figures}


def peers(row: Row, setting: Setting, ours: Server) -> list[Server]:
    """Whom the row is compared with."""
    if row.needs_service:
        return [Nginx(setting.scratch, setting.workers, hello=wire.fetch(ours.port, row.path)[1])]
    found: list[Server] = [Nginx(setting.scratch, setting.workers)]
    if row.varies_sendfile and not setting.is_quick:
        found.append(Nginx(setting.scratch, setting.workers, sendfile=False))
    return found


def compare(row: Row, ours: Server, peer: Server) -> None:
    """Makes sure that both do the same work."""
    left, right = wire.fetch(ours.port, row.path), wire.fetch(peer.port, row.path)
    if left[0] != 200 or left != right:
        what = f"{left[0]} with {len(left[1])} B, {right[0]} with {len(right[1])} B"
        raise Trouble(f"{row.path}: {ours.name} and {peer.name} do not answer the same ({what})")


def one_round(server: Server, row: Row, seconds: float) -> Round:
    """One run, with the CPU time that the server's processes used for it."""
    words = wrk.command(server.port, row.path, row.connections, seconds, row.headers)
    sizes: list[int] = []

    def meanwhile() -> None:
        time.sleep(seconds / 2)
        sizes.extend(proc.pss_kib(pid) for pid in server.worker_pids())

    before = proc.cpu_seconds(server.group)
    seen = wrk.run(words, meanwhile)
    used = proc.cpu_seconds(server.group) - before
    if not seen.requests:
        raise Trouble(f"{server.name} answered nothing at all ({row.title}): {seen.errors}")
    # Whoever writes no lines has an easy life.
    wait_until(f"{server.name} writes its access log", lambda: has_content(server.access_log), 5.0)
    empty(server.access_log)
    return Round(seen, used * 1e6 / seen.requests, statistics.mean(sizes) if sizes else 0.0)


def summary(name: str, done: list[Round], ours: list[Round]) -> dict[str, Any]:
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
    if done is not ours:
        figures["cpu_ratio"] = ratio(ours, done, lambda one: one.cpu_us)._asdict()
        figures["speed_ratio"] = ratio(ours, done, lambda one: one.seen.per_second)._asdict()
    return figures


def ratio(ours: list[Round], theirs: list[Round], read: Callable[[Round], float]) -> Spread:
    """Our figure over theirs, round by round."""
    pairs = [(read(left), read(right)) for left, right in zip(ours, theirs)]
    return spread([left / right if right else float("inf") for left, right in pairs])
