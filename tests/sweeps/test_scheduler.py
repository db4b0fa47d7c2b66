"""Which job runs where and when, under a clock that the test turns."""

from __future__ import annotations

from collections import Counter

import pytest

from edgekit.sweeps.jobs import ACCURACY, EXPORT, LATENCY, Needs, Start, Task
from edgekit.sweeps.queues import Patience
from edgekit.sweeps.scheduler import AWAY, BROKEN, DONE, LOST, Scheduler
from tests.sweeps.simulated import GIGABYTE, Lab, jobs


def latency(key: str, *devices: str, after: tuple[str, ...] = (), group: str = "", seconds: float = 10.0) -> Task:
    return Task(key, LATENCY, key, Needs(devices=devices), after, group, seconds)


def export(key: str, processors: int = 1, memory: int = GIGABYTE, alone: bool = False) -> Task:
    return Task(key, EXPORT, key, Needs(processors=processors, memory=memory, alone=alone), seconds=2.0)


def of(*tasks: Task, processors: int = 2, patience: Patience | None = None, **names: str) -> Scheduler:
    devices = {name: name for task in tasks for name in task.needs.devices} | names
    return Scheduler(tasks, devices, processors, 4 * GIGABYTE, patience)


def keys(starts: list[Start]) -> list[str]:
    return [one.task.key if one.device is None else f"{one.task.key}@{one.device}" for one in starts]


def test_all_devices_at_once_and_one_job_on_each() -> None:
    plan = of(latency("a", "x"), latency("b", "y"), latency("c", "x"), latency("d", "z"))
    first = plan.start(0)
    assert sorted(keys(first)) == ["a@x", "b@y", "d@z"] and plan.start(1) == []
    plan.ended(first[0], DONE, 10)
    assert keys(plan.start(10)) == ["c@x"] and plan.left == 3
    assert [plan.at_work(address)[0].key for address in "xyz"] == ["c", "b", "d"]


def test_two_names_of_one_machine_are_one_device() -> None:
    plan = Scheduler([latency("a", "x"), latency("b", "y")], {"x": "ssh board", "y": "ssh board"}, 2, GIGABYTE)
    assert keys(plan.start(0)) == ["a@x"] and plan.start(1) == []


def test_this_machine_exports_then_measures_then_judges_and_others_need_not_wait() -> None:
    judge = Task("j", ACCURACY, "j", Needs(processors=1), ("e1",))
    tasks = (export("e1"), export("e2"), latency("here", "local", after=("e1",)), latency("far", "x", after=("e1",)))
    plan = of(*tasks, judge, latency("there", "x"))
    one, two, there = plan.start(0)
    assert keys([one, two, there]) == ["e1", "e2", "there@x"]
    plan.ended(there, DONE, 1)
    plan.ended(one, DONE, 2)
    (far,) = plan.start(2)
    assert keys([far]) == ["far@x"], "one export still runs: this machine does not measure"
    plan.ended(two, DONE, 3)
    (here,) = plan.start(3)
    assert keys([here]) == ["here@local"] and plan.start(4) == []
    plan.ended(here, DONE, 5)
    assert keys(plan.start(5)) == ["j"]


def test_networks_take_turns() -> None:
    plan = of(*(latency(f"{group}{index}", "x", group=group) for group in "ab" for index in range(3)))
    order = []
    for _ in range(6):
        (one,) = plan.start(0)
        order.append(one.task.key)
        plan.ended(one, DONE, 0)
    assert order == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_what_only_one_device_can_do_comes_before_what_its_twins_can_do() -> None:
    plan = of(latency("any", "x", "y"), latency("own", "x"))
    assert sorted(keys(plan.start(0))) == ["any@y", "own@x"]


def test_a_device_that_goes_away_frees_its_job_for_a_twin_and_is_asked_again_later_and_later() -> None:
    plan = of(latency("a", "x", "y"), latency("b", "y"), patience=Patience(2.0, 5.0, never_seen=4))
    a, b = plan.start(0)
    assert keys([a, b]) == ["a@x", "b@y"] or keys([b, a]) == ["a@x", "b@y"]
    a, b = sorted((a, b), key=lambda one: one.task.key)
    plan.ended(a, AWAY, 0, "no route")
    assert plan.start(0) == [] and plan.next_time() == 2.0
    plan.ended(b, DONE, 1)
    assert keys(plan.start(1)) == ["a@y"]


@pytest.mark.parametrize(("alone", "times"), [(9, [0.0, 2.0, 6.0, 11.0, 16.0]), (2, [0.0, 2.0, 6.0]), (0, [0.0])])
def test_a_device_that_never_answers_is_given_up_sooner_where_nothing_else_is_waited_for(
    alone: int, times: list[float]
) -> None:
    plan = of(latency("a", "x"), patience=Patience(2.0, 5.0, never_seen=4, alone=alone))
    now, asked = 0.0, []
    while plan.left:
        for one in plan.start(now):
            asked.append(now)
            plan.ended(one, AWAY, now, "no route")
        assert not plan.start(now)
        now = plan.next_time() or now
    (end,) = plan.over()
    assert asked == times and (end.outcome, end.why, end.attempts) == (AWAY, "no route", len(times))


