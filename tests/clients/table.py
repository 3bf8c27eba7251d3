"""Runs every example under what every program meets, and prints a row of counts for each. `run table` starts it.

| column | what is done | what is shown |
|---|---|---|
| ab, ab -k | 50 requests on 5 connections, in HTTP/1.0 | how many were answered; with -k, how many on a kept connection |
| curl 1.0, 1.1 | 3 requests with `curl --http1.0` and `--http1.1` | how many had a 200 and at most one header `Connection` |
| stop+cont | clients that are idle, and a load, while the server gets SIGSTOP and SIGCONT 20 times | answered/asked |
| queued | 60 clients ask while the server is stopped; then SIGTERM, SIGCONT | answered (with a 200 or a 503)/asked |
| process 1 | a request of 300 ms and a SIGTERM, in a process namespace | answered/asked, and the exit code |
| start-up | as process 1, a SIGTERM as soon as the port accepts, or at a time after the start | clean exits/starts |
| output | SIGTERM while nobody reads the output (`2>&1 \\| head -1`), and with both outputs closed | the two exit codes |
| half, garbage, TLS | half a head; bytes that are no text; a TLS hello | the status, or `closed` and after how many seconds |
| never reads | many requests from a client that reads no answer, and SIGTERM with a budget of 10 s | the exit code |

A SIGTERM that comes before the handlers are installed is lost for process 1, so `start-up` sends it once more where `/proc` shows
no handler and the port does not accept yet. Bad input that is not answered within 7 s is `drained` if the wind-down closes it.
`never reads` has to end in time: with exit code 0, or with 11 and a report that names the connection or the place.
"""

import argparse
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator

PATIENCE = 20.0  # Seconds that a process or a client may take.
BAD = 7.0  # Seconds in which bad input should be answered.
STOPS = 20
GRACE = 10  # Seconds of budget where a client never reads. The stages of `serve` need some of them.
SERVERS = {
    "hello": "/{}", "minimal": "/{}", "workers": "/{}", "tiny_http": "/{}", "serve": "/slow?ms={}", "http": "/slow?ms={}",
}
LINES = ("echo", "mixed")
EXAMPLES = (*SERVERS, *LINES, "custom_executor")
# How many clients are idle at once. tiny_http starts with four threads, and has a race in who starts another one.
IDLE = {name: 6 for name in EXAMPLES} | {"tiny_http": 2}
COLUMNS = (
    "ab", "ab -k", "curl 1.0", "curl 1.1", "stop+cont", "queued", "process 1", "start-up", "output", "half", "garbage", "TLS",
    "never reads",
)
TLS_HELLO = bytes.fromhex("160301020001000001fc0303") + bytes(range(11, 256)) * 2
GARBAGE = bytes(range(128, 256)) * 4 + b"\r\n\r\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Lost(Exception):
    """What went wrong, short enough for a cell."""


class Server:
    """An example in a process of its own; with `first`, process 1 of a namespace."""

    def __init__(self, program: Path, folder: str, first: bool = False, wrap: tuple[str, ...] = (), **environment: str):
        self.name, self.port = program.name, free_port()
        files = [f"--database={folder}/{self.port}.redb", f"--log={folder}/{self.port}.log", "--lame-duck=0"]
        own = [f"--listen=127.0.0.1:{self.port}", *files] if self.name in ("serve", "http") else [f"127.0.0.1:{self.port}"]
        own = ["wait"] if self.name == "custom_executor" else own
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        unshare = ["unshare", *user, "--pid", "--fork", "--mount-proc", "--kill-child"] if first else []
        self.output = Path(folder) / f"{self.port}.out"
        with self.output.open("w") as file:
            command = [*unshare, *wrap, str(program), *own]
            self.process = subprocess.Popen(command, stdout=file, stderr=file, env=os.environ | environment)
        self.pid = self.child() if first else self.process.pid

    def child(self) -> int:
        """Returns the number of the example that `unshare` has started, as this namespace counts."""
        pid = self.process.pid
        for _ in self.waiting():
            with contextlib.suppress(OSError, ValueError, IndexError):
                child = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
                if Path(f"/proc/{child}/exe").resolve().name == self.name:
                    return child
        raise Lost("no start")

    def waiting(self) -> Iterator[None]:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                raise Lost(f"exit {self.process.returncode}")
            yield

    def catches(self) -> bool:
        """Returns whether it has a handler for SIGTERM."""
        mask = re.search(r"^SigCgt:\t(\w+)", Path(f"/proc/{self.pid}/status").read_text(), re.M)
        return bool(mask and int(mask[1], 16) >> (signal.SIGTERM - 1) & 1)

    def accepts(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def up(self) -> "Server":
        for _ in self.waiting():
            if self.catches() if self.name == "custom_executor" else self.accepts():
                return self
        raise Lost("not up")

    def signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), PATIENCE)

    def url(self, millis: int) -> str:
        return f"http://127.0.0.1:{self.port}{SERVERS[self.name].format(millis)}"

    def request(self, millis: int) -> bytes:
        path = SERVERS[self.name].format(millis) if self.name in SERVERS else ""
        return f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode() if path else b"15\n"

    def exit_code(self, patience: float = PATIENCE) -> int:
        try:
            return self.process.wait(patience)
        except subprocess.TimeoutExpired:
            raise Lost("hangs") from None

    def end(self, good: tuple[int, ...] = (0,)) -> int:
        self.signal(signal.SIGTERM)
        code = self.exit_code()
        if code not in good:
            raise Lost(f"exit {code}")
        return code


