"""The phone's benchmark_model: brought there, recognized, and run on the processors that were asked for."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekit.bench.android import benchmark_model, delegates, dumpsys
from edgekit.bench.android.benchmark_model import CLASSIC, Log, Tool
from edgekit.bench.android.delegates import PARTIAL
from edgekit.bench.links.adb import AdbLink
from edgekit.bench.links.base import Done
from edgekit.device.android_check import IDENTITY, NAME, PART, STATE, Prepared, machine, parts, program
from edgekit.device.config import AdbDevice
from edgekit.errors import BackendMissing, EdgekitError, EnvironmentRefused, UsageError
from edgekit.util.files import file_sha256

LOOP = "Running benchmark for at least"
NOT_RUN = ("not executable", "Exec format error", "cannot execute", "syntax error", "CANNOT LINK")


def state(link: AdbLink) -> tuple[dumpsys.Thermal, dumpsys.Battery, tuple[dumpsys.Policy, ...]]:
    """Return how warm the phone is, its battery, and its groups of processors."""
    heat, battery, clocks = parts(link, STATE)
    return dumpsys.thermal(heat), dumpsys.battery(battery), dumpsys.frequencies(clocks)


class PhoneTool:
    """benchmark_model on one phone. Nothing is brought there before it is used."""

    def __init__(self, device: AdbDevice, link: AdbLink) -> None:
        self._device, self._link = device, link
        self._groups: tuple[dumpsys.Policy, ...] | None = None
        self._tool: Prepared | None = None

    def flags(self, job: Mapping[str, Any]) -> dict[str, object]:
        """Return the file, the threads and the delegate."""
        try:
            chosen = delegates.delegate_flags(self.prepared()[0], job["delegate"])
            if _is_npu(job):
                chosen = {**chosen, **self._npu(self.prepared()[0])}
        except ValueError as error:
            raise BackendMissing(f"{self._link.name}: {error}", "choose another --delegate") from error
        return {"graph": self._link.place(Path(job["artifact"])), "num_threads": job["threads"], **chosen}

    def _npu(self, tool: Tool) -> dict[str, str]:
        """The flags for the maker's libraries, and the user's own. Raises ValueError where the tool needs another."""
        named, own = self._device.npu_libraries, dict(_pair(flag) for flag in self._device.npu_flags)
        if named is None and tool.kind == CLASSIC:
            raise BackendMissing(
                f"devices.yaml names no npu_libraries for {self._link.name}",
                "name the folder with the chip maker's delegate for TFLite",
            )
        if named is None:
            return own
        folder = Path(named).expanduser()
        files = sorted(path for path in folder.glob("*") if path.is_file())
        if not files:
            raise BackendMissing(
                f"{folder}, the npu_libraries of {self._link.name}, has no file", "correct devices.yaml"
            )
        found = delegates.npu_flags(tool, f"{self._link.work}/npu", [path.name for path in files])
        self._bring(files)
        return {**found, **own}

    def _bring(self, files: Sequence[Path]) -> None:
        """Have libraries in one folder there, under their own names."""
        there = f"{self._link.work}/npu"
        links = [f"ln -sf {self._link.place(path)} {shlex.quote(f'{there}/{path.name}')}" for path in files]
        done = self._link.run("; ".join([f"mkdir -p {there}", *links]))
        if done.code:
            raise EnvironmentRefused(
                f"{self._link.name} refuses {there}: {done.stderr.strip()[-200:]}", "free some there"
            )

    def run(self, flags: Mapping[str, object], seconds: float, job: Mapping[str, Any]) -> Log:
        """Return the log of one process with these flags.

        Raises BackendMissing where the tool does not know one, or fails.
        """
        done = self._link.tended(f"{self._begin(job)} exec {self._command(flags, job)} 2>&1", seconds)
        if done.code:
            raise self._failed(done)
        return benchmark_model.parse(done.stdout.decode(errors="replace"))

    def each(self, flags: Mapping[str, object], seconds: float, job: Mapping[str, Any]) -> list[Log]:
        """Run a process for each folder in `batches` there, which it finds as `batch`; return their logs.

        What each writes to `answer` is added to `answers`.
        """
        script = (
            f"{self._begin(job)} : > answers; for b in batches/*; do rm -f batch; ln -s $b batch; "
            f"{self._command(flags, job)} 2>&1 || exit; "
            f"cat answer >> answers && rm answer || exit; echo; echo {PART}; done"
        )
        done = self._link.tended(script, seconds)
        logs = done.stdout.decode(errors="replace").split(f"\n{PART}\n")
        if done.code:
            raise self._failed(Done(done.code, logs[-1].encode(), done.stderr))
        return [benchmark_model.parse(log + "\n") for log in logs[:-1]]

    def watched(self, flags: Mapping[str, object], seconds: float, job: Mapping[str, Any]) -> tuple[Log, str]:
        """Return the log of a run, and what `dumpsys meminfo` says meanwhile.

        That stalls it: its times do not count.
        """
        script = (
            f"{self._begin(job)} : > log; {self._command(flags, job)} > log 2>&1 & p=$!; "
            # The second loop is the measured one: by then all is loaded.
            f"while kill -0 $p 2>/dev/null && [ $(grep -c '{LOOP}' log) -lt 2 ]; do sleep 0.1; done; "
            f"dumpsys meminfo $p > meminfo 2>/dev/null; wait $p; rc=$?; cat log; echo; echo {PART}; cat meminfo; "
            "(exit $rc)"
        )
        done = self._link.tended(script, seconds)
        log, _, rest = done.stdout.decode(errors="replace").partition(f"\n{PART}\n")
        if done.code:
            raise self._failed(Done(done.code, log.encode(), done.stderr))
        return benchmark_model.parse(log + "\n"), rest

    def _begin(self, job: Mapping[str, Any]) -> str:
        """Where the tool begins, and what it finds there."""
        folder = f"{self._link.work}/npu"
        own = f"export LD_LIBRARY_PATH={folder} ADSP_LIBRARY_PATH={folder}; " if _is_npu(job) else ""
        return f"cd {self._link.work} || exit 1; {own}export LC_ALL=C;"

    def _command(self, flags: Mapping[str, object], job: Mapping[str, Any]) -> str:
        tool, there, _ = self.prepared()
        try:
            arguments = benchmark_model.arguments(tool, flags)
        except ValueError as error:
            raise BackendMissing(f"{self._link.name}: {error}", "take a newer one") from error
        chosen = self._chosen(int(job["threads"]))
        affinity = ["taskset", dumpsys.mask(chosen)] if chosen else []
        return shlex.join([*affinity, there, *arguments])

    def _failed(self, done: Done) -> EdgekitError:
        text, name = done.stdout.decode(errors="replace"), self._link.name
        log = benchmark_model.parse(text + "\n")
        last = next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")
        why = log.errors[0] if log.errors else last[:200]
        if done.code in (126, 127) or any(sign in text for sign in NOT_RUN):
            return BackendMissing(
                f"{name} cannot run this {NAME}: {why}", "name one that was built for it in devices.yaml"
            )
        if done.code == 137:
            return EnvironmentRefused(f"{NAME} was killed on {name}", "see whether memory ran out there")
        return BackendMissing(
            f"{NAME} failed on {name} (exit code {done.code}): {why}", "try another --delegate or file"
        )

    def prepared(self) -> Prepared:
        """Return the tool, brought there and recognized by what it says of its flags."""
        if self._tool is None:
            path = program(self._device, self._link)
            abis = dumpsys.identity(dumpsys.properties(parts(self._link, IDENTITY[:1])[0])).abis
            built = machine(path)
            if built is not None and abis and built not in abis:
                raise BackendMissing(
                    f"{path} is built for {built}, and {self._link.name} runs {', '.join(abis)}",
                    f"name one built for {abis[0]} in devices.yaml",
                )
            there = self._link.place(path)
            done = self._link.run(f"{shlex.quote(there)} --help 2>&1")
            tool = benchmark_model.recognize(done.stdout.decode(errors="replace"))
            if tool is None and (done.code in (126, 127) or any(sign in str(done.stdout) for sign in NOT_RUN)):
                raise self._failed(done)
            if tool is None:
                raise BackendMissing(
                    f"{path} is no {NAME}: it does not list its flags", "name the right file in devices.yaml"
                )
            self._tool = tool, there, file_sha256(path)
        return self._tool

    def policies(self) -> tuple[dumpsys.Policy, ...]:
        """Return the groups of processors; they do not change."""
        if self._groups is None:
            self._groups = state(self._link)[2]
        return self._groups

    def _chosen(self, threads: int) -> tuple[int, ...]:
        """The processors to run on; none for all of them."""
        wish = self._device.cores
        if wish in (None, "all"):
            return ()
        found = dumpsys.cluster(self.policies(), str(wish))
        if found is None:
            raise BackendMissing(
                f"{self._link.name} does not tell {wish} processors from others", "write `cores: all` into devices.yaml"
            )
        if threads > len(found):
            raise UsageError(
                f"{self._link.name} has {len(found)} {wish} processors, and --threads is {threads}",
                f"give --threads {len(found)} at most",
            )
        return found


def _is_npu(job: Mapping[str, Any]) -> bool:
    return (job["delegate"] or "").removesuffix(PARTIAL) == "npu"


def _pair(flag: str) -> tuple[str, str]:
    name, _, value = flag.partition("=")
    return name, value
