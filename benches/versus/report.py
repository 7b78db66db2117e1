"""The results in words: Markdown tables, aligned so that a terminal shows them well too."""

from collections.abc import Iterable
from typing import Any

import cold
import idle
from plan import NOT_YET, OUR_HELLO, SCENARIOS

Table = list[list[str]]

LONGEST = 200
"""Characters of a reason."""


def markdown(results: dict[str, Any]) -> str:
    """Everything that was measured, and what was not."""
    parts = [machine(results), workloads(results["workloads"])]
    if results["start"]:
        parts.append(starts(results["start"]))
    if results["idle"]:
        parts.append(idling(results["idle"]))
    if results["events"]:
        parts.append(events(results["events"]))
    if results["failed"]:
        lines = [[key, shortened(text)] for key, text in results["failed"].items()]
        parts.append(f"## Could not be measured\n\n{table(['row', 'why'], lines)}")
    parts.append(missing(results["workloads"]))
    return "\n\n".join(part for part in parts if part) + "\n"


def shortened(text: str) -> str:
    """Fit for a cell; the whole was told while it happened."""
    words = " ".join(text.split()).replace("|", "/")
    return words if len(words) <= LONGEST else words[: LONGEST - 1] + "…"


def machine(results: dict[str, Any]) -> str:
    """Where and with what."""
    facts = [[name, value] for name, value in results["machine"].items()]
    return table(["", ""], facts)


def workloads(rows: list[dict[str, Any]]) -> str:
    """The rows that wrk has measured."""
    lines: Table = []
    for row in rows:
        for figures in row.get("servers", []):
            is_first = figures is row["servers"][0]
            lines.append([row["title"] if is_first else "", *server_cells(figures), target(row, figures)])
    if not lines:
        return ""
    head = ["workload", "server", "req/s", "p50 ms", "p99 ms", "errors", "body B", "CPU us/req", "PSS KiB/worker"]
    head += ["CPU, appserver ÷ peer (min–median–max)", "req/s, appserver ÷ peer", "target"]
    note = (
        "Server CPU time (user and system, of all its processes) per request is the figure to compare: the load\n"
        "generator shares the cores. Differences under 10 % are noise. Medians over the rounds; errors are sums.\n"
        "*body* is what was sent, compressed where that was asked for; a peer marked ° writes no access log.\n"
        "HAProxy, Varnish and bare hyper are one process: their PSS is divided by as many threads.\n"
        "Redis, which keeps the sessions of both, is nobody's CPU time. *appserver, hello* is the same app without\n"
        "sessions, asked for its hello."
    )
    return f"## Workloads\n\n{table(head, lines)}\n\n{note}"


def server_cells(figures: dict[str, Any]) -> list[str]:
    """What one server did in a row."""
    return [
        figures["server"] + ("" if figures["writes_log"] else " °"),
        f"{figures['requests_per_second']:,.0f}".replace(",", " "),
        f"{figures['p50_ms']:.2f}",
        f"{figures['p99_ms']:.2f}",
        kinds(figures["errors"]),
        str(figures["body_bytes"]),
        f"{figures['cpu_us_per_request']:.1f}",
        f"{figures['pss_kib_per_worker']:.0f}",
        spread(figures.get("cpu_ratio")),
        spread(figures.get("speed_ratio")),
    ]


def target(row: dict[str, Any], figures: dict[str, Any]) -> str:
    """Whether the ratio to the rival is what is aimed at; said in the rival's line."""
    if row["target"] is None or figures["server"] != row["rival"] or "cpu_ratio" not in figures:
        return ""
    verdict = "met" if figures["cpu_ratio"]["median"] <= row["target"] else "missed"
    # Against our own hello it is other work, with another answer.
    is_same = figures["server"] != OUR_HELLO
    if verdict == "met" and is_same and row["servers"][0]["body_bytes"] > figures["body_bytes"]:
        verdict = "missed, for its answer is larger"
    return f"≤ {row['target']:.2f}: {verdict}"


def starts(found: list[dict[str, Any]]) -> str:
    """Cold starts."""
    lines = [
        [one["server"], f"{one['median_ms']:.1f}", f"{one['least_ms']:.1f}", f"{one['most_ms']:.1f}", str(one["starts"])]
        for one in found
    ]
    verdict = "met" if found[0]["median_ms"] <= cold.TARGET_MS else "missed"
    note = f"Target: ≤ {cold.TARGET_MS:.0f} ms: {verdict}."
    return f"## Start to first 200\n\n{table(['server', 'median ms', 'min', 'max', 'starts'], lines)}\n\n{note}"


