"""What a folder of images holds that is not read is counted by its kind."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgekit.data.folder import passed_over
from edgekit.data.images import find
from edgekit.errors import UsageError


def filled(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("a.jpg", "b.JFIF", "notes.txt", ".hidden", "Thumbs.db"), None),
        (
            ("a.jpg", "b.avif", "c.AVIF", "d.heic"),
            "3 files and folders are passed over in set: .avif 2, .heic 1;",
        ),
        (("cat/a.jpg", "cat/b.avif", "dog/more/c.jpg", "d"), ".avif 1, deeper folder 1, no suffix 1"),
        (("a.avif", "labels.csv"), None),  # says itself which files count
    ],
)
def test_kinds_are_counted(names: tuple[str, ...], told: str | None, tmp_path: Path) -> None:
    found = passed_over(filled(tmp_path / "set", *names))
    assert found == () if told is None else told in found[0]


def test_a_link_that_leads_nowhere_is_counted(tmp_path: Path) -> None:
    try:
        (filled(tmp_path, "a.jpg") / "b.jpg").symlink_to(tmp_path / "gone.jpg")
    except OSError:
        pytest.skip("this system makes no links")
    assert "broken link 1" in passed_over(tmp_path)[0]
    assert [sample.name for sample in find(tmp_path)] == ["a.jpg"]


def test_a_folder_without_images_says_what_it_has_instead(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds no images; 1 file or folder is passed over in .*: \.avif 1"):
        find(filled(tmp_path, "a.avif"))
    assert passed_over(tmp_path / "a.avif") == ()
