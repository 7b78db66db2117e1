"""HAProxy from Debian, in the foreground: it answers by itself, or passes on to an upstream."""

from pathlib import Path

import needs
from scratch import fill
from server import Server

HELLO = 'http-request return status 200 content-type "text/plain; charset=utf-8" string "Hello, world!"'


class Haproxy(Server):
    """HAProxy with as many threads as appserver has workers."""

    name = "HAProxy"
    writes_log = False
    is_threaded = True

    def __init__(self, scratch: Path, workers: int, upstream: int = 0) -> None:
        super().__init__(scratch, workers)
        self.upstream = upstream

    def prepare(self) -> None:
        values = {
            "WORKERS": self.workers,
            "PORT": self.port,
            "RULE": "default_backend upstream" if self.upstream else HELLO,
            "UPSTREAM": self.upstream or 9,  # the port of discard: not used
        }
        (self.folder / "haproxy.cfg").write_text(fill("haproxy.cfg", values))

    def command(self) -> list[str]:
        return [needs.program("haproxy"), "-db", "-f", "haproxy.cfg"]
