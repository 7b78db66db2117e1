"""nginx from Debian, in the foreground, with a configuration of its own."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import proc
from scratch import fill
from server import LIMIT, Server, Trouble, signal_one, wait_until

HELLO = b"Hello, world!\n"
"""What it answers to hello unless something else is to be compared with."""


SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where it is: not everybody has Debian's folder in the path."""


ABANDON = '"$@" & until [ -s nginx.pid ]; do sleep 0.01; done'
"""Starts a program and ends when its pid file is there."""


class Nginx(Server):
    """nginx with as many workers as appserver."""

    name = "nginx"

    is_orphan = False
    """Whether the process that starts it ends at once: with its parent alive, nginx takes itself
    for the result of an upgrade and ignores USR2."""

    def __init__(self, scratch: Path, workers: int, sendfile: bool = True, hello: bytes = HELLO) -> None:
        self.name = "nginx" if sendfile else "nginx, sendfile off"
        super().__init__(scratch, workers)
        self.sendfile = sendfile
        self.hello = hello
        self.configuration = self.folder / "nginx.conf"
        self.pid_file = self.folder / "nginx.pid"

    def prepare(self) -> None:
        values = {
            "USER": "user root;" if os.geteuid() == 0 else "",
            "WORKERS": self.workers,
            "PID": self.pid_file,
            "SENDFILE": "on" if self.sendfile else "off",
            "LOG": self.access_log,
            "TEMP": self.folder,
            "PORT": self.port,
            "ROOT": self.public,
            "HELLO": "".join(f"\\{c}" if c in '"\\' else c for c in self.hello.decode()),
        }
        self.configuration.write_text(fill("nginx.conf", values))

    def command(self) -> list[str]:
        # In full, because an upgrade runs it by this name without looking into PATH.
        program = shutil.which("nginx", path=SEARCH)
        if program is None:
            raise Trouble("nginx is not installed")
        words = [program, "-p", str(self.folder), "-e", "stderr", "-c", str(self.configuration)]
        return ["sh", "-c", ABANDON, "sh", *words] if self.is_orphan else words

    def master(self) -> int:
        """The pid in its file: another one after an upgrade."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return self.group
        known = proc.find(pid)
        return pid if known and known.group == self.group else self.group

    def reload(self) -> None:
        os.kill(self.master(), signal.SIGHUP)

    def upgrade(self) -> None:
        """As its manual says: USR2, and QUIT for the old master when the new one has workers."""
        old = self.master()
        os.kill(old, signal.SIGUSR2)

        def succeeded() -> bool:
            return self.master() != old and len(self.worker_pids()) == self.workers

        wait_until("the new nginx has workers", succeeded, LIMIT)
        signal_one(old, signal.SIGQUIT)

    def scale(self, workers: int) -> None:
        self.workers = workers
        self.prepare()
        self.reload()


def version() -> str:
    """Such as `nginx/1.22.1`."""
    said = subprocess.run(["nginx", "-v"], capture_output=True, text=True, env={"PATH": SEARCH}).stderr
    return said.strip().removeprefix("nginx version: ")
