"""What a person is shown of a sweep that runs: a row for each machine."""

from __future__ import annotations

from edgekit.sweeps.board import Row, board
from edgekit.sweeps.jobs import EXPORT, LATENCY, Needs, Task
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.scheduler import AWAY, DONE, Scheduler


def test_each_machine_has_a_row_with_its_job_and_its_time() -> None:
    addresses = {"local": "local", "pi": "ssh pi", "same": "ssh pi", "other": "ssh other", "far": "ssh far"}
    tasks = [Task(f"e{n}", EXPORT, f"net{n}", Needs(processors=1), seconds=5.0) for n in range(5)]
    tasks += [
        Task(name, LATENCY, f"{name} file", Needs(devices=(name,)), seconds=10.0) for name in ("local", "pi", "far")
    ]
    plan = Scheduler(tasks, addresses, 5, 10**9, Patience(2.0, never_seen=1))
    starts = {start.task.key: start for start in plan.start(0.0)}
    plan.ended(starts["far"], AWAY, 1.0)
    assert board(plan, addresses, "this machine", 2.0) == [
        Row("this machine", EXPORT, "net0, net1, net2 and 2 more", None),
        Row("local", "waits for exports", None, None),
        Row("pi", "measuring", "pi file", 8.0),
        Row("other", "idle", None, None),
        Row("far", "does not answer", None, 1.0),
    ]
    (again,) = plan.start(3.0)
    plan.ended(again, AWAY, 3.0)
    for start in starts.values():
        plan.ended(start, DONE, 4.0)
    (here,) = plan.start(4.0)
    assert here.device == "local"
    assert [row.state for row in board(plan, addresses, "this machine", 5.0)] == [
        "measuring",
        "idle",
        "idle",
        "given up",
    ]
