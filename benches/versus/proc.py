"""What /proc says about a server: the processes of its group, their CPU time and their memory."""

import os
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One process, from proc_pid_stat(5)."""

    pid: int
    parent: int
    group: int
    state: str
    ticks: int
    """utime and stime of itself and of the children it has reaped."""


def find(pid: int) -> Process | None:
    """The process `pid`, unless it is gone; a zombie is not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return Process(pid, int(fields[1]), int(fields[2]), fields[0], sum(map(int, fields[11:15])))


def of_group(group: int) -> list[Process]:
    """Every process of a group, zombies left out."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    found = (find(pid) for pid in pids)
    return [one for one in found if one and one.group == group and one.state not in "ZX"]


def children(pid: int, group: int) -> set[int]:
    """The living children of `pid` in its group: the workers, when `pid` is a master."""
    return {one.pid for one in of_group(group) if one.parent == pid}


def title(pid: int) -> str:
    """The command line of a process, or what it has put there; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


def cpu_seconds(group: int) -> float:
    """User and system time that a group has used, in whole clock ticks of each process."""
    return sum(one.ticks for one in of_group(group)) / TICKS_PER_SECOND


def pss_kib(pid: int) -> int:
    """The proportional set size of one process in KiB: shared pages count by their share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def kernel_tcp_kib() -> int:
    """What the kernel has set aside for the TCP buffers of the whole machine, in KiB."""
    for line in Path("/proc/net/sockstat").read_text().splitlines():
        if line.startswith("TCP:"):
            return int(line.split()[-1]) * os.sysconf("SC_PAGE_SIZE") // 1024
    return 0
