"""Runs servers and clients in network namespaces and counts the requests that were lost. `run` starts it.

A request is *lost* if its client had connected and sent it, and got no whole answer. A refused connection is not a loss.

The server has one namespace and its clients another, joined by a veth pair, so that each side has its own counters. These
moved in experiments with 20 connections (Linux 6.18), by 1 for each connection:

| what happens | in the server's namespace | in the clients' |
|---|---|---|
| a connection is refused | OutRsts | AttemptFails |
| the listener is closed with the connection in its accept queue | EstabResets, OutRsts; no Abort counter | EstabResets |
| a connection is closed with bytes unread (A6) | AbortOnClose, EstabResets, OutRsts | EstabResets |
| a request arrives after the close (A3) | OutRsts; AbortOnData if an answer was sent before | EstabResets |
| a SYN is dropped because the accept queue is full | ListenOverflows, ListenDrops | none: the SYN is sent again |
| a SYN is dropped by the SYN filter (A5) | none | none: the SYN is sent again |
| the client closes with bytes unread | EstabResets | AbortOnClose, EstabResets, OutRsts |
| a request is read, and its connection is closed without an answer | none | none |

So the clients' EstabResets is the kernel's count of losses: a reset ended a connection that the client had established and
not closed. It is read before the clients are stopped, and their own AbortOnClose is subtracted. It includes a request that
its client repeats without a word, as curl and Go do. No other counter will do. OutRsts includes the refusals. No counter of
the server shows only a reset of the accept queue, or a request after the close. The server's counters say why a request was
lost. Only the client's report (`told`) has the last row of the table.
"""

import argparse
import contextlib
import csv
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Callable, Iterator, NamedTuple

HOST, PORT = "10.99.0.1", 8080
WARM = 1.0  # Seconds of load before the SIGTERM.
SETTLE = 0.3  # Seconds from the server's exit to the reading of the counters.
PATIENCE = 30.0  # Seconds that a process may take to start or to exit.
FEW = 50  # With fewer answers than this, the client was not a load.
SERVER, CLIENT = (f"winddown-{os.getpid()}-{side}" for side in ("server", "client"))
CAUSES = {"EstabRst": "EstabResets", "OnClose": "TCPAbortOnClose", "OnData": "TCPAbortOnData", "Drops": "ListenDrops"}
COLUMNS = ("answered", "not 200", "refused", "told", "kernel", *CAUSES, "bad exit")


class Client(NamedTuple):
    command: str
    report: Callable[[str], Counter]  # From its output to what it answered, lost and got with another status than 200.
    copies: int = 1
    stops_itself: bool = False


def number(pattern: str, text: str) -> int:
    return sum(int(found) for found in re.findall(pattern, text, re.M))


def counted(answered: int, good: int, told: int) -> Counter:
    return Counter({"answered": answered, "not 200": answered - good, "told": told})


def curl(text: str) -> Counter:
    """Each line has the status and curl's exit code. Code 7 is a refused connection."""
    lines = re.findall(r"^(\d{3})/(\d+)$", text, re.M)
    answers = [status for status, code in lines if code == "0"]
    return counted(len(answers), answers.count("200"), sum(code not in ("0", "7") for _, code in lines))


def wrk(text: str) -> Counter:
    """A refused connection is a write error here. A reset or an early end of the stream is a read error."""
    answered = number(r"(\d+) requests in", text)
    lost = number(r"Socket errors:.* read (\d+),", text) + number(r"Socket errors:.* timeout (\d+)", text)
    return counted(answered, answered - number(r"Non-2xx or 3xx responses: (\d+)", text), lost)


def ab(text: str) -> Counter:
    """`ab` counts refused connections and lost requests together, so only the kernel's count says what it lost."""
    answered = number(r"HTML transferred: +(\d+)", text) // (number(r"Document Length: +(\d+)", text) or 1)
    return counted(answered, answered - number(r"Non-2xx responses: +(\d+)", text), 0)


def hey(text: str) -> Counter:
    errors = re.findall(r"^ +\[(\d+)\]\t(.*)$", text.partition("Error distribution:")[2], re.M)
    lost = sum(int(count) for count, error in errors if "connection refused" not in error)
    return counted(number(r"\[\d{3}\]\t(\d+) responses", text), number(r"\[200\]\t(\d+) responses", text), lost)


def h2load(text: str) -> Counter:
    """A request whose connection ended was started and is not done. It is in no count of errors."""
    done = number(r"(\d+) done", text)
    lost = number(r"(\d+) started", text) - done + number(r"(\d+) errored", text) + number(r"(\d+) timeout", text)
    return counted(done, number(r"status codes: (\d+) 2xx", text), lost)


