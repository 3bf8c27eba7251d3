"""A server that loses requests in a known way when it gets a SIGTERM: losing.py MODE HOST PORT. `run --self-check` runs it.

It serves one connection at a time. On SIGTERM it closes its listener while it holds a connection, and then:

| mode | what it does | what the client sees |
|---|---|---|
| queue | closed the listener while other connections waited in the accept queue | a reset |
| unread | closes the connection without reading the request | a reset |
| silent | reads the request and closes the connection | the end of the stream, and no answer |
| clean | answers the request; its only client has no other connection | the answer, then refused connections |
"""

import contextlib
import signal
import socket
import sys
import time


def main(mode: str, host: str, port: str) -> None:
    stopping = []
    # `accept` goes on after the signal. The load's next connection ends it.
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    listener = socket.create_server((host, int(port)), backlog=512)
    print("listening on", host, port, flush=True)
    last = False
    while not last:
        connection, _ = listener.accept()
        # The request arrives in this time. Many clients are faster, so the queue is not empty.
        time.sleep(0.005)
        last = bool(stopping)
        if last:
            listener.close()
        # A client that is gone is no business of this server.
        with contextlib.suppress(OSError):
            if not (last and mode == "unread"):
                connection.recv(65536)
            if not (last and mode in ("unread", "silent")):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")
                connection.shutdown(socket.SHUT_WR)
                connection.recv(65536)
        connection.close()


main(*sys.argv[1:])
