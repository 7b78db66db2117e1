"""The temporary folder: the files that are served, and what the servers write."""

import json
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILES = {"1k.bin": 1 << 10, "1k.jpg": 1 << 10, "100k.bin": 100 << 10, "10m.bin": 10 << 20}
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
        (public / "20k.json").write_text(records(source, 20 << 10))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def records(source: random.Random, size: int) -> str:
    """A list as an API answers it, of about `size` bytes."""
    words = "amber birch cedar delta ember fjord grove heron iris juniper kelp larch maple north".split()
    found: list[dict[str, object]] = []
    while len(json.dumps(found)) < size:
        number = len(found) + 1
        found.append(
            {
                "id": number,
                "name": " ".join(source.sample(words, 3)),
                "email": f"{source.choice(words)}.{source.randrange(10**4)}@example.com",
                "price": round(source.uniform(1, 900), 2),
                "tags": source.sample(words, source.randrange(1, 4)),
                "active": source.random() < 0.7,
                "created_at": f"2026-{source.randrange(1, 13):02}-{source.randrange(1, 29):02}T{source.randrange(24):02}:00:00Z",
            }
        )
    return json.dumps(found)


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
