"""A server under test: starting it, watching it, and leaving nothing of it behind."""

import ctypes
import os
import re
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import proc
import wire

PR_SET_CHILD_SUBREAPER = 36

COLOUR = re.compile(r"\x1b\[[0-9;]*m")

UNFIT = re.compile("[^A-Za-z]+")
"""What a folder's name is better without."""

LIMIT = 20.0
"""Seconds until a fact that is waited for counts as never coming."""


class Trouble(Exception):
    """Something that ends the measurement, in a sentence for the person who started it."""


def wait_until(what: str, fact: Callable[[], object], limit: float = LIMIT, step: float = 0.01) -> None:
    """Waits for a fact; `Trouble` when it does not come."""
    deadline = time.monotonic() + limit
    while not fact():
        if time.monotonic() > deadline:
            raise Trouble(f"waited {limit:.0f} s in vain: {what}")
        time.sleep(step)


class Lacking(Trouble):
    """A server has no such operation."""


class Server(ABC):
    """A server in the foreground, in a process group and a folder of its own."""

    name: str
    """What the tables call it."""

    writes_log = True
    """Whether it writes an access log; whoever does not has an easier life."""

    probe = "/1k.bin"
    """What it answers with 200 as soon as it serves."""

    path: str | None = None
    """What it is asked for, plainly, when that is not what the row says: it does other work."""

    is_threaded = False
    """Whether it is one process with as many threads instead of workers."""

    def __init__(self, scratch: Path, workers: int) -> None:
        self.folder = scratch / f"{UNFIT.sub('-', self.name)}-{time.monotonic_ns()}"
        self.public = scratch / "public"
        self.workers = workers
        self.port = wire.free_port()
        self.access_log = self.folder / "access.log"
        self.leader: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def prepare(self) -> None:
        """Writes its configuration."""

    @abstractmethod
    def command(self) -> list[str]:
        """What starts it."""

    def reload(self) -> None:
        """Has every worker replaced; returns when that is under way or done."""
        raise Lacking("has no reload that keeps its clients")

    def upgrade(self) -> None:
        """Has the running program replaced by the file it was started from."""
        raise Lacking("has no upgrade that keeps its clients")

    def scale(self, workers: int) -> None:
        """Has it run with so many workers."""
        raise Lacking("cannot change the number of its workers")

    def master(self) -> int:
        """The pid that takes the signals."""
        return self.group

    @property
    def group(self) -> int:
        """Its process group, which is the pid that was started."""
        if self.leader is None:
            raise Trouble(f"{self.name} is not started")
        return self.leader.pid

    def worker_pids(self) -> set[int]:
        """The workers, or the process whose threads do the work."""
        return {self.group} if self.is_threaded else proc.children(self.master(), self.group)

    def is_complete(self) -> bool:
        """Whether as many workers run as were asked for."""
        return len(self.worker_pids()) == (1 if self.is_threaded else self.workers)

    def spawn(self) -> None:
        """Starts it and does not wait."""
        self.make_folder()
        self.leader = subprocess.Popen(
            self.command(),
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "stderr").open("ab"),
            start_new_session=True,
        )

    def make_folder(self) -> None:
        """Its folder with its configuration, once."""
        if not self.folder.exists():
            self.folder.mkdir()
            self.folder.chmod(0o755)
            self.prepare()

    def environment(self) -> dict[str, str]:
        """A small environment: nothing of the caller's reaches the server."""
        folder = str(self.folder)
        return {"PATH": os.environ.get("PATH", ""), "HOME": folder, "XDG_RUNTIME_DIR": folder}

    def start(self) -> None:
        """Starts it and waits until all its workers are there and one answers."""
        self.spawn()
        self.wait(f"{self.name} serves", lambda: wire.answers(self.port, self.probe))
        self.wait(f"all workers of {self.name} run", self.is_complete)

    def wait(self, what: str, fact: Callable[[], object]) -> None:
        """Waits for a fact about this server, and tells what it said when that does not come."""

        def check() -> object:
            if self.leader is not None and self.leader.poll() is not None and not proc.of_group(self.group):
                raise Trouble(f"{self.name} has ended with {self.leader.returncode}:\n{self.last_words()}")
            return fact()

        try:
            wait_until(what, check)
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n{self.last_words()}") from None

    def last_words(self) -> str:
        """The end of its error log, without its colours."""
        lines = COLOUR.sub("", (self.folder / "stderr").read_text(errors="replace")).splitlines()
        return "\n".join(lines[-10:])

    def kill_worker(self, number: signal.Signals) -> int:
        """Sends a signal to one worker; returns its pid."""
        pid = min(self.worker_pids())
        os.kill(pid, number)
        return pid

    def stop(self) -> None:
        """Ends it: first kindly, then each process by its pid."""
        if self.leader is None:
            return
        deadline = time.monotonic() + 3.0
        for one in proc.of_group(self.group):
            signal_one(one.pid, signal.SIGCONT)
        signal_one(self.master(), signal.SIGTERM)
        while (left := proc.of_group(self.group)) and time.monotonic() < deadline:
            self.leader.poll()
            time.sleep(0.01)
        for one in left:
            signal_one(one.pid, signal.SIGKILL)
        self.leader.wait()
        try:
            while os.waitpid(-self.group, 0):  # orphans: they are ours, see `adopt_orphans`
                pass
        except ChildProcessError:
            pass

    def __enter__(self) -> "Server":
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def adopt_orphans() -> None:
    """Makes this process the parent of those whose own parent ends, so that none stays a zombie."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def signal_one(pid: int, number: signal.Signals) -> None:
    """Sends a signal to a process that may be gone."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
