"""The temporary folder: the files that are served, and what the servers write."""

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = {"1k.bin": 1 << 10, "100k.bin": 100 << 10, "10m.bin": 10 << 20}
"""The files of the served folder and their sizes; the bytes are random, but always the same."""


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards, with the files to serve in `public`."""
    folder = Path(tempfile.mkdtemp(prefix="appserver-versus-"))
    try:
        folder.chmod(0o755)  # workers that have dropped their rights look into it
        public = folder / "public"
        public.mkdir()
        source = random.Random(4)
        for name, size in FILES.items():
            (public / name).write_bytes(source.randbytes(size))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(template: str, values: dict[str, object]) -> str:
    """The configuration `template` of this folder, each @NAME@ replaced."""
    text = (Path(__file__).parent / template).read_text()
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


def has_content(path: Path) -> bool:
    """Whether there is something in a file."""
    return path.exists() and path.stat().st_size > 0


def empty(path: Path) -> None:
    """Cuts a log off, so that long runs do not fill the disk; servers append to what is left."""
    if path.exists():
        os.truncate(path, 0)
