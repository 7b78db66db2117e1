"""What has to be on the machine: Debian packages, and the binary that is measured."""

import os
import shutil
import subprocess
from pathlib import Path

from server import Trouble

ROOT = Path(__file__).resolve().parents[2]
"""The repository."""

POLICY = Path("/usr/sbin/policy-rc.d")
"""While this says 101, no package starts a service."""


def ensure_programs(programs: dict[str, str]) -> None:
    """Installs the packages whose programs are missing, or tells which they are."""
    packages = missing(programs)
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        install(packages)
        packages = missing(programs)
    if packages:
        names = " ".join(packages)
        raise Trouble(f"please install {names} (Debian: apt-get install {names})")


def missing(programs: dict[str, str]) -> list[str]:
    """The packages of the programs that are not there."""
    search = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    return [package for program, package in programs.items() if not shutil.which(program, path=search)]


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
                return  # what is missing is told by the caller
    finally:
        if is_ours:
            POLICY.unlink(missing_ok=True)


def binaries(given: Path | None) -> tuple[Path, Path | None]:
    """The server, and the example service if there is one; built unless a binary is given."""
    if given is not None:
        binary = given.resolve()
    else:
        build("--bin", "appserver")
        if (ROOT / "examples/service.rs").exists():
            build("--example", "service")
        target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
        binary = target / "release/appserver"
    if not os.access(binary, os.X_OK):
        raise Trouble(f"there is no program at {binary}")
    service = binary.parent / "examples/service"
    return binary, service if os.access(service, os.X_OK) else None


def build(*what: str) -> None:
    """Builds a part of the package as users get it."""
    search = f"{os.environ.get('PATH', '')}:{Path.home() / '.cargo/bin'}"
    cargo = shutil.which("cargo", path=search)
    if cargo is None:
        raise Trouble("cargo is missing; https://rustup.rs installs it")
    done = subprocess.run([cargo, "build", "--release", *what], cwd=ROOT)
    if done.returncode != 0:
        raise Trouble(f"cargo build --release {' '.join(what)} failed")