# The fragment is not sent: it has curl ask for the same URL again. A killed curl loses its standard output, not its errors.
CURL = "curl -s -o /dev/null --fail-early -m 20 -w %{stderr}%{http_code}/%{exitcode}\\n URL#[1-1000000]"
CLIENTS = {
    "curl": Client(CURL, curl, copies=16),
    "curl-new": Client(CURL + " -H Connection:close", curl, copies=16),
    "wrk": Client("wrk -t 2 -c 40 -d 60 URL", wrk),
    # `-r` has it go on after an error.
    "ab": Client("ab -q -r -c 40 -t 60 -n 10000000 URL", ab),
    "ab-k": Client("ab -q -r -k -c 40 -t 60 -n 10000000 URL", ab),
    "hey": Client("hey -c 40 -z 60s URL", hey),
    "hey-new": Client("hey -disable-keepalive -c 40 -z 60s URL", hey),
    # Its connections are mostly idle, so that their next requests race the end of the linger (A3).
    "hey-slow": Client("hey -c 400 -q 5 -z 60s URL", hey),
    # It prints nothing after a signal.
    "h2load": Client("h2load --h1 -c 40 -D SECONDS URL", h2load, stops_itself=True),
    "pipelined": Client("h2load --h1 -m 4 -c 40 -D SECONDS URL", h2load, stops_itself=True),
}
EXAMPLES = {"minimal": "/5", "serve": "/slow?ms=5", "http": "/slow?ms=5"}
# These pairs run only when they are named as EXAMPLE/CLIENT. The requests that follow the last answered one in a pipeline get no
# answer. HTTP/1.1 has the client repeat them.
NAMED = {(example, "pipelined") for example in EXAMPLES}
QUICK = {("minimal", "hey-new"), ("minimal", "wrk"), ("serve", "curl-new"), ("serve", "hey-slow"), ("http", "ab")}


def ip(arguments: str) -> str:
    return subprocess.run(["ip", *arguments.split()], check=True, stdout=subprocess.PIPE, text=True).stdout


def counters(name: str) -> Counter:
    lines = ip(f"netns exec {name} cat /proc/net/netstat /proc/net/snmp").splitlines()
    found: Counter = Counter()
    for keys, values in zip(lines[::2], lines[1::2]):
        if keys.startswith("Tcp"):
            found.update(dict(zip(keys.split()[1:], map(int, values.split()[1:]))))
    return found


def exit_code(process: subprocess.Popen) -> object:
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return "none"


class Run:
    """A folder, two namespaces, and processes in them that are killed at the end."""

    def __init__(self, folder: str):
        self.folder, self.processes = Path(folder), []

    def start(self, side: str, command: list[str], until: str = "") -> tuple[subprocess.Popen, Path]:
        """Starts a command whose output goes to a file, and waits until the file has the text `until`."""
        output = self.folder / f"output-{len(self.processes)}"
        with output.open("w") as file:
            process = subprocess.Popen(["ip", "netns", "exec", side, *command], stdout=file, stderr=subprocess.STDOUT)
        self.processes.append(process)
        deadline = time.monotonic() + PATIENCE
        while until not in output.read_text():
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"this did not start: {' '.join(command)}\n{output.read_text()}")
            time.sleep(0.01)
        return process, output

    def example(self, program: Path, address: str, lame_duck: float) -> subprocess.Popen:
        files = [f"--database={self.folder / address}.redb", f"--log={self.folder / address}.log"]
        is_minimal = program.name == "minimal"
        arguments = [address] if is_minimal else [f"--listen={address}", *files]
        command = ["env", f"WINDDOWN_LAME_DUCK_SECONDS={lame_duck}", str(program), *arguments]
        return self.start(SERVER, command, "is up" if is_minimal else "listening on")[0]


@contextlib.contextmanager
def running() -> Iterator[Run]:
    with tempfile.TemporaryDirectory() as folder:
        run = Run(folder)
        try:
            for name in (SERVER, CLIENT):
                ip(f"netns add {name}")
                ip(f"-n {name} link set lo up")
            ip(f"-n {SERVER} link add veth0 type veth peer name veth0 netns {CLIENT}")
            for name, address in ((SERVER, HOST), (CLIENT, "10.99.0.2")):
                ip(f"-n {name} address add {address}/24 dev veth0")
                ip(f"-n {name} link set veth0 up")
            yield run
        finally:
            for process in run.processes:
                process.kill()
                process.wait()
            for name in (SERVER, CLIENT):
                subprocess.run(["ip", "netns", "delete", name], check=False, stderr=subprocess.DEVNULL)


