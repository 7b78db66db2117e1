"""Just enough HTTP for probes: one request on a connection of its own, and free ports."""

import http.client
import socket


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def fetch(port: int, path: str, timeout: float = 5.0) -> tuple[int, bytes]:
    """Status and body of a GET."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return answer.status, answer.read()
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
