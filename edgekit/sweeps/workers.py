"""An executor of fresh Python processes, for work that is heavy enough to have one of its own.

`ProcessPoolExecutor` runs the caller's script again in every worker, gives up all its work when one process dies, and
leaves its processes behind when it is killed. These workers import what their work needs and nothing else; one that
dies takes only its own piece of work along; and all go as soon as this process goes, however that happens.
"""

from __future__ import annotations

import os
import pickle
import queue
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import IO, Any, TypeVar

from edgekit.bench.links import stopping
from edgekit.bench.ondevice.footprint import MEMINFO, kilobytes
from edgekit.util.formatting import escaped

T = TypeVar("T")
_LENGTH = struct.Struct("!Q")
# A worker imports from where this process does, and not from the folder that it is started in, where anything may be
# called like a module.
WORKER = """
import sys
sys.path[:] = sys.argv[1:]
from edgekit.sweeps.workers import serve
serve()
"""


class Workers(Executor):
    """Runs functions of modules in `count` processes, which share the processors among them.

    A future raises BrokenExecutor where its process died, and what the function raised where that was so.
    """

    def __init__(self, count: int) -> None:
        self._threads = ThreadPoolExecutor(count)
        self._own = threading.local()
        self._lock = threading.Lock()
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._environment = dict(os.environ)
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
            self._environment.setdefault(name, str(max(1, processors() // count)))

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Return the future of `fn(*args, **kwargs)`; all of them, and the result, must be possible to pickle.

        Where the thread that submits it works for a command that ends (edgekit.bench.links.stopping), the process that
        does it is killed.
        """
        return self._threads.submit(copy_context().run, self._call, fn, args, kwargs)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: when all work is done where `wait`, else at once."""
        self._threads.shutdown(wait, cancel_futures=cancel_futures or not wait)
        with self._lock:
            ending, self._processes = self._processes, set()
        for process in ending:
            process.kill()
        self._threads.shutdown()  # each thread hears that its process is gone
        for process in ending:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with suppress(BrokenPipeError):
                        stream.close()

    def _call(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        process = self._process()
        assert process.stdin is not None and process.stdout is not None
        try:
            with stopping.lent(process):
                _send(process.stdin, (fn, args, kwargs))
                done, value = _receive(process.stdout)
        except (OSError, EOFError) as error:
            process.kill()
            self._own.process = None
            raise BrokenExecutor(f"a worker ended with {process.wait()}") from error
        if done:
            result: T = value
            return result
        raise value

    def _process(self) -> subprocess.Popen[bytes]:
        process: subprocess.Popen[bytes] | None = getattr(self._own, "process", None)
        if process is None or process.poll() is not None:
            # A session of its own: Ctrl-C comes to us, and we end it.
            process = subprocess.Popen(
                [sys.executable, "-c", WORKER, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
            )
            self._own.process = process
            with self._lock:
                self._processes.add(process)
        return process


def processors() -> int:
    """Return how many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory() -> int:
    """How many bytes this machine can still give to processes; where that is not told, as if there were no limit."""
    available = kilobytes(MEMINFO, "MemAvailable:")
    return sys.maxsize if available is None else available


def _send(stream: IO[bytes], value: Any) -> None:
    content = pickle.dumps(value)
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def _receive(stream: IO[bytes]) -> Any:
    head = stream.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(head)
    content = stream.read(length)
    if len(content) < length:
        raise EOFError
    return pickle.loads(content)


def serve() -> None:
    """In a worker: do what comes on stdin, one thing after the other, until it ends."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print must not come between the answers
    work: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(work,), daemon=True).start()
    while True:
        fn, args, kwargs = work.get()
        try:
            answer = (True, fn(*args, **kwargs))
        except BaseException as error:
            answer = (False, error)
        with suppress(BrokenPipeError):
            try:
                _send(answers, answer)
            except (pickle.PicklingError, TypeError, AttributeError) as error:
                _send(answers, (False, RuntimeError(f"an answer cannot be sent: {error}")))


def _listen(work: queue.SimpleQueue[Any]) -> None:
    """Take work in, and end this process as soon as nobody is there any more to send some."""
    try:
        while True:
            work.put(_receive(sys.stdin.buffer))
    except EOFError:
        os._exit(0)
    except BaseException as error:
        print(escaped(f"a worker cannot understand its work: {error}"), file=sys.stderr, flush=True)
        os._exit(1)
