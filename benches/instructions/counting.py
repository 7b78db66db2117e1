"""One row: the server under callgrind, twice, and the difference of both runs per request."""

import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from plan import WRITE, Row

FEW, MANY = 3_200, 16_000
"""Requests of the two runs: what a start and an end cost is in both, and so in neither."""
CONNECTIONS = 32
"""Kept alive, all asked before any is read, as a load generator does."""
LIMIT = 120.0
"""Seconds that anything may take; valgrind is some fifty times slower than the machine."""


class Trouble(Exception):
    """Why nothing could be counted, and what to do."""


class Unknown(Trouble):
    """What cannot be counted here: a system call that this valgrind does not know, or no Redis."""


def count(row: Row, headers: dict[str, str], target: Path, keep: Path | None, key: str) -> int:
    """Instructions per request in user space."""
    program = target / row.program
    if not program.exists():
        raise Trouble(f"{program} is missing: cargo build --release --examples --bins")
    if not shutil.which("valgrind"):
        raise Trouble("valgrind is missing (Debian: apt-get install valgrind)")
    few, many = (run(row, headers, program, requests, keep, key) for requests in (FEW, MANY))
    return round((many - few) / (MANY - FEW))


def run(row: Row, headers: dict[str, str], program: Path, requests: int, keep: Path | None, key: str) -> int:
    """Instructions of a worker that serves so many requests."""
    with tempfile.TemporaryDirectory(prefix="appserver-instructions-") as folder:
        scratch = Path(folder)
        (scratch / "public").mkdir()
        (scratch / "public/index.html").write_text("<!doctype html>\n<title>hello</title>\n")
        (scratch / "public/1k.bin").write_bytes(bytes(range(256)) * 4)
        port, redis = free_port(), free_port()
        (scratch / "site.toml").write_text(
            f'listen = ["127.0.0.1:{port}"]\nroot = "public"\n'
            "[workers]\ninstances = 1\nlisten_timeout = '2m'\nstall_timeout = '1m'\nheartbeat_timeout = '10m'\n"
            f"[access_log]\npath = 'access.log'\nformat = 'combined'\n[control]\nsocket = '{scratch}/control.sock'\n"
            + row.config.replace("{scratch}", folder).replace("{redis}", str(redis))
        )
        # Where the files go cannot be an option: the server's title takes the place of its command line.
        words = ["valgrind", "--tool=callgrind", "-q"]
        words += [str(program.resolve()), "--config", str(scratch / "site.toml")]
        store = start_redis(row, redis)
        server = subprocess.Popen(words, cwd=scratch, stdout=subprocess.DEVNULL, stderr=(scratch / "errors").open("w"))
        try:
            talk(port, row, headers, requests, server)
            server.send_signal(signal.SIGTERM)
            server.wait(LIMIT)
        except (subprocess.TimeoutExpired, OSError) as error:
            if "unhandled amd64-linux syscall" in (scratch / "errors").read_text(errors="replace"):
                raise Unknown(f"{row.key}: this valgrind does not know openat2; 3.22 and later do") from error
            raise Trouble(f"{row.key}: {error}\n{(scratch / 'errors').read_text()[-2000:]}") from error
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()
            if store:
                store.kill()
                store.wait()
        files = [path for path in scratch.glob("callgrind.out.*") if path.suffix != f".{server.pid}"]
        if not files:
            raise Trouble(f"{row.key}: callgrind has written nothing for the worker")
        totals = {path: total(path) for path in files}
        worker = max(totals, key=lambda path: totals[path])
        if keep:
            keep.mkdir(parents=True, exist_ok=True)
            shutil.copy(worker, keep / f"{key}.{requests}.callgrind")
        return totals[worker]


def start_redis(row: Row, port: int) -> subprocess.Popen[bytes] | None:
    """The Redis of a row that has one, as soon as it can be asked."""
    if "{redis}" not in row.config:
        return None
    program = shutil.which("redis-server")
    if not program:
        raise Unknown(f"{row.key}: redis-server is missing (Debian: apt-get install redis-server)")
    words = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    store = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    connect(port, store).close()
    return store


def total(path: Path) -> int:
    """The sum that callgrind writes at the end."""
    for line in reversed(path.read_text().splitlines()):
        if line.startswith(("totals:", "summary:")):
            return int(line.split()[1])
    return 0


def request(path: str, port: int, headers: dict[str, str]) -> bytes:
    """What wrk would send."""
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def talk(port: int, row: Row, headers: dict[str, str], requests: int, server: subprocess.Popen[bytes]) -> None:
    """Sends so many requests over a fixed number of connections, and reads every answer."""
    wait_until_served(port, request(row.path, port, headers), server)
    sockets = [connect(port, server) for _ in range(CONNECTIONS)]
    sent = [headers | session(sock, port) if row.has_sessions else headers for sock in sockets]
    messages = [request(row.path, port, own) for own in sent]
    sockets[0].sendall(messages[0])
    length = first_answer(sockets[0])
    for _ in range(requests // CONNECTIONS):
        for sock, message in zip(sockets, messages, strict=True):
            sock.sendall(message)
        for sock in sockets:
            receive(sock, length)
    for sock in sockets:
        sock.close()


def session(sock: socket.socket, port: int) -> dict[str, str]:
    """The cookie of a new session with something in it, as a browser sends it back."""
    sock.sendall(request(WRITE, port, {}))
    head, body, size = answer(sock)
    receive(sock, size - len(body))
    return {"Cookie": fields(head)[b"set-cookie"].partition(b";")[0].decode()}


def wait_until_served(port: int, message: bytes, server: subprocess.Popen[bytes]) -> None:
    """Asks until there is an answer: a server that starts holds its address for a moment with a
    socket that is not the one it serves by."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            with connect(port, server) as sock:
                sock.sendall(message)
                first_answer(sock)
                return
        except (ConnectionResetError, BrokenPipeError):
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)


def first_answer(sock: socket.socket) -> int:
    """Reads one whole answer; its length is that of all others."""
    head, body, size = answer(sock)
    receive(sock, size - len(body))
    return len(head) + 4 + size


def answer(sock: socket.socket) -> tuple[bytes, bytes, int]:
    """The head of an answer, what has come of its body, and how long that is in all."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += some(sock)
    head, body = data.split(b"\r\n\r\n", 1)
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"answered {head[:200]!r}")
    return head, body, int(fields(head)[b"content-length"])


def fields(head: bytes) -> dict[bytes, bytes]:
    """Those of an answer, their names in small letters."""
    split = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
    return {name.lower(): value for name, value in split}


def receive(sock: socket.socket, length: int) -> None:
    """Reads so many bytes."""
    while length > 0:
        length -= len(some(sock))


def some(sock: socket.socket) -> bytes:
    """What has come."""
    data = sock.recv(65536)
    if not data:
        raise ConnectionResetError("the server has closed a connection")
    return data


def connect(port: int, server: subprocess.Popen[bytes]) -> socket.socket:
    """A connection, as soon as there is somebody to talk to."""
    end = time.monotonic() + LIMIT
    while True:
        try:
            sock = socket.create_connection(("127.0.0.1", port), timeout=LIMIT)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        except ConnectionRefusedError:
            if server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.05)


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
