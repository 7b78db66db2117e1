"""What is counted."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Row:
    """A request that is sent again and again."""

    key: str
    title: str
    program: str
    """The program, below the folder of built programs."""
    path: str
    config: str = ""
    """More lines for the configuration."""


ROWS = [
    Row("hello", "examples/service, every default layer and the access log", "examples/service", "/"),
    Row("hello-axum", "examples/hello, an axum Router", "examples/hello", "/"),
    Row("static-1k", "a file of 1 KiB", "appserver", "/1k.bin"),
]

BROWSER: dict[str, str] = json.loads((Path(__file__).parent.parent / "browser.json").read_text())
"""A browser's dozen."""
