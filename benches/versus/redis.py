"""Redis from Debian: what keeps the sessions of the servers, and is measured with none of them."""

import socket

import needs
from server import Server


class Redis(Server):
    """One redis-server that writes nothing to disk."""

    name = "Redis"

    def prepare(self) -> None:
        pass  # everything is in the command

    def command(self) -> list[str]:
        words = [needs.program("redis-server"), "--port", str(self.port), "--bind", "127.0.0.1"]
        return [*words, "--save", "", "--appendonly", "no", "--daemonize", "no"]

    def start(self) -> None:
        self.spawn()
        self.wait("Redis answers", self.pongs)

    def pongs(self) -> bool:
        """Whether it answers a ping."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1.0) as one:
                one.sendall(b"PING\r\n")
                return one.recv(64).startswith(b"+PONG")
        except OSError:
            return False
