"""Pass connections on from a socket that another process listens on to adbd, in the network that this process is in.

    python adbd_forward.py LISTENING HELD LIMIT

The first two are descriptors. Like a cable, it breaks every connection and ends when the other end of `HELD`, a pipe,
is closed. It breaks by itself where the file LIMIT is there, when a connection has brought more bytes than stand in it.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from contextlib import suppress
from pathlib import Path

ADBD = ("127.0.0.1", 5555)


def main(listening: int, held: int, limit: Path) -> None:
    """Serve until the pipe ends."""
    server = socket.socket(fileno=listening)
    threading.Thread(target=accept, args=(server, limit), daemon=True).start()
    os.read(held, 1)
    os._exit(0)


def accept(server: socket.socket, limit: Path) -> None:
    """Connect each to adbd."""
    while True:
        here, _ = server.accept()
        try:
            there = socket.create_connection(ADBD)
        except OSError:
            here.close()
            continue
        for ends in ((here, there, limit), (there, here, None)):
            threading.Thread(target=copy, args=ends, daemon=True).start()


def copy(source: socket.socket, target: socket.socket, limit: Path | None) -> None:
    """Copy until the source ends."""
    count = 0
    with suppress(OSError):
        while block := source.recv(1 << 16):
            target.sendall(block)
            count += len(block)
            if limit is not None and limit.exists() and count > int(limit.read_text()):
                os._exit(0)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))
