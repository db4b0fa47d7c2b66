from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path

from edgekit.bench.links.archive import packed
from edgekit.bench.links.base import FOLDER


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    """Whatever their times, permissions, and the order in which a file system lists them."""
    copy = Path(shutil.copytree(FOLDER, tmp_path / "copy", ignore=shutil.ignore_patterns("__pycache__")))
    for index, path in enumerate(sorted(copy.rglob("*.py"), reverse=True)):
        text = path.read_bytes()
        path.unlink()
        path.write_bytes(text)
        path.chmod(0o600)
        os.utime(path, (index, index))
    assert packed(copy) == packed(FOLDER)


def test_it_holds_the_python_files_alone_and_another_file_makes_another_zip(tmp_path: Path) -> None:
    for name in ("b.py", "a.py", "__pycache__/a.cpython-311.pyc", "in/c.py", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    first = packed(tmp_path)
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.namelist() == ["a.py", "b.py", "in/c.py"] and archive.read("in/c.py") == b"in/c.py"
    (tmp_path / "in" / "c.py").write_text("changed")
    assert packed(tmp_path) != first