def measure(start: Callable[[Run], subprocess.Popen], client: Client, path: str, duration: float) -> Counter:
    """Starts a server and a client, sends the server a SIGTERM amid the load, and counts."""
    with running() as run:
        server = start(run)
        before = counters(SERVER), counters(CLIENT)
        command = client.command.replace("URL", f"http://{HOST}:{PORT}{path}").replace("SECONDS", str(int(duration)))
        clients = [run.start(CLIENT, command.split()) for _ in range(client.copies)]
        time.sleep(WARM)
        if any(process.poll() is not None for process, _ in clients):
            sys.exit("a client ended before the SIGTERM:\n" + clients[0][1].read_text())
        began = time.monotonic()
        server.send_signal(signal.SIGTERM)
        row = Counter({"bad exit": int(exit_code(server) != 0), "ms": int((time.monotonic() - began) * 1000)})
        time.sleep(SETTLE)
        ours, theirs = counters(SERVER) - before[0], counters(CLIENT) - before[1]
        row.update({name: ours[key] for name, key in CAUSES.items()})
        row["refused"] = theirs["AttemptFails"]
        row["kernel"] = max(0, theirs["EstabResets"] - theirs["TCPAbortOnClose"])
        for process, _ in clients:
            # Without the signal they spin on refused connections.
            if not client.stops_itself:
                process.send_signal(signal.SIGINT)
        for process, output in clients:
            if exit_code(process) == "none":
                sys.exit("a client did not stop:\n" + output.read_text())
            row.update(client.report(output.read_text()))
    return row


def show(name: str, cells: list[object]) -> None:
    print(f"{name:<20}" + "".join(f"{cell!s:>9}" for cell in cells), flush=True)


def verdict(name: str, client: Client, rows: list[Counter]) -> bool:
    """Prints a line of the table."""
    row = sum(rows, Counter())
    problem = "LOST" if row["told"] or row["kernel"] else "EXIT" if row["bad exit"] else ""
    problem = problem or ("NO LOAD" if any(row["answered"] < FEW for row in rows) else "")
    cells = ["-" if column == "told" and client.report is ab else row[column] for column in COLUMNS]
    show(name, [*cells, max(row["ms"] for row in rows), problem or "ok"])
    return not problem


def table(examples: Path, pairs: list[tuple[str, str]], rounds: int, lame_duck: float) -> bool:
    show("", [*COLUMNS, "ms", ""])
    ok = True
    for example, name in pairs:
        def start(run: Run, program: Path = examples / example) -> subprocess.Popen:
            return run.example(program, f"{HOST}:{PORT}", lame_duck)

        rows = [measure(start, CLIENTS[name], EXAMPLES[example], WARM + lame_duck + 3) for _ in range(rounds)]
        ok &= verdict(f"{example}/{name}", CLIENTS[name], rows)
    return ok


PROXY = f"""
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    # Without it a check has 200 ms. On a busy machine that takes replicas out that do serve.
    timeout check 5s
    retries 0
    no option redispatch
frontend entry
    bind {HOST}:{PORT}
    default_backend replicas
backend replicas
    option httpchk GET /readyz
    default-server check inter 200ms rise 1 fall 1
"""


