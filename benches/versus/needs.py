"""What has to be on the machine: Debian packages, and the binary that is measured."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from server import Trouble

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""While this says 101, no package starts a service."""


SEARCH = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
"""Where programs are: not everybody has Debian's folders in the path."""

PACKAGES = {
    "wrk": "wrk",
    "nginx": "nginx-light",
    "haproxy": "haproxy",
    "varnishd": "varnish",
    "node": "nodejs",
    "npm": "npm",
    "redis-server": "redis-server",
}
"""What is called, and the Debian packages it comes from."""


def prepare(programs: list[str]) -> None:
    """Installs the packages of missing programs, where that is possible."""
    packages = [PACKAGES[program] for program in programs if not found(program)]
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        install(packages)


def found(program: str) -> str | None:
    """The path of a program, if it is there."""
    return shutil.which(program, path=SEARCH)


def program(name: str) -> str:
    """The path of a program, or `Trouble` that says how to get it."""
    path = found(name)
    if path is None:
        package = PACKAGES[name]
        raise Trouble(f"{name} is missing: please install {package} (Debian: apt-get install {package})")
    return path


def install(packages: list[str]) -> None:
    """Installs packages without letting any of them start a service."""
    is_ours = not POLICY.exists()
    if is_ours:
        POLICY.write_text("#!/bin/sh\nexit 101\n")
        POLICY.chmod(0o755)
    try:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for words in (["update", "-q"], ["install", "-qy", "--no-install-recommends", *packages]):
            done = subprocess.run(["apt-get", *words], env=quiet, stdout=2)
            if done.returncode != 0:
                return  # what is missing is told where it is needed
    finally:
        if is_ours:
            POLICY.unlink(missing_ok=True)


@dataclass(frozen=True)
class Programs:
    """What is measured and was built here."""

    appserver: Path
    examples: Path
    """The folder of the built examples."""

    def example(self, name: str) -> Path:
        """An example, or `Trouble` that says how to get it."""
        path = self.examples / name
        if not os.access(path, os.X_OK):
            raise Trouble(f"there is no example {name} beside the program: cargo build --release --example {name}")
        return path


EXAMPLES = ["service", "bench-app", "bare-hyper"]


def programs(given: Path | None) -> Programs:
    """The server and the examples; built unless a binary is given."""
    if given is not None:
        binary = given.resolve()
    else:
        build()
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        binary = target / "release/appserver"
    if not os.access(binary, os.X_OK):
        raise Trouble(f"there is no program at {binary}")
    return Programs(binary, binary.parent / "examples")


def build() -> None:
    """Builds the program as users get it, and the examples."""
    search = f"{os.environ.get('PATH', '')}:{Path.home() / '.cargo/bin'}"
    cargo = shutil.which("cargo", path=search)
    if cargo is None:
        raise Trouble("cargo is missing; https://rustup.rs installs it")
    what = ["--bin", "appserver", *(word for name in EXAMPLES for word in ("--example", name))]
    done = subprocess.run([cargo, "build", "--release", *what], cwd=ROOT)
    if done.returncode != 0:
        raise Trouble(f"cargo build --release {' '.join(what)} failed")