@contextlib.contextmanager
def served(program: Path, **options: object) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, folder, **options)
        try:
            yield server
        finally:
            with contextlib.suppress(OSError):
                server.signal(signal.SIGKILL)
            server.process.kill()
            server.process.wait()


def rest(client: socket.socket) -> bytes:
    """Returns all that comes; after a reset or too long a silence, nothing."""
    answer = b""
    try:
        with client:
            while piece := client.recv(65536):
                answer += piece
    except OSError:
        return b""
    return answer


def is_good(name: str, client: socket.socket) -> bool:
    """Returns whether one request was answered. The servers that speak in lines keep their connections."""
    if name in SERVERS:
        return bool(re.match(rb"HTTP/1\.[01] (200|503) ", rest(client)))
    with contextlib.suppress(OSError):
        return client.recv(100).startswith(b"15")
    return False


def share(good: int, all_: int) -> str:
    if good != all_:
        raise Lost(f"{good}/{all_}")
    return f"{good}/{all_}"


def number(pattern: str, text: str) -> int:
    return sum(map(int, re.findall(pattern, text, re.M)))


def ab(program: Path, *options: str) -> str:
    with served(program) as server:
        command = ["ab", "-q", "-s", "10", "-n", "50", "-c", "5", *options, server.up().url(5)]
        try:
            text = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE).stdout
        except subprocess.TimeoutExpired:
            raise Lost("hangs") from None
        bad = number(r"^Failed requests: +(\d+)", text) + number(r"^Non-2xx responses: +(\d+)", text)
        share(number(r"^Complete requests: +(\d+)", text) - bad, 50)
        server.end()
        return f"50, {number(r'^Keep-Alive requests: +(.+)', text)} kept" if options else "50"


def curl(program: Path, version: str) -> str:
    with served(program) as server:
        command = ["curl", "-s", "-i", "-m", "10", version, server.up().url(5)]
        answers = [subprocess.run(command, capture_output=True, text=True).stdout for _ in range(3)]
        good = [re.match(r"HTTP/1\.[01] 200", text) and len(re.findall("^connection:", text, re.M | re.I)) <= 1 for text in answers]
        server.end()
        return share(sum(map(bool, good)), 3)


def stopped(program: Path) -> str:
    with served(program) as server:
        idle = [server.up().connect() for _ in range(IDLE[program.name])]
        load, good = [], 0
        time.sleep(0.1)  # Each has a thread that waits in `read`.
        for _ in range(STOPS):
            server.signal(signal.SIGSTOP)
            load.append(server.connect())
            load[-1].sendall(server.request(5))
            time.sleep(0.005)
            server.signal(signal.SIGCONT)
            time.sleep(0.005)
        for client in idle:
            with contextlib.suppress(OSError):
                client.sendall(server.request(5))
        good = sum(is_good(program.name, client) for client in idle + load)
        for client in idle + load:
            client.close()
        server.end()
        return share(good, len(idle) + len(load))


def queued(program: Path) -> str:
    with served(program) as server:
        server.up().signal(signal.SIGSTOP)
        clients = [server.connect() for _ in range(60)]
        for client in clients:
            client.sendall(server.request(20))
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGCONT)
        good = sum(is_good(program.name, client) for client in clients)
        for client in clients:
            client.close()
        if code := server.exit_code():
            raise Lost(f"exit {code}")
        return share(good, 60)


def first(program: Path) -> str:
    with served(program, first=True) as server:
        server.up()
        clients = [] if program.name == "custom_executor" else [server.connect()]
        for client in clients:
            client.sendall(server.request(300))
            time.sleep(0.1)
        server.signal(signal.SIGTERM)
        good = sum(is_good(program.name, client) for client in clients)
        for client in clients:
            client.close()
        code = server.exit_code()
        if code or good != len(clients):
            raise Lost(f"{good}/{len(clients)}, exit {code}")
        return f"{good}/{len(clients)}, exit 0"


