"""Counts the clients of a full accept queue that are answered when a server is told to stop. `run queued` starts it.

In each round the server stands still (SIGSTOP) while all clients connect and ask, so that they wait in the kernel's queue.
Then it gets a SIGTERM and goes on (SIGCONT). Three rounds of each row, alone and beside four busy loops of low priority.
"""

import argparse
import contextlib
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import Iterator

ROUNDS = 3
BUSY_LOOPS = 4
PATIENCE = 60.0  # Seconds that a client waits for its answer, and the server may take to exit.
# What is run, what is asked, and how many clients ask.
ROWS = [
    ("workers", "/100", 40),  # 8 workers x 100 ms
    ("workers", "/1000", 20),  # 8 workers x 1,000 ms
    ("workers", "/20", 128),  # as many as std's listener lets wait
    ("serve", "/slow?ms=20", 3900),  # a thread for each
]


@contextlib.contextmanager
def busy_loops(count: int) -> Iterator[None]:
    loops = [subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def one_round(binary: str, name: str, path: str, clients: int) -> tuple[int, int, float, str]:
    """Returns how many were answered, the exit code, the seconds that the wind-down took, and the report."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"127.0.0.1:{free_port()}"
        files = ["--database", f"{folder}/orders.redb", "--log", f"{folder}/access.log", "--lame-duck", "0"]
        arguments = ["--listen", address, *files] if name == "serve" else [address]
        server = subprocess.Popen([binary, *arguments], stdout=subprocess.PIPE, text=True)
        assert server.stdout and address in server.stdout.readline()
        server.send_signal(signal.SIGSTOP)
        host, port = address.split(":")
        asking = []
        for _ in range(clients):
            asking.append(socket.create_connection((host, int(port)), PATIENCE))
            asking[-1].sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        server.send_signal(signal.SIGTERM)
        server.send_signal(signal.SIGCONT)
        began = time.monotonic()
        answered = sum(is_answered(client) for client in asking)
        report, _ = server.communicate(timeout=PATIENCE)
        return answered, server.returncode, time.monotonic() - began, report


def is_answered(client: socket.socket) -> bool:
    answer = b""
    with contextlib.suppress(OSError), client:
        while piece := client.recv(4096):
            answer += piece
    return answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("examples", help="the folder with the built examples")
    folder = parser.parse_args().examples
    print("| server | asked | clients | busy loops | answered in each round | seconds |\n|---|---|--:|--:|---|---|")
    lost = False
    for name, path, clients in ROWS:
        for loops in (0, BUSY_LOOPS):
            with busy_loops(loops):
                rounds = [one_round(f"{folder}/{name}", name, path, clients) for _ in range(ROUNDS)]
            answered = ", ".join(str(answered) for answered, *_ in rounds)
            seconds = ", ".join(f"{seconds:.1f}" for _, _, seconds, _ in rounds)
            print(f"| {name} | {path} | {clients} | {loops} | {answered} | {seconds} |", flush=True)
            for served, code, _, report in rounds:
                if (served, code) != (clients, 0):
                    lost = True
                    print(f"LOST {clients - served}, exit code {code}\n{report}")
    print("clients were lost" if lost else "no client was lost")
    return 1 if lost else 0


sys.exit(main())
