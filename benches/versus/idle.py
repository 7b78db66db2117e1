"""What idle keep-alive connections cost, and whether it is given back."""

import resource
import socket
import time
from typing import Any

import proc
from hyper import Hyper
from nginx import Nginx
from ours import Ours
from server import Server, Trouble
from setting import Setting

WANTED = 10_000
TARGET_BYTES = 256
SPARE = 200
"""Descriptors that this process needs for other things."""
QUIET = 8.0
"""Seconds without less memory that count as rest."""
STEP_KIB = 256
"""How much less is less."""
PROBED = 500
REQUEST = b"GET /1k.bin HTTP/1.1\r\nHost: bench\r\n\r\n"
BODY = 1024


def measure(setting: Setting) -> list[dict[str, Any]]:
    """The servers, one after the other."""
    count = min(WANTED, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE)
    scratch, workers = setting.scratch, setting.workers
    servers: list[Server] = [Ours(scratch, workers, setting.programs.appserver), Nginx(scratch, workers)]
    if not setting.is_quick:
        servers.append(Hyper(scratch, workers, setting.programs.examples / "bare-hyper"))
    found = []
    for server in servers:
        setting.say(f"idle memory of {server.name}: {count} connections")
        try:
            with server:
                found.append(one(server, count))
        except (OSError, Trouble) as trouble:
            setting.fail(f"idle, {server.name}", Trouble(str(trouble)))
    return found


def one(server: Server, count: int) -> dict[str, Any]:
    """Before, with and after."""
    exchange(connect(server)).close()
    time.sleep(0.5)
    before, kernel_before = total_pss(server), proc.kernel_tcp_kib()
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connections.append(exchange(connect(server)))
        with_all, kernel_with = at_rest(server), proc.kernel_tcp_kib()
        asked = connections[:: max(1, count // PROBED)]
        alive = sum(still_answers(connection) for connection in asked)
    finally:
        for connection in connections:
            connection.close()
    after = at_rest(server)
    return {
        "server": server.name,
        "connections": count,
        "pss_kib_before": before,
        "pss_kib_with": with_all,
        "pss_kib_after": after,
        "bytes_per_connection": (with_all - before) * 1024 / count,
        "bytes_kept_per_connection": (after - before) * 1024 / count,
        "kernel_tcp_kib": kernel_with - kernel_before,
        "still_answering": f"{alive} of {len(asked)}",
    }


def at_rest(server: Server) -> int:
    """The memory when it has stood still for a while: some servers give back what an idle
    connection does not need, but not at once."""
    least, since = total_pss(server), time.monotonic()
    while time.monotonic() - since < QUIET:
        time.sleep(0.5)
        now = total_pss(server)
        if now < least - STEP_KIB:
            least, since = now, time.monotonic()
    return total_pss(server)


def total_pss(server: Server) -> int:
    """The user memory of all its processes, in KiB."""
    return sum(proc.pss_kib(one.pid) for one in proc.of_group(server.group))


def connect(server: Server) -> socket.socket:
    """A new connection."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=5.0)


def exchange(connection: socket.socket) -> socket.socket:
    """One request and its whole answer; the connection for the next."""
    connection.sendall(REQUEST)
    answer = b""
    while True:
        head, end, body = answer.partition(b"\r\n\r\n")
        if end and len(body) >= BODY:
            break
        piece = connection.recv(4096)
        if not piece:
            raise Trouble("a connection was closed instead of answered")
        answer += piece
    if not head.startswith(b"HTTP/1.1 200"):
        raise Trouble(f"unexpected answer: {head[:60]!r}")
    return connection


def still_answers(connection: socket.socket) -> bool:
    """Whether a connection that has idled serves another request."""
    try:
        exchange(connection)
    except (OSError, Trouble):
        return False
    return True