def statistics(path: Path) -> dict[str, dict[str, str]]:
    """Returns what haproxy counted, by the name of the server, or `FRONTEND`."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        connection.sendall(b"show stat\n")
        text = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return {row["svname"]: row for row in csv.DictReader(text.lstrip("# ").splitlines())}


def replicas(examples: Path, rounds: int, lame_duck: float) -> bool:
    """Restarts three replicas of `serve` in turn behind haproxy, which neither retries nor redispatches."""
    addresses = {f"replica{i}": f"127.0.0.1:{PORT + i}" for i in (1, 2, 3)}
    with running() as run:
        def start(name: str) -> subprocess.Popen:
            process = run.example(examples / "serve", addresses[name], lame_duck)
            deadline = time.monotonic() + PATIENCE
            while statistics(run.folder / "stats")[name]["status"] != "UP":
                if time.monotonic() > deadline:
                    sys.exit(f"haproxy does not see that {name} is ready")
                time.sleep(0.05)
            return process

        servers = "".join(f"    server {name} {address}\n" for name, address in addresses.items())
        (run.folder / "cfg").write_text(f"global\n    stats socket {run.folder}/stats\n{PROXY}{servers}")
        run.start(SERVER, ["haproxy", "-db", "-f", str(run.folder / "cfg")])
        while not (run.folder / "stats").exists():
            time.sleep(0.05)
        processes = {name: start(name) for name in addresses}
        before, began = counters(CLIENT), time.monotonic()
        downs = int(statistics(run.folder / "stats")["BACKEND"]["chkdown"])
        # Each replica always has some requests, and the machine has time left for haproxy's checks.
        load = f"hey -c 50 -q 30 -z 3600s http://{HOST}:{PORT}/slow?ms=5"
        client, output = run.start(CLIENT, load.split())
        codes = []
        for name in list(addresses) * rounds:
            time.sleep(WARM)
            processes[name].send_signal(signal.SIGTERM)
            codes.append(exit_code(processes[name]))
            processes[name] = start(name)
        time.sleep(WARM)
        resets, seconds = counters(CLIENT)["EstabResets"] - before["EstabResets"], time.monotonic() - began
        client.send_signal(signal.SIGINT)
        exit_code(client)
        report, seen = hey(output.read_text()), statistics(run.folder / "stats")
        refused = number(r"\[(\d+)\]\t.*connection refused", output.read_text())
    print(f"\n{len(codes)} restarts of 3 replicas behind haproxy in {seconds:.0f} s: {report['answered']} answered")
    lost = {"client: lost": report["told"], "client: refused": refused, "client: not 200": report["not 200"]}
    lost |= {"client: kernel's EstabResets": resets, "haproxy: answered 5xx": int(seen["FRONTEND"]["hrsp_5xx"])}
    for key, meaning in (("econ", "not connected"), ("eresp", "no whole answer"), ("hrsp_5xx", "answered 5xx")):
        lost[f"replicas: {meaning} ({key})"] = sum(int(seen[name][key]) for name in addresses)
    lost["replicas: all down at once (chkdown)"] = int(seen["BACKEND"]["chkdown"]) - downs
    lost["replicas: bad exits"] = sum(code != 0 for code in codes)
    for what, count in lost.items():
        print(f"{what:<40}{count:>6}")
    return not any(lost.values()) and report["answered"] >= FEW


def self_check() -> bool:
    """Servers that do lose requests: the kernel and the clients have to count them, and not to count the refusals."""
    show("", [*COLUMNS, "ms", ""])
    ok = True
    for mode in ("queue", "unread", "silent", "clean"):
        def start(run: Run, mode: str = mode) -> subprocess.Popen:
            program = Path(__file__).with_name("losing.py")
            return run.start(SERVER, [sys.executable, str(program), mode, HOST, str(PORT)], "listening")[0]

        for name in ("curl", "curl-new", "wrk", "ab", "hey", "hey-new", "h2load"):
            client = CLIENTS[name]
            if mode != "queue":
                # A single connection, so that exactly one request is lost.
                command = client.command.replace("-t 2 ", "-t 1 ").replace("-c 40", "-c 1")
                client = client._replace(copies=1, command=command)
            row = measure(start, client, "/", WARM + 2)
            verdict(f"{mode}/{name}", client, [row])
            kernel = row["kernel"] > 1 if mode == "queue" else row["kernel"] == (mode == "unread")
            told = row["told"] > 1 if mode == "queue" else row["told"] == (mode != "clean")
            refused = row["refused"] or mode != "clean"
            if not (kernel and (told or client.report is ab) and refused and row["answered"]):
                print("    ^ not counted as it should be")
                ok = False
    print("\nself-check:", "ok, the losses were counted" if ok else "FAILED")
    return ok


def main() -> bool:
    parser = argparse.ArgumentParser(prog="tests/clients/run")
    parser.add_argument("examples", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("names", nargs="*", metavar="NAME", help="EXAMPLE, CLIENT, EXAMPLE/CLIENT or haproxy")
    parser.add_argument("--quick", action="store_true", help="five pairs, and one restart of each replica")
    parser.add_argument("--rounds", type=int, help="how often each pair runs and each replica restarts")
    parser.add_argument("--lame-duck", type=float, default=0, help="seconds, for the table (default 0)")
    parser.add_argument("--self-check", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_intermixed_args()
    # A shell may have started this with SIGINT ignored, which the clients would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a SIGTERM"))
    if args.self_check:
        return self_check()
    pairs = [(example, client) for example in EXAMPLES for client in CLIENTS]
    for name in args.names:
        if name != "haproxy" and not any(name in (*pair, "/".join(pair)) for pair in pairs):
            parser.error(f"there is no example, client or pair {name!r}")
    usual = [pair for pair in pairs if pair not in NAMED and (pair in QUICK or not args.quick)]
    if args.names:
        usual = [pair for pair in pairs if "/".join(pair) in args.names or pair not in NAMED and {*pair} & {*args.names}]
    ok = not usual or table(args.examples, usual, args.rounds or (1 if args.quick else 3), args.lame_duck)
    if not args.names or "haproxy" in args.names:
        ok &= replicas(args.examples, args.rounds or (1 if args.quick else 5), 5)
    print("\nno request was lost" if ok else "\nFAILED: a request was lost, or a server or a client did not run as it should")
    return ok


sys.exit(not main())
