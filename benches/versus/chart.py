"""A chart of the workloads as SVG: a group of bars per row, a bar per server."""

from html import escape
from typing import Any

WIDTH, LEFT, RIGHT = 860, 170, 250
"""Of the picture, and of what is left of the bars and right of them."""
BAR, GAP, TITLE = 16, 4, 26
"""Heights, in the same units."""
FARTHEST = 4.0
"""Times nginx's figure: whoever is slower gets a broken bar, so that the others stay apart."""
OURS, THEIRS = "#1f6feb", "#9aa4b2"

STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#57606a}.title{font-weight:600}"
    "@media (prefers-color-scheme:dark){text{fill:#adbac7}}"
)


def svg(rows: list[dict[str, Any]]) -> str:
    """The rows that were measured; each group has its own scale, for they differ a thousandfold."""
    parts: list[str] = []
    y = TITLE
    parts.append(text(0, y - 8, "Server CPU time per request, in microseconds: shorter is better", "title"))
    for row in rows:
        if row["servers"]:
            y = group(parts, row, y)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + GAP}" viewBox="0 0 {WIDTH} {y + GAP}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n"


def group(parts: list[str], row: dict[str, Any], y: int) -> int:
    """The bars of a row from `y` down; where the next begins."""
    y += TITLE
    parts.append(text(0, y - 8, row["title"], "title"))
    scale = (WIDTH - LEFT - RIGHT) / longest(row["servers"])
    for one in row["servers"]:
        width = min(one["cpu_us_per_request"] * scale, WIDTH - LEFT - RIGHT)
        is_broken = one["cpu_us_per_request"] * scale > width + 1
        colour = OURS if one["server"] == "appserver" else THEIRS
        parts.append(text(LEFT - 8, y + BAR - 4, one["server"], anchor="end"))
        parts.append(bar(y, width, colour, is_broken))
        parts.append(text(round(LEFT + width + 8), y + BAR - 4, label(one)))
        y += BAR + GAP
    return y + GAP


def longest(servers: list[dict[str, Any]]) -> float:
    """The figure at which a bar is as long as a bar can be."""
    spent = {one["server"]: one["cpu_us_per_request"] for one in servers}
    most = max(spent.values()) or 1.0
    return min(most, FARTHEST * spent.get("nginx", most)) or most


def bar(y: int, width: float, colour: str, is_broken: bool) -> str:
    """From the left; a broken one has a gap near its end."""
    if not is_broken:
        return f'<rect x="{LEFT}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2" fill="{colour}"/>'
    at, end = LEFT + width - 24, LEFT + width
    left = f"M{LEFT} {y}H{at:.1f}l-6 {BAR}H{LEFT}z"
    right = f"M{at + 6:.1f} {y}H{end:.1f}v{BAR}H{at:.1f}z"
    return f'<path d="{left}{right}" fill="{colour}"/>'


def label(one: dict[str, Any]) -> str:
    """The figure, and how appserver compares."""
    ratio = one.get("cpu_ratio")
    said = f"{one['cpu_us_per_request']:.1f}"
    return said if ratio is None else f"{said}; appserver ÷ this: {ratio['median']:.2f}"


def text(x: int, y: int, words: str, kind: str = "", anchor: str = "start") -> str:
    """A line of text."""
    of_kind = f' class="{kind}"' if kind else ""
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}"{of_kind}>{escape(words)}</text>'
