"""Just enough HTTP for probes: one request on a connection of its own, and free ports."""

import gzip
import http.client
import socket
from typing import NamedTuple


class Answer(NamedTuple):
    """What came back."""

    status: int
    encoding: str
    """`Content-Encoding`, empty when there is none."""
    body: bytes
    """As it was sent."""
    cookie: str = ""
    """`Set-Cookie`, empty when there is none."""

    def content(self) -> bytes:
        """The body, unpacked."""
        return gzip.decompress(self.body) if self.encoding == "gzip" else self.body


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetch(port: int, path: str, headers: dict[str, str] | None = None, body: int = 0) -> Answer:
    """The answer to a GET, or to a POST of so many bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    try:
        # http.client asks for `identity` by itself, which load generators do not.
        connection.putrequest("POST" if body else "GET", path, skip_accept_encoding=True)
        for name, value in {**(headers or {}), "Connection": "close"}.items():
            connection.putheader(name, value)
        if body:
            connection.putheader("Content-Length", str(body))
        connection.endheaders(b"x" * body if body else None)
        answer = connection.getresponse()
        encoding, cookie = (answer.getheader(name, "") for name in ("Content-Encoding", "Set-Cookie"))
        return Answer(answer.status, encoding, answer.read(), cookie)
    finally:
        connection.close()


def answers(port: int, path: str) -> bool:
    """Whether a GET is answered with 200; raw, because a start is timed with it."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as one:
            one.sendall(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
            return one.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False
