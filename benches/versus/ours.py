"""appserver itself: a folder of files, an app of the examples, or whatever a configuration adds."""

import json
import shutil
import subprocess
from pathlib import Path

import sessions
from scratch import fill
from server import Server, Trouble


class Unable(Trouble):
    """This build of appserver does not know what is to be measured."""


class Ours(Server):
    """appserver, started from a copy of the binary that an upgrade may replace."""

    name = "appserver"

    def __init__(self, scratch: Path, workers: int, binary: Path, more: str = "", upstream: int = 0) -> None:
        super().__init__(scratch, workers)
        self.more = more
        self.upstream = upstream
        self.source = binary
        self.binary = self.folder / "appserver"
        self.control = self.folder / "control.sock"

    def prepare(self) -> None:
        shutil.copy2(self.source, self.binary)
        values = {
            "MORE": self.further() if self.more else "",
            "PORT": self.port,
            "WORKERS": self.workers,
            "LOG": self.access_log,
            "ROOT": self.public,
        }
        (self.folder / "appserver.toml").write_text(fill("appserver.toml", values))

    def further(self) -> str:
        """What the row is about, in the configuration."""
        values = {"UPSTREAM": self.upstream, "FOLDER": self.folder, "SECRET": sessions.SECRET}
        return fill(f"appserver-{self.more}.toml", values)

    def environment(self) -> dict[str, str]:
        return super().environment() | {"BENCH_JSON": str(self.public / "20k.json")}

    def refusal(self) -> str:
        """Why this program cannot do what its configuration asks for; empty when it can."""
        self.make_folder()
        words = [str(self.binary), "-t", "--config", "appserver.toml"]
        done = subprocess.run(words, cwd=self.folder, env=self.environment(), capture_output=True, text=True)
        if done.returncode == 0:
            return ""
        said = (done.stderr + done.stdout).strip().splitlines() or [f"ended with {done.returncode}"]
        return said[0]

    def command(self) -> list[str]:
        return [str(self.binary), "--config", "appserver.toml", "--control", str(self.control)]

    def start(self) -> None:
        if why := self.refusal():
            raise (Unable if self.more else Trouble)(why)
        super().start()
        self.wait("every worker of appserver serves", self.all_serve)

    def all_serve(self) -> bool:
        """Whether its own list shows every worker as serving."""
        rows = json.loads(self.verb("list", "--json"))
        return len(rows) == self.workers and all(row["state"] == "serving" for row in rows)

    def verb(self, *words: str) -> str:
        """Runs an operator's command; its standard output."""
        done = subprocess.run(
            [self.binary, *words, "--control", self.control],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=60,
        )
        if done.returncode != 0:
            raise Trouble(f"appserver {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def reload(self) -> None:
        self.verb("reload")

    def upgrade(self) -> None:
        fresh = self.binary.with_suffix(".new")
        shutil.copy2(self.source, fresh)
        fresh.rename(self.binary)  # as a package manager does it
        self.verb("upgrade")

    def scale(self, workers: int) -> None:
        self.verb("scale", str(workers))


class OurHello(Ours):
    """The same app without what the row is about, asked for a hello."""

    name = "appserver, hello"
    path = "/hello"
