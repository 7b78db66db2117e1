"""nginx from Debian, in the foreground, with a configuration of its own."""

import os
import signal
from pathlib import Path

import needs
import proc
from scratch import fill
from server import LIMIT, Server, signal_one, wait_until

ABANDON = '"$@" & until [ -s nginx.pid ]; do sleep 0.01; done'
"""Starts a program and ends when its pid file is there."""


class Nginx(Server):
    """nginx with as many workers as appserver."""

    name = "nginx"

    is_orphan = False
    """Whether the process that starts it ends at once: with its parent alive, nginx takes itself
    for the result of an upgrade and ignores USR2."""

    def __init__(
        self,
        scratch: Path,
        workers: int,
        sendfile: bool = True,
        gzip: bool = True,
        site: str = "files",
        upstream: int = 0,
    ) -> None:
        self.name = "nginx" if sendfile else "nginx, sendfile off"
        super().__init__(scratch, workers)
        self.sendfile = sendfile
        self.gzip = gzip
        self.site = site
        self.upstream = upstream
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
            "GZIP": "on" if self.gzip else "off",
            "UPSTREAM": self.upstream or 9,  # the port of discard: not used
            "CACHE": f"proxy_cache_path {self.folder}/cache keys_zone=bench:10m use_temp_path=off inactive=1h;"
            if self.site == "cache"
            else "",
            "SITE": fill(f"nginx-{self.site}.conf", {}).rstrip(),
        }
        self.configuration.write_text(fill("nginx.conf", values))

    def command(self) -> list[str]:
        # In full, because an upgrade runs it by this name without looking into PATH.
        words = [needs.program("nginx"), "-p", str(self.folder), "-e", "stderr", "-c", str(self.configuration)]
        return ["sh", "-c", ABANDON, "sh", *words] if self.is_orphan else words

    def master(self) -> int:
        """The pid in its file: another one after an upgrade."""
        try:
            pid = int(self.pid_file.read_text())
        except (OSError, ValueError):
            return self.group
        known = proc.find(pid)
        return pid if known and known.group == self.group else self.group

    def worker_pids(self) -> set[int]:
        """Its workers, without the processes that look after the cache."""
        return {pid for pid in super().worker_pids() if proc.title(pid).startswith("nginx: worker")}

    def reload(self) -> None:
        os.kill(self.master(), signal.SIGHUP)

    def upgrade(self) -> None:
        """As its manual says: USR2, and QUIT for the old master when the new one has workers."""
        old = self.master()
        os.kill(old, signal.SIGUSR2)

        def succeeded() -> bool:
            return self.master() != old and self.is_complete()

        wait_until("the new nginx has workers", succeeded, LIMIT)
        signal_one(old, signal.SIGQUIT)

    def scale(self, workers: int) -> None:
        self.workers = workers
        self.prepare()
        self.reload()
