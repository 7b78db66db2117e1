"""Packages from npm, installed once into a cache outside the repository."""

import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import needs
from server import Trouble

MANIFEST = Path(__file__).parent / "node/package.json"


def modules() -> Path:
    """The folder `node_modules` with everything that the manifest names; installed if missing."""
    found = ensure()
    if isinstance(found, Trouble):
        raise found
    return found


@functools.cache
def ensure() -> Path | Trouble:
    """The same, tried once: without a network npm takes minutes to give up."""
    try:
        return installed()
    except Trouble as trouble:
        return trouble


def installed() -> Path:
    """The same, tried each time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "appserver-versus"
    wanted = cache / f"npm-{hashlib.sha256(MANIFEST.read_bytes()).hexdigest()[:12]}"
    if not wanted.exists():
        cache.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=cache))
        try:
            install(fresh)
            fresh.rename(wanted)  # as a whole or not at all
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return wanted / "node_modules"


def install(folder: Path) -> None:
    """Runs npm there."""
    shutil.copy(MANIFEST, folder)
    words = [needs.program("npm"), "install", "--no-audit", "--no-fund", "--omit=dev", "--loglevel=error"]
    done = subprocess.run(words, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Trouble(f"npm install failed in {MANIFEST.parent}: {done.stderr.strip()[-300:]}")


def version(package: str) -> str:
    """Of an installed package."""
    manifest = modules() / package / "package.json"
    return json.loads(manifest.read_text())["version"] if manifest.exists() else "not installed"
