"""Varnish from Debian, in the foreground, with its cache in memory."""

from pathlib import Path

import needs
from scratch import fill
from server import Server


class Varnish(Server):
    """Varnish as it comes: threads of one process, and its log in shared memory."""

    name = "Varnish"
    writes_log = False

    def __init__(self, scratch: Path, workers: int, upstream: int, gzip: bool = False) -> None:
        super().__init__(scratch, workers)
        self.upstream = upstream
        self.gzip = gzip

    def prepare(self) -> None:
        values = {"UPSTREAM": self.upstream, "GZIP": str(self.gzip).lower()}
        (self.folder / "varnish.vcl").write_text(fill("varnish.vcl", values))

    def command(self) -> list[str]:
        words = [needs.program("varnishd"), "-F", "-a", f"127.0.0.1:{self.port}", "-f", str(self.folder / "varnish.vcl")]
        # No rights are dropped: its user could not look into the folder of whoever measures.
        words += ["-n", str(self.folder / "work"), "-s", "malloc,256m", "-j", "none", "-T", "none"]
        return [*words, "-p", "timeout_idle=75"]

    def is_complete(self) -> bool:
        return len(self.worker_pids()) == 1  # the child, which has the threads
