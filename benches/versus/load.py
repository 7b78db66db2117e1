"""A paced load that notes when each answer came and how each failure looked.

Run as a program of its own, so that nothing else holds up its clock. It ends when its standard
input does and prints what it saw as JSON. Times are those of CLOCK_MONOTONIC, which all processes
share.
"""

import errno
import json
import random
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field

PAUSE = 0.02
"""The mean pause of a client between two requests: busy, but with a clock that can be trusted."""
TIMEOUT = 1.0
"""How long an answer may take until the client gives up."""


@dataclass
class Notes:
    """What all clients have seen."""

    answers: list[tuple[float, float]] = field(default_factory=list)
    """When, and after how many seconds."""
    failures: list[tuple[float, str]] = field(default_factory=list)
    """When, and of which kind."""
    closed_idle: int = 0
    """Connections that the server closed between two requests, which it may."""


class Client:
    """One client: a request, a pause, the next request."""

    def __init__(self, address: tuple[str, int], path: str, is_keep_alive: bool, notes: Notes) -> None:
        kind = "keep-alive" if is_keep_alive else "close"
        self.request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: {kind}\r\n\r\n".encode()
        self.address = address
        self.is_keep_alive = is_keep_alive
        self.notes = notes
        self.socket: socket.socket | None = None
        self.is_connected = False
        self.is_fresh = True
        """Whether the request is the first on its connection."""
        self.asked_at: float | None = None
        """When the request under way began; none during a pause."""
        self.next_at = time.monotonic() + random.uniform(0, 2 * PAUSE)
        self.received = b""
        self.length: int | None = None
        """Of the whole answer, once its head is known."""

    def begin(self, selector: selectors.BaseSelector) -> None:
        """Sends the next request, on the kept connection if there is one."""
        self.asked_at, self.received, self.length = time.monotonic(), b"", None
        self.is_fresh = self.socket is None
        if self.socket is not None:
            self.send(selector)
            return
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.is_connected = False
        code = self.socket.connect_ex(self.address)
        selector.register(self.socket, selectors.EVENT_WRITE, self)
        if code not in (0, errno.EINPROGRESS):
            self.fail(selector, connect_failure(code))

    def send(self, selector: selectors.BaseSelector) -> None:
        """The request fits into any socket buffer."""
        assert self.socket is not None
        try:
            self.socket.send(self.request)
        except OSError as error:
            self.fail(selector, "reset" if error.errno == errno.ECONNRESET else "closed")

    def ready(self, selector: selectors.BaseSelector) -> None:
        """The socket has something to tell."""
        assert self.socket is not None
        if not self.is_connected:
            code = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if code:
                self.fail(selector, connect_failure(code))
                return
            self.is_connected = True
            selector.modify(self.socket, selectors.EVENT_READ, self)
            self.send(selector)
            return
        try:
            piece = self.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self.lost(selector, "reset")
            return
        if not piece:
            self.lost(selector, "closed")
            return
        self.received += piece
        self.judge(selector)

    def lost(self, selector: selectors.BaseSelector, kind: str) -> None:
        """The server has ended the connection."""
        if self.asked_at is None:
            self.notes.closed_idle += 1
            self.close(selector)
        else:
            self.fail(selector, "truncated" if self.received else kind)

    def judge(self, selector: selectors.BaseSelector) -> None:
        """Sees whether the answer is whole."""
        if self.length is None:
            head, end, _ = self.received.partition(b"\r\n\r\n")
            if not end:
                return
            self.length = len(head) + 4 + content_length(head)
        if len(self.received) < self.length:
            return
        now = time.monotonic()
        assert self.asked_at is not None
        if self.received.startswith(b"HTTP/1.1 200"):
            self.notes.answers.append((now, now - self.asked_at))
        else:
            self.notes.failures.append((now, "status"))
        head = self.received.partition(b"\r\n\r\n")[0].lower()
        if not self.is_keep_alive or b"\r\nconnection: close" in head:
            self.close(selector)
        self.rest()

    def fail(self, selector: selectors.BaseSelector, kind: str) -> None:
        """Notes a request without an answer; the next one gets a new connection."""
        if self.is_fresh and kind not in NO_CONNECTION:
            kind += " (new connection)"
        self.notes.failures.append((time.monotonic(), kind))
        self.close(selector)
        self.rest()

    def rest(self) -> None:
        """Pauses."""
        self.asked_at = None
        self.next_at = time.monotonic() + random.uniform(0, 2 * PAUSE)

    def close(self, selector: selectors.BaseSelector) -> None:
        """Gives the connection up."""
        if self.socket is not None:
            selector.unregister(self.socket)
            self.socket.close()
            self.socket = None


NO_CONNECTION = ("refused", "connect", "no port left here")
"""The failures that need not say that the connection was new."""


def connect_failure(code: int) -> str:
    """The kind of a connection that could not be made."""
    return {errno.ECONNREFUSED: "refused", errno.EADDRNOTAVAIL: "no port left here"}.get(code, "connect")


def content_length(head: bytes) -> int:
    """What the head promises."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return 0


def drive(port: int, path: str, keep_alive: int, per_request: int) -> Notes:
    """Runs the clients until standard input ends."""
    notes = Notes()
    kinds = [True] * keep_alive + [False] * per_request
    clients = [Client(("127.0.0.1", port), path, kind, notes) for kind in kinds]
    with selectors.DefaultSelector() as selector:
        selector.register(sys.stdin, selectors.EVENT_READ, None)
        while True:
            for key, _ in selector.select(0.001):
                if key.data is None:
                    return notes
                key.data.ready(selector)
            now = time.monotonic()
            for client in clients:
                if client.asked_at is None and client.next_at <= now:
                    client.begin(selector)
                elif client.asked_at is not None and now - client.asked_at > TIMEOUT:
                    client.fail(selector, "timeout")


if __name__ == "__main__":
    seen = drive(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    print(json.dumps({"answers": seen.answers, "failures": seen.failures, "closed_idle": seen.closed_idle}))
