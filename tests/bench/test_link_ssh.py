from __future__ import annotations

from pathlib import Path

from edgekit.bench import link


def test_quick(server, tmp_path: Path) -> None:
    board = server.link()
    try:
        path = tmp_path / "a 'file' $(touch x)\n.onnx"
        path.write_bytes(b"x" * 3_000_000)
        there = board.place(path)
        assert Path(there).read_bytes() == path.read_bytes()
        answer = link.ask(board, {"mode": "latency", "runtime": "null"}, 60)
        print(answer["found"])
        print(board.look({"commands": [{"argv": ["uname", "-a"]}], "packages": ["numpy"]}))
        assert server.work()
    finally:
        board.disconnect()
    assert not server.work()
    assert server.connections() == 1


def test_prof(server, tmp_path: Path) -> None:
    import time

    board = server.link()
    t = time.time()
    board.argv(["true"])
    print("begun", time.time() - t)
    t = time.time()
    board.tools()
    print("tools", time.time() - t)
    t = time.time()
    board.look({})
    print("look", time.time() - t)
    t = time.time()
    link.ask(board, {"mode": "baseline", "runtime": "null"}, 60)
    print("ask", time.time() - t)
    t = time.time()
    board.close()
    print("close", time.time() - t)
    t = time.time()
    board.disconnect()
    print("disc", time.time() - t)
    t = time.time()
