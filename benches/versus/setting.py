"""How everything is measured."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from needs import Programs
from server import Trouble


@dataclass(frozen=True)
class Setting:
    """The same for every row."""

    scratch: Path
    programs: Programs
    workers: int
    rounds: int
    seconds: float
    is_quick: bool
    with_peers: bool
    """Whether rows that appserver cannot serve yet are measured with the peers alone."""
    say: Callable[[str], None]
    fail: Callable[[str, Trouble], None]
    """Notes what could not be measured, and why."""
