"""What is counted."""

from dataclasses import dataclass, field


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
    needs: list[str] = field(default_factory=list)


ROWS = [
    Row("hello", "examples/service, every default layer and the access log", "examples/service", "/"),
    Row("hello-axum", "examples/hello, an axum Router", "examples/hello", "/"),
    Row("static-1k", "a file of 1 KiB", "appserver", "/1k.bin"),
]

BROWSER = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://127.0.0.1/articles/2026/a-page-with-a-longer-name",
    "Connection": "keep-alive",
    "Cookie": "session=8f14e45fceea167a5a36dedd4bea2543; theme=dark; consent=yes",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Priority": "u=0, i",
}
"""A browser's dozen."""
