"""The device's side of adb, over TCP: enough of the protocol for the real adb client and server to talk to.

Messages of six little-endian words and data: CNXN, AUTH, OPEN, OKAY, WRTE, CLSE. Services: shell (also version 2, with
exit codes and stderr apart) and sync (STAT, SEND, RECV). A folder is the file system: /data/local/tmp and /sys of what
is asked lie below it. Commands are run by this machine's sh, with `bin` of that folder first on their PATH.
"""

from __future__ import annotations

import os
import queue
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

VERSION, MAX_DATA = 0x01000001, 1 << 18
PREFIXES = ("/data/local/tmp", "/sys/")
STDIN, STDOUT, STDERR, EXIT, CLOSE_STDIN = range(5)


class Peer:
    """A phone. `trusted` False: it never accepts the computer's key; `silent`: it never says a word.

    Where `most_bytes` is set, it is unplugged when a file that is pushed becomes larger.
    """

    def __init__(
        self, folder: Path, features: str = "shell_v2,cmd,fixed_push_mkdir", trusted: bool = True, silent: bool = False
    ) -> None:
        self.folder, self.features, self.trusted, self.silent = folder, features, trusted, silent
        for name in ("bin", "data/local/tmp", "sys"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.commands: list[str] = []
        self.pushed: list[str] = []
        self.most_bytes: int | None = None
        self._connections: list[Connection] = []
        self._server = socket.create_server(("127.0.0.1", 0))
        self.serial = f"127.0.0.1:{self._server.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, name: str, text: str) -> Path:
        """A program that its shell finds."""
        path = self.folder / "bin" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def inside(self, text: str) -> str:
        """The same with this machine's paths."""
        for prefix in PREFIXES:
            text = text.replace(prefix, f"{self.folder}{prefix}")
        return text

    def unplug(self) -> None:
        """End every connection at once, and take no other."""
        # Closing alone would leave accept() waiting, and with it the port open.
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self._connections:
            connection.end()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._server.accept()
                connection = Connection(self, peer)
                self._connections.append(connection)
                threading.Thread(target=connection.serve, daemon=True).start()


class Connection:
    """One computer's connection, with its streams."""

    def __init__(self, phone: Peer, peer: socket.socket) -> None:
        self._phone, self._peer = phone, peer
        self._lock = threading.Lock()
        self._streams: dict[int, Stream] = {}
        self._next = 1

    def send(self, command: bytes, first: int, second: int, data: bytes = b"") -> None:
        """One message."""
        word = int.from_bytes(command, "little")
        header = struct.pack("<6I", word, first, second, len(data), sum(data) & 0xFFFFFFFF, word ^ 0xFFFFFFFF)
        with self._lock, suppress(OSError):
            self._peer.sendall(header + data)

    def end(self) -> None:
        """Break it."""
        with suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()
        for stream in list(self._streams.values()):
            stream.close()

    def serve(self) -> None:
        """Answer messages until the connection ends."""
        with suppress(OSError, EOFError):
            while True:
                word, first, second, length, _, _ = struct.unpack("<6I", self._read(24))
                self._answer(word.to_bytes(4, "little"), first, second, self._read(length))
        self.end()

    def _read(self, size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = self._peer.recv(size - len(parts))
            if not part:
                raise EOFError
            parts += part
        return parts

    def _answer(self, command: bytes, first: int, second: int, data: bytes) -> None:
        if self._phone.silent:
            return
        if command in (b"CNXN", b"AUTH") and not self._phone.trusted:
            self.send(b"AUTH", 1, 0, bytes(20))
        elif command == b"CNXN":
            name = f"device::ro.product.name=peer;ro.product.model=Peer;features={self._phone.features}"
            self.send(b"CNXN", VERSION, MAX_DATA, name.encode())
        elif command == b"OPEN":
            stream = Stream(self, self._next, first, data.rstrip(b"\0").decode())
            self._streams[self._next] = stream
            self._next += 1
            self.send(b"OKAY", stream.own, first)
            threading.Thread(target=stream.serve, args=(self._phone,), daemon=True).start()
        elif second in self._streams:
            self._streams[second].take(command, data)
            if command == b"CLSE":
                self._streams.pop(second)

    def closed(self, own: int, theirs: int) -> None:
        """A stream that ended from this side."""
        if self._streams.pop(own, None):
            self.send(b"CLSE", own, theirs)


class Stream:
    """One service that the computer has opened."""

    def __init__(self, connection: Connection, own: int, theirs: int, service: str) -> None:
        self.own = own
        self._connection, self._theirs, self._service = connection, theirs, service
        self._inbox: queue.Queue[bytes | None] = queue.Queue()
        self._ready: queue.Queue[bool] = queue.Queue()
        self._writing = threading.Lock()
        self._rest = b""
        self._closed = False

    def take(self, command: bytes, data: bytes) -> None:
        """A message for this stream."""
        if command == b"WRTE":
            self._inbox.put(data)
            self._connection.send(b"OKAY", self.own, self._theirs)
        elif command == b"OKAY":
            self._ready.put(True)
        elif command == b"CLSE":
            self.close()

    def close(self) -> None:
        """No more comes, and nothing more can be written."""
        self._closed = True
        self._inbox.put(None)
        self._ready.put(False)

    def write(self, data: bytes) -> None:
        """Write, and wait until it was taken."""
        for start in range(0, len(data), MAX_DATA // 4):
            with self._writing:
                if self._closed:
                    return
                self._connection.send(b"WRTE", self.own, self._theirs, data[start : start + MAX_DATA // 4])
                if not self._ready.get():
                    self._ready.put(False)
                    return

    def read(self, size: int) -> bytes:
        """So many bytes. Raises EOFError at the end."""
        while len(self._rest) < size:
            part = self._inbox.get()
            if part is None:
                self._inbox.put(None)
                raise EOFError
            self._rest += part
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def serve(self, phone: Peer) -> None:
        """Do what the service's name asks for."""
        kind, _, rest = self._service.partition(":")
        try:
            if kind == "sync":
                Sync(self, phone).serve()
            elif kind.split(",")[0] == "shell":
                self._shell(phone, rest, "v2" in kind.split(","))
        except (EOFError, OSError):
            pass
        self._connection.closed(self.own, self._theirs)

    def _shell(self, phone: Peer, command: str, packets: bool) -> None:
        phone.commands.append(command)
        path = f"{phone.folder / 'bin'}:{os.environ['PATH']}"
        process = subprocess.Popen(
            ["sh", "-c", phone.inside(command)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if packets else subprocess.STDOUT,
            env={"PATH": path, "HOME": str(phone.folder), "PHONE": str(phone.folder)},
            bufsize=0,
        )
        assert process.stdin is not None and process.stdout is not None
        feeding = threading.Thread(target=self._feed, args=(process, packets), daemon=True)
        feeding.start()
        pumps = [self._pump(process.stdout.read, STDOUT, packets)]
        if process.stderr is not None:
            pumps.append(self._pump(process.stderr.read, STDERR, packets))
        for pump in pumps:
            pump.join()
        code = process.wait()
        if packets:
            self.write(struct.pack("<BIB", EXIT, 1, code & 0xFF))
        process.stdout.close()
        if process.stderr is not None:
            process.stderr.close()
        self._inbox.put(None)
        feeding.join(5)

    def _pump(self, read: Callable[[int], bytes], kind: int, packets: bool) -> threading.Thread:
        def pump() -> None:
            while block := read(1 << 14):
                # A phone without the second version gives the shell a terminal, which turns line ends around.
                self.write(struct.pack("<BI", kind, len(block)) + block if packets else block.replace(b"\n", b"\r\n"))

        thread = threading.Thread(target=pump, daemon=True)
        thread.start()
        return thread

    def _feed(self, process: subprocess.Popen[bytes], packets: bool) -> None:
        assert process.stdin is not None
        with suppress(OSError, EOFError), process.stdin:
            while True:
                if not packets:
                    process.stdin.write(self.read(1))
                    continue
                kind, length = struct.unpack("<BI", self.read(5))
                data = self.read(length)
                if kind == CLOSE_STDIN:
                    return
                if kind == STDIN:
                    process.stdin.write(data)


class Sync:
    """The file service."""

    def __init__(self, stream: Stream, phone: Peer) -> None:
        self._stream, self._phone = stream, phone

    def serve(self) -> None:
        """Answer requests until QUIT."""
        while True:
            kind, length = struct.unpack("<4sI", self._stream.read(8))
            name = self._stream.read(length).decode()
            if kind == b"QUIT":
                return
            {b"STAT": self._stat, b"SEND": self._take, b"RECV": self._give}[kind](name)

    def _path(self, name: str) -> Path:
        return Path(self._phone.inside(name))

    def _stat(self, name: str) -> None:
        info = self._path(name).stat() if self._path(name).exists() else None
        values = (info.st_mode, info.st_size, int(info.st_mtime)) if info else (0, 0, 0)
        self._stream.write(struct.pack("<4s3I", b"STAT", *values))

    def _take(self, name: str) -> None:
        path, _, _ = name.rpartition(",")
        self._phone.pushed.append(path)
        data = b""
        while True:
            kind, length = struct.unpack("<4sI", self._stream.read(8))
            if kind == b"DONE":
                break
            data += self._stream.read(length)
            if self._phone.most_bytes is not None and len(data) > self._phone.most_bytes:
                self._phone.unplug()
        try:
            self._path(path).parent.mkdir(parents=True, exist_ok=True)
            self._path(path).write_bytes(data)
        except OSError as error:
            said = f"couldn't create file: {error.strerror}".encode()
            self._stream.write(struct.pack("<4sI", b"FAIL", len(said)) + said)
            return
        self._stream.write(struct.pack("<4sI", b"OKAY", 0))

    def _give(self, name: str) -> None:
        data = self._path(name).read_bytes()
        for start in range(0, len(data), 1 << 16):
            block = data[start : start + (1 << 16)]
            self._stream.write(struct.pack("<4sI", b"DATA", len(block)) + block)
        self._stream.write(struct.pack("<4sI", b"DONE", 0))
