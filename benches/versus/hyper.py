"""Bare hyper, from `benches/hyper.rs`: what a server costs at least that is built on it."""

from pathlib import Path

from server import Server


class Hyper(Server):
    """hyper with as many threads as appserver has workers, and files from memory."""

    name = "bare hyper"
    writes_log = False
    is_threaded = True

    def __init__(self, scratch: Path, workers: int, program: Path) -> None:
        super().__init__(scratch, workers)
        self.program = program

    def prepare(self) -> None:
        pass  # everything is on its command line

    def command(self) -> list[str]:
        return [str(self.program), str(self.port), str(self.workers), str(self.public)]
