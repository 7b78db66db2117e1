"""The sessions of a row: made on each server before it is measured, and asked for in turn."""

from pathlib import Path

import wire
from server import Server, Trouble

READ, WRITE = "/session/read", "/session/write"
"""What the apps answer: how often a session was written, and one time more."""

SECRET = "signs the cookies of the benchmark"

COUNT = 1024
"""More than there are connections, so that no two requests at a time have the same session."""


def make(server: Server) -> Path:
    """The file of `COUNT` cookies, one a line; `Trouble` when the sessions do not work."""
    cookies = [fresh(server) for _ in range(COUNT)]
    if len(set(cookies)) < COUNT:
        raise Trouble(f"{server.name} gives the same session to several visitors")
    last = {"Cookie": cookies[-1]}
    for expected in ("1", "2"):
        answer = wire.fetch(server.port, READ, last)
        if (answer.status, answer.body) != (200, expected.encode()):
            said = f"{answer.status} {answer.body[:80]!r}"
            raise Trouble(f"{server.name} answers {READ} with {said} instead of {expected}")
        wire.fetch(server.port, WRITE, last)
    path = server.folder / "cookies"
    path.write_text("\n".join(cookies) + "\n")
    return path


def fresh(server: Server) -> str:
    """The cookie of a new session, as a browser sends it back."""
    answer = wire.fetch(server.port, WRITE)
    cookie = answer.cookie.partition(";")[0]
    if answer.status != 200 or not cookie:
        raise Trouble(f"{server.name} answers {WRITE} with {answer.status} and {'a' if cookie else 'no'} cookie")
    return cookie
