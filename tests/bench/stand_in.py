"""A stand-in for benchmark_model: it truly runs the file with LiteRT, and prints what the real tool prints.

`tool.json` beside it says which tool it is (classic, litert, old) and what its delegates do.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path

COMMON = ("graph", "num_threads", "num_runs", "min_secs", "max_secs", "warmup_runs", "warmup_min_secs")
FLAGS = {
    "classic": (
        *("use_xnnpack", "use_gpu", "gpu_precision_loss_allowed", "use_nnapi", "report_peak_memory_footprint"),
        *("input_layer", "input_layer_shape", "input_layer_value_files", "output_filepath"),
        "external_delegate_path",
    ),
    "litert": (
        *("use_cpu", "use_gpu", "use_npu", "gpu-precision", "report_peak_memory_footprint", "dispatch_library_path"),
        *("compiler_plugin_library_path", "mediatek_nerun_pilot_version"),
    ),
}


def main() -> int:
    """Run it as the real one is run."""
    wish = json.loads((Path(os.environ["PHONE"]) / "tool.json").read_text())
    kind = wish.get("kind", "classic")
    known = (*COMMON, *FLAGS[kind])
    if "--help" in sys.argv:
        print(f"usage: {sys.argv[0]} <flags>\nFlags:")
        for name in known:
            if name not in wish.get("lacks", ()):
                print(f"\t--{name}=0        \tint32\toptional\tsome words of it")
        return 1 if kind == "classic" else 0
    flags = dict(argument[2:].partition("=")[::2] for argument in sys.argv[1:])
    say("STARTING!")
    strange = [name for name in flags if name not in known or name in wish.get("ignores", ())]
    if strange:
        print("WARNING: Unconsumed cmdline flags: " + " ".join(f"--{name}={flags[name]}" for name in strange))
    say("Log parameter values verbosely: [0]")
    say(f"Num threads: [{flags['num_threads']}]")
    say(f"Graph: [{flags['graph']}]")
    if wish.get("sleep"):
        time.sleep(wish["sleep"])
    if wish.get("fails"):
        print("ERROR: Failed to allocate tensors!\nERROR: Benchmarking failed.")
        return 1
    return run(flags, wish)


def say(text: str) -> None:
    """A line of its log."""
    print(f"INFO: {text}")


def run(flags: dict[str, str], wish: dict[str, object]) -> int:
    """Both loops, and what is told of them."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    start = time.perf_counter()
    resolver = OpResolverType.AUTO if has_xnnpack(flags, wish) else OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    threads = int(flags["num_threads"])
    interpreter = Interpreter(flags["graph"], num_threads=threads, experimental_op_resolver_type=resolver)
    interpreter.allocate_tensors()
    init = (time.perf_counter() - start) * 1e6
    delegates(flags, wish)
    say(f"The input model file size (MB): {Path(flags['graph']).stat().st_size / 1e6:g}")
    say(f"Initialized session in {init / 1000:g}ms.")
    given = dict(pair.rsplit(":", 1) for pair in flags.get("input_layer_value_files", "").split(",") if pair)
    for detail in interpreter.get_input_details():
        value = np.zeros(detail["shape"], detail["dtype"])
        if detail["name"] in given:
            value = np.fromfile(given[detail["name"]], detail["dtype"]).reshape(detail["shape"])
        interpreter.set_tensor(detail["index"], value)
    heats(wish)
    loops = []
    for runs, seconds in (("warmup_runs", "warmup_min_secs"), ("num_runs", "min_secs")):
        count, least = int(flags.get(runs, "1")), float(flags.get(seconds, "0"))
        say(f"Running benchmark for at least {count} iterations and at least {least:g} seconds.")
        times: list[int] = []
        began = time.perf_counter()
        while len(times) < count or time.perf_counter() - began < least:
            before = time.perf_counter_ns()
            interpreter.invoke()
            times.append((time.perf_counter_ns() - before) // 1000)
        print(f"INFO: {line(times, wish.get('kind') != 'old')}\n")
        loops.append(times)
    first, warm, mean = (loops[0] or [0])[0], statistics.fmean(loops[0] or [0]), statistics.fmean(loops[1])
    if wish.get("kind") == "litert":
        here = "[./litert/tools/benchmark_litert_model.h:88]"
        say(f"{here} \n========== BENCHMARK RESULTS ==========")
        say(f"{here} Inference (avg):      {mean / 1000:.2f} ms ({len(loops[1])} runs)")
    else:
        say(
            f"Inference timings in us: Init: {init:.0f}, First inference: {first}, "
            f"Warmup (avg): {warm:g}, Inference (avg): {mean:g}"
        )
    if "output_filepath" in flags:
        answers = [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]
        Path(flags["output_filepath"]).write_bytes(
            b"".join((answer + answer.dtype.type(wish.get("wrong_by", 0))).tobytes() for answer in answers)
        )
    if "report_peak_memory_footprint" in flags:
        say("Overall peak memory footprint (MB) via periodic monitoring: 25.0508")
    return 0


def heats(wish: dict[str, object]) -> None:
    """The phone gets as warm as it is told to."""
    if "heats" in wish:
        (Path(os.environ["PHONE"]) / "heat").write_text(str(wish["heats"]))


def has_xnnpack(flags: dict[str, str], wish: dict[str, object]) -> bool:
    """Whether it was built with XNNPACK, and is to use it."""
    lacks = wish.get("lacks", ())
    assert isinstance(lacks, (list, tuple))
    return flags.get("use_xnnpack") != "false" and "use_xnnpack" not in lacks


def delegates(flags: dict[str, str], wish: dict[str, object]) -> None:
    """What the delegates say that were asked for."""
    taken = wish.get("taken", 5)
    for flag, name, kernel in (
        ("use_gpu", "GPU", "TfLiteGpuDelegateV2"),
        ("use_nnapi", "NNAPI", "TfLiteNnapiDelegate"),
        ("use_npu", "NPU", "DispatchDelegate"),
        ("external_delegate_path", "EXTERNAL", "TfLiteQnnDelegate"),
    ):
        if flags.get(flag, "false") == "false":
            continue
        assert flags[flag] == "true" or Path(flags[flag]).is_file(), flags[flag]
        say(f"Created TensorFlow Lite delegate for {name}.")
        if taken:
            print(
                f"VERBOSE: Replacing {taken} out of 5 node(s) with delegate ({kernel}) node, "
                "yielding 1 partitions for subgraph 0."
            )
            how = "completely" if taken == 5 else "partially"
            say(f"Explicitly applied {name} delegate, and the model graph will be {how} executed by the delegate.")
        else:
            say(f"Though {name} delegate is explicitly applied, the model graph will not be executed by the delegate.")
    if has_xnnpack(flags, wish):
        say("Created TensorFlow Lite XNNPACK delegate for CPU.")


def line(times: list[int], is_new: bool) -> str:
    """Its line of statistics."""
    ordered = sorted(times)
    text = f"count={len(times)}"
    if not times:
        return text
    if len(times) == 1:
        text += f" curr={times[0]}"
    else:
        text += f" first={times[0]} curr={times[-1]} min={ordered[0]} max={ordered[-1]}"
        text += f" avg={statistics.fmean(times):g} std={statistics.pstdev(times):.0f}"
    if is_new:
        low, high = ordered[len(ordered) // 20], ordered[len(ordered) * 19 // 20]
        text += f" p5={low} median={ordered[len(ordered) // 2]} p95={high}"
    return text


if __name__ == "__main__":
    sys.exit(main())
