"""Express from npm: with Node's own cluster for the workloads, with PM2 for the events."""

import subprocess
from pathlib import Path

import needs
import npm
import proc
import sessions
from server import Server, Trouble

FOLDER = Path(__file__).parent / "node"


class Express(Server):
    """An Express app with as many workers as appserver."""

    name = "Express"
    writes_log = False

    def prepare(self) -> None:
        pass  # everything is in the environment

    def command(self) -> list[str]:
        npm.modules()
        return [needs.program("node"), str(FOLDER / "app.js")]

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "NODE_ENV": "production",
            "NODE_PATH": str(npm.modules()),
            "APP": str(FOLDER / "app.js"),
            "ROOT": str(self.public),
            "PORT": str(self.port),
            "WORKERS": str(self.workers),
        }


class ExpressSession(Express):
    """The same with express-session, its sessions in Redis."""

    name = "express-session"

    def __init__(self, scratch: Path, workers: int, redis: int) -> None:
        super().__init__(scratch, workers)
        self.redis = redis

    def environment(self) -> dict[str, str]:
        return super().environment() | {
            "REDIS_URL": f"redis://127.0.0.1:{self.redis}",
            "SESSION_SECRET": sessions.SECRET,
        }


class Pm2(Express):
    """The same app under PM2, which stays in the foreground as in a container."""

    name = "PM2"

    def command(self) -> list[str]:
        runtime = npm.modules() / "pm2/bin/pm2-runtime"
        return [needs.program("node"), str(runtime), "start", str(FOLDER / "ecosystem.config.js")]

    def environment(self) -> dict[str, str]:
        return super().environment() | {"PM2_HOME": str(self.folder / "pm2"), "PM2_DISABLE_VERSION_CHECK": "true"}

    def worker_pids(self) -> set[int]:
        """The app's processes; PM2 has helpers too."""
        return {pid for pid in super().worker_pids() if "app.js" in proc.title(pid)}

    def verb(self, *words: str) -> None:
        """Runs a command of PM2 and waits for its end."""
        program = [needs.program("node"), str(npm.modules() / "pm2/bin/pm2"), *words]
        done = subprocess.run(
            program, cwd=self.folder, env=self.environment(), capture_output=True, text=True, timeout=60
        )
        if done.returncode != 0:
            raise Trouble(f"pm2 {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}")

    def reload(self) -> None:
        self.verb("reload", "bench")

    def scale(self, workers: int) -> None:
        self.verb("scale", "bench", str(workers))