def test_while_another_device_works_or_may_come_back_one_that_never_answers_is_asked_again() -> None:
    plan = of(latency("a", "x"), latency("b", "y"), patience=Patience(2.0, never_seen=9, alone=0))
    absent, other = sorted(plan.start(0), key=lambda one: one.task.key)
    plan.ended(absent, AWAY, 0, "no route")
    assert not plan.start(1) and plan.left == 2, "y works"
    plan.ended(other, LOST, 1, "gone")
    assert not plan.start(1.5) and plan.left == 2, "y may come back"
    for one in sorted(plan.start(5), key=lambda one: one.task.key):
        plan.ended(one, DONE if one.device == "y" else AWAY, 6, "no route")
    assert not plan.start(6) and plan.left == 0
    assert {end.task.key: end.outcome for end in plan.over()} == {"a": AWAY, "b": DONE}


def test_accuracies_begin_when_this_machine_is_given_up() -> None:
    plan = of(
        latency("a", "local"),
        Task("acc", ACCURACY, "acc", Needs(processors=1)),
        patience=Patience(2.0, alone=0),
        local="local",
    )
    (one,) = plan.start(0)
    plan.ended(one, AWAY, 0, "no route")
    assert keys(plan.start(0)) == ["acc"]


def test_a_job_with_which_devices_go_away_is_its_own_fault_and_the_device_goes_on() -> None:
    lab = Lab(2, deadly=frozenset({"j3"}))
    ends = {end.task.key: end for end in lab.run(list(jobs(20, lab)))}
    assert ends["j3"].outcome == LOST and ends["j3"].attempts >= 2
    assert all(end.outcome == DONE for key, end in ends.items() if key != "j3")


def test_a_job_that_fails_is_tried_on_twins_and_a_device_that_fails_alone_is_told_apart() -> None:
    pool = tuple(f"d{index}" for index in range(5))
    tasks = [latency(f"j{index}", *pool) for index in range(60)]
    lab = Lab(5, broken=frozenset({"j0"}), bad=frozenset({"d4"}))
    ends = {end.task.key: end for end in lab.run(tasks)}
    assert ends["j0"].outcome == BROKEN and ends["j0"].attempts == 3
    assert all(end.outcome == DONE for key, end in ends.items() if key != "j0")
    assert lab.ran["d4"] == 0 and sum(lab.begun.values()) < 60 + 2 + 20, "the bad device pauses"
    (alone,) = Lab(1, broken=frozenset({"j0"})).run([latency("j0", "d0")])
    assert (alone.outcome, alone.attempts) == (BROKEN, 1), "without a twin it is tried once"


def test_what_waits_for_a_job_that_failed_can_be_dropped() -> None:
    plan = of(export("e"), latency("a", "x", after=("e",)))
    (one,) = plan.start(0)
    plan.drop("a")
    plan.ended(one, DONE, 1)
    assert plan.left == 0 and [end.task.key for end in plan.over()] == ["e"] and plan.start(1) == []


def test_what_an_earlier_attempt_tells_changes_nothing() -> None:
    plan = of(latency("a", "x"), patience=Patience(0.0))
    (first,) = plan.start(0)
    plan.ended(first, LOST, 1)
    (second,) = plan.start(1)
    plan.ended(first, DONE, 2)
    assert plan.left == 1
    plan.ended(second, DONE, 3)
    plan.ended(second, DONE, 4)
    assert plan.left == 0 and len(plan.over()) == 1


def test_what_is_left_goes_by_the_busiest_device_and_by_what_jobs_took() -> None:
    plan = of(*(latency(f"x{index}", "x") for index in range(4)), latency("y", "y"), latency("p", "x", "y"))
    assert plan.seconds_left() == 45.0
    one, two = plan.start(0)
    plan.ended(one, DONE, 30)
    plan.ended(two, DONE, 30)
    assert 35 < plan.seconds_left() < 35 * 3


def test_a_job_that_overruns_its_guess_lengthens_what_is_left() -> None:
    plan = of(export("e"), latency("a", "x", after=("e",)), latency("b", "y"))
    plan.start(0)
    assert [(task.key, seconds) for task, seconds in plan.running(700)] == [("e", 700), ("b", 700)]
    assert plan.seconds_left() >= 700


@pytest.mark.parametrize("seed", range(3))
def test_no_job_is_lost_or_done_twice_and_no_device_idles_while_devices_come_and_go(seed: int) -> None:
    lab = Lab(40, seed, leave=0.02, fail=0.02, dead=frozenset({"d0"}), patience=Patience(never_seen=3, seen=40))
    tasks = list(jobs(1500, lab, exports=30))
    ends = lab.run(tasks, look=True)
    assert Counter(end.task.key for end in ends) == Counter(task.key for task in tasks)
    assert sum(lab.ran.values()) == sum(end.outcome == DONE for end in ends)
    only_dead = {task.key for task in tasks if task.needs.devices == ("d0",)}
    assert {end.task.key for end in ends if end.outcome == AWAY} == only_dead
    assert lab.idle == [] and all(lab.ran[name] > 0 for name in lab.names if name != "d0")


def test_a_whole_laboratory() -> None:
    lab = Lab(1000, leave=0.01, fail=0.01, dead=frozenset({"d7"}))
    tasks = list(jobs(10_000, lab, exports=100))
    ends = lab.run(tasks)
    assert len(ends) == len({end.task.key for end in ends}) == len(tasks)
    assert all(lab.ran[name] > 0 for name in lab.names if name != "d7") and lab.ran["d7"] == 0