def idling(found: list[dict[str, Any]]) -> str:
    """Idle connections."""
    lines = [
        [
            one["server"],
            str(one["connections"]),
            *(f"{one[key] / 1024:.1f}" for key in ("pss_kib_before", "pss_kib_with", "pss_kib_after")),
            f"{one['bytes_per_connection']:.0f}",
            f"{one['bytes_kept_per_connection']:.0f}",
            f"{one['kernel_tcp_kib'] / 1024:.1f}",
            one["still_answering"],
        ]
        for one in found
    ]
    head = ["server", "connections", "MiB before", "MiB with", "MiB after close", "B a connection"]
    head += ["B a connection kept after close", "kernel TCP MiB", "still answering"]
    verdict = "met" if found[0]["bytes_per_connection"] <= idle.TARGET_BYTES else "missed"
    note = (
        "User memory (PSS of all processes), after one request on each connection; the kernel's socket structures\n"
        f"are not in it. Target: ≤ {idle.TARGET_BYTES} B a connection: {verdict}."
    )
    return f"## Idle keep-alive connections\n\n{table(head, lines)}\n\n{note}"


def events(found: dict[str, list[dict[str, Any]]]) -> str:
    """Events under load."""
    lines: Table = []
    for kind, servers in found.items():
        for one in servers:
            if "lacking" in one:
                lines.append(["", one["server"], one["lacking"], *[""] * 7])
                continue
            gap, p99 = one["longest_gap_ms"], one["p99_ms"]
            title = SCENARIOS[kind] if not any(line[0] == SCENARIOS[kind] for line in lines) else ""
            lines.append(
                [
                    title,
                    one["server"],
                    f"{one['lasted_ms']:.0f}" + (f" ({one['left_over']} left over)" if one["left_over"] else ""),
                    str(one["answers"]),
                    kinds(one["failed"]),
                    kinds(one["failed_before"]),
                    kinds(one["pressure_errors"]),
                    f"{gap['before']:.0f} / {gap['during']:.0f}",
                    " / ".join(number(p99[window]) for window in ("before", "during", "after")),
                    number(one["slowest_ms"]),
                ]
            )
    head = ["event", "server", "lasted ms", "answers", "failed requests", "failed before it", "errors of wrk"]
    head += ["longest gap ms before / since", "p99 ms before / during / after", "slowest ms"]
    note = (
        "Paced clients note each answer: 32 that keep their connection and 16 with a connection per request, each\n"
        "patient for 1 s; wrk adds pressure on 32 keep-alive connections, and its errors are those of its whole run.\n"
        "*refused*, *connect*: no connection; *reset*, *closed*: the connection ended without a byte of the answer;\n"
        "*truncated*: in the middle of it; *(new connection)*: at the first request on its connection. The\n"
        "longest gap is the longest time in which nobody had an answer."
    )
    return f"## Events under load\n\n{table(head, lines)}\n\n{note}"


def missing(rows: list[dict[str, Any]]) -> str:
    """What is not measured so far."""
    lines = [[row["title"], aim(row["target"], row["rival"]), f"not yet: {row['not_yet']}"] for row in rows if "not_yet" in row]
    lines += [[title, wanted, "not yet"] for title, wanted in NOT_YET]
    return f"## Not yet\n\n{table(['row', 'target', ''], lines)}"


def aim(ratio: float | None, rival: str) -> str:
    """A target in words."""
    return "" if ratio is None else f"≤ {ratio} × {rival}"


def number(value: float | None) -> str:
    """Milliseconds, or a dash where there were none."""
    return "–" if value is None else f"{value:.1f}"


def kinds(counts: dict[str, int]) -> str:
    """Such as `3 reset, 1 refused`, or 0."""
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()) if count) or "0"


def spread(values: dict[str, float] | None) -> str:
    """Such as `0.71–0.74–0.80`."""
    return "" if values is None else "–".join(f"{values[key]:.2f}" for key in ("least", "median", "most"))


def table(head: list[str], lines: Table) -> str:
    """A Markdown table."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *lines)]

    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(head), rule, *(line(cells) for cells in lines)])