def started(program: Path) -> str:
    good = 0
    for i in range(40):
        with served(program, first=True) as server:
            if i < 10:
                server.up()
            else:
                time.sleep((i - 10) * 0.0005)
            heard = server.catches() or server.accepts()
            server.signal(signal.SIGTERM)
            if not heard:
                with contextlib.suppress(Lost, OSError):
                    server.up().signal(signal.SIGTERM)
            with contextlib.suppress(Lost):
                good += server.exit_code(5) == 0
    return share(good, 40)


def unheard(program: Path) -> str:
    codes = []
    for script in ('"$0" "$@" 2>&1 >/dev/null | head -0; exit "${PIPESTATUS[0]}"', 'exec "$0" "$@" >&- 2>&-'):
        piped = "head" in script
        script = script.replace("2>&1 >/dev/null", "2>&1")
        with served(program, wrap=("bash", "-c", script)) as server:
            for _ in server.waiting():
                # The example is the shell itself, or its child.
                path = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
                pids = [server.process.pid, *map(int, path.read_text().split())]
                named = [pid for pid in pids if exe(pid) == program.name]
                if named and (server.accepts() or program.name == "custom_executor"):
                    server.pid = named[0]
                    break
            time.sleep(0.2)  # `head` has ended.
            with contextlib.suppress(OSError):
                server.signal(signal.SIGTERM)
            codes.append(server.exit_code())
            server.pid = server.process.pid if not piped else server.pid
    if any(codes):
        raise Lost(f"exit {codes}")
    return "0, 0"


def exe(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/exe").resolve().name
    return ""


def bad(program: Path, text: bytes) -> str:
    variables = {"WINDDOWN_LINGER_SECONDS": "0.2", "WINDDOWN_HEAD_SECONDS": "1"}
    with served(program, **variables) as server:
        client, good = server.up().connect(), None
        client.sendall(text)
        client.settimeout(BAD)
        begun = time.monotonic()
        try:
            answer = client.recv(4096)
            found = re.match(rb"HTTP/1\.[01] (\d+)", answer)
            cell = found[1].decode() if found else "a line" if answer else f"closed, {time.monotonic() - begun:.1f} s"
        except TimeoutError:
            cell = "drained"
        except OSError as error:
            raise Lost(type(error).__name__) from None
        good = server.connect()
        good.sendall(server.request(5))
        if not is_good(program.name, good):
            raise Lost("deaf")
        good.close()
        code = server.end((0, 11) if program.name in ("tiny_http", *LINES) else (0,))
        return cell + (f", exit {code}" if code else "")


def never_reads(program: Path) -> str:
    with served(program, WINDDOWN_GRACE_SECONDS=str(GRACE), WINDDOWN_LINGER_SECONDS="0.2") as server:
        client = server.up().connect()
        asked = server.request(0).replace(b"Connection: close\r\n", b"").replace(b"/slow?ms=0", b"/large?kb=4096")
        client.settimeout(1)
        with contextlib.suppress(OSError):
            # tiny_http reads without a limit, and this example of it starts a thread for each request.
            for _ in range(20 if program.name == "tiny_http" else sys.maxsize):
                client.sendall(asked * 100)
        port = client.getsockname()[1]
        begun = time.monotonic()
        code = server.end((0, 11))
        if time.monotonic() - begun > GRACE + 1:
            raise Lost("late")
        text = server.output.read_text()
        if code and str(port) not in text and f"{program.name}.rs" not in text:
            raise Lost("not named")
        client.close()
        return f"exit {code}" + (", named" if code else "")


def row(program: Path) -> Iterator[Callable[[], str] | None]:
    """Returns what fills each column."""
    is_http, is_server = program.name in SERVERS, program.name != "custom_executor"
    yield from (is_http and (lambda: ab(program)), is_http and (lambda: ab(program, "-k")))
    yield from (is_http and (lambda version=version: curl(program, version)) for version in ("--http1.0", "--http1.1"))
    yield from (is_server and (lambda: stopped(program)), is_http and (lambda: queued(program)))
    yield from (lambda: first(program), lambda: started(program), lambda: unheard(program))
    half = b"GET /5 HTTP/1.1\r\nHo"
    yield from (is_server and (lambda text=text: bad(program, text)) for text in (half, GARBAGE, TLS_HELLO))
    yield is_server and (lambda: never_reads(program))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="an example (all, if there is none)")
    args = parser.parse_args()
    print(f"| example | {' | '.join(COLUMNS)} |\n|---|{'---|' * len(COLUMNS)}")
    failed = False
    for name in args.names or EXAMPLES:
        print(f"| {name} ", end="", flush=True)
        for fill in row(args.examples / name):
            try:
                cell = fill() if fill else "-"
            except (Lost, OSError) as problem:
                cell, failed = f"**{problem}**", True
            print(f"| {cell} ", end="", flush=True)
        print("|", flush=True)
    print("\nFAILED: see the cells in bold" if failed else "\nno client was lost, and every exit code was right")
    return int(failed)


sys.exit(main())
