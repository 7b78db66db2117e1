"""What the figures depend on besides our code."""

import platform
import subprocess


def describe() -> dict[str, str]:
    """The compiler, the C library and what the processor can do, for both choose instructions."""
    flags = ""
    with open("/proc/cpuinfo", encoding="utf-8") as info:
        for line in info:
            if line.startswith("flags"):
                flags = " ".join(sorted(line.split(":", 1)[1].split()))
                break
    return {
        "rustc": first_line(["rustc", "--version"]),
        "libc": " ".join(platform.libc_ver()),
        "valgrind": first_line(["valgrind", "--version"]),
        "flags": flags,
    }


def first_line(words: list[str]) -> str:
    """What a program says of its own version."""
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()[0]
