"""Downloading from a real server on loopback that cuts, stalls, redirects, lies and refuses."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edgekit.errors import EdgekitError, EnvironmentRefused
from edgekit.util import download as transfer
from edgekit.util.download import Patience, download
from tests.util.site import CONTENT, HASTY, SHA256, STALLED, Site, part
from tests.util.site import site as site
from tests.util.site import target as target


def refusal(url: str, target: Path, sha256: str | None = SHA256, patience: Patience = HASTY) -> EdgekitError:
    """The error of a download that cannot work: one line of cause, one of remedy, and no file in its place."""
    with pytest.raises(EnvironmentRefused) as caught:
        download(url, target, sha256, patience=patience)
    assert not target.exists()
    assert "\n" not in caught.value.message + caught.value.remedy
    assert target.name in caught.value.message
    return caught.value


def test_a_file_arrives_whole_and_nothing_else_is_left(site: Site, target: Path) -> None:
    told: list[tuple[int, int | None]] = []
    assert download(site.url, target, SHA256[:8], lambda done, total: told.append((done, total))) == SHA256
    assert target.read_bytes() == CONTENT
    assert list(target.parent.iterdir()) == [target]
    assert told[0] == (0, len(CONTENT)) and told[-1] == (len(CONTENT), len(CONTENT)) and told == sorted(told)


def test_a_broken_connection_is_resumed_where_it_broke(site: Site, target: Path) -> None:
    site.cuts = [100_000, 50_000]
    assert download(site.url, target, SHA256, patience=HASTY) == SHA256
    assert [asked.get("Range") for asked in site.log] == [None, "bytes=100000-", "bytes=150000-"]
    assert site.log[1]["If-Range"] == '"one"'


def test_what_arrived_stays_for_the_next_call(site: Site, target: Path) -> None:
    site.cuts = [1000] * HASTY.tries
    error = refusal(site.url, target)
    assert "3 tries" in error.message and "goes on where it stopped" in error.remedy
    assert part(target).stat().st_size == 3000
    assert download(site.url, target, SHA256) == SHA256
    assert site.log[-1]["Range"] == "bytes=3000-"


def test_a_server_without_ranges_begins_anew(site: Site, target: Path) -> None:
    site.ranges, site.cuts = False, [100_000]
    assert download(site.url, target, SHA256, patience=HASTY) == SHA256
    assert site.log[1]["Range"] == "bytes=100000-"


def test_two_versions_of_a_file_are_never_mixed(site: Site, target: Path) -> None:
    site.cuts = [1000] * HASTY.tries
    refusal(site.url, target, None)
    site.content, site.mark = CONTENT[::-1], '"two"'
    download(site.url, target)
    assert target.read_bytes() == CONTENT[::-1]


def test_without_a_mark_and_a_hash_nothing_is_resumed(site: Site, target: Path) -> None:
    site.mark, site.cuts = None, [1000] * HASTY.tries
    refusal(site.url, target, None)
    assert download(site.url, target) == SHA256
    assert "Range" not in site.log[-1]


def test_a_corrupted_file_is_removed_and_said(site: Site, target: Path) -> None:
    site.content = CONTENT[:-1] + b"?"
    error = refusal(site.url, target)
    assert "sha256" in error.message and "removed" in error.message and str(target) in error.remedy
    assert not list(target.parent.iterdir())


def test_a_corrupted_beginning_is_removed_and_the_next_call_works(site: Site, target: Path) -> None:
    part(target).write_bytes(b"?" * 1000)
    assert "removed" in refusal(site.url, target).message
    assert download(site.url, target, SHA256) == SHA256


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_missing_file_is_said_at_once(site: Site, target: Path, status: int) -> None:
    site.statuses = [status]
    error = refusal(site.url, target)
    assert str(status) in error.message and site.url in error.remedy and str(target) in error.remedy
    assert error.exit_code == 7 and len(site.log) == 1


def test_a_busy_server_is_asked_again(site: Site, target: Path) -> None:
    site.statuses = [503, 429]
    assert download(site.url, target, SHA256, patience=HASTY) == SHA256
    site.statuses = [503] * 3
    target.unlink()
    assert "503" in refusal(site.url, target).message


def test_a_stalled_server_is_left_and_asked_for_the_rest(site: Site, target: Path) -> None:
    site.stalls = 1
    assert download(site.url, target, SHA256, patience=STALLED) == SHA256
    assert site.log[1]["Range"] == f"bytes={len(CONTENT) // 2}-"


def test_a_server_that_always_stalls_is_given_up(site: Site, target: Path) -> None:
    site.stalls = STALLED.tries
    assert "stopped sending" in refusal(site.url, target, patience=STALLED).message
    assert part(target).stat().st_size > len(CONTENT) // 2


def test_a_server_that_only_trickles_is_given_up(site: Site, target: Path) -> None:
    site.trickle = True
    assert "bytes per second" in refusal(site.url, target, patience=STALLED).message


def test_a_redirect_is_followed_with_the_range(site: Site, target: Path) -> None:
    site.cuts = [1000]
    assert download(f"{site.address}/moved.bin", target, SHA256, patience=HASTY) == SHA256
    assert site.log[1]["Range"] == "bytes=1000-"


@pytest.mark.parametrize(
    ("location", "where"),
    [
        ("http://localhost:{port}/file.bin", "http://localhost"),
        ("file:///etc/passwd", "file://"),
        ("ftp://127.0.0.1/x", "ftp://127.0.0.1"),
        ("//elsewhere.example/file.bin", "http://elsewhere.example"),
        ("/moved.bin", "in circles"),
    ],
)
def test_no_server_sends_us_where_the_file_is_not_known_to_be(
    site: Site, target: Path, location: str, where: str
) -> None:
    site.location = location.format(port=site.address.rpartition(":")[2])
    assert where in refusal(f"{site.address}/moved.bin", target).message and site.log == []


def test_a_host_that_is_known_may_have_it(site: Site, target: Path) -> None:
    site.location = f"{site.address.replace('127.0.0.1', 'localhost')}/file.bin"
    assert download(f"{site.address}/moved.bin", target, SHA256, hosts=("localhost",)) == SHA256


def test_https_is_not_given_up(target: Path) -> None:
    with pytest.raises(EnvironmentRefused, match="http://a.example"):
        transfer._refuse_move("https://a.example/x", "http://a.example/x", target, ())
    transfer._refuse_move("https://a.example/x", "https://b.example/x", target, ("b.example",))


@pytest.mark.parametrize("sha256", [None, SHA256[:8]])
def test_without_a_whole_hash_the_length_must_be_told(site: Site, target: Path, sha256: str | None) -> None:
    site.length = False
    assert "does not tell how long" in refusal(site.url, target, sha256).message
    assert not part(target).exists()


def test_a_server_that_does_not_end_is_left(site: Site, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_MOST", 100_000)
    site.length = False
    assert "sent more than" in refusal(site.url, target).message
    assert not part(target).exists()


def test_where_nobody_answers_the_file_and_its_place_are_named(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/file.bin"
        error = refusal(url, target)
    assert "cannot be reached" in error.message and "127.0.0.1" in error.message
    assert error.remedy == f"get {url} elsewhere and put it at {target}"


def test_a_web_page_is_not_taken_for_the_file(site: Site, target: Path) -> None:
    site.headers = {"Content-Type": "text/html; charset=utf-8"}
    assert "web page" in refusal(site.url, target, None).message


def test_a_part_that_is_complete_is_only_checked(site: Site, target: Path) -> None:
    part(target).write_bytes(CONTENT)
    assert download(site.url, target, SHA256) == SHA256
    assert len(site.log) == 1


def test_a_part_that_is_too_long_is_begun_anew(site: Site, target: Path) -> None:
    part(target).write_bytes(CONTENT + b"more")
    assert download(site.url, target, SHA256, patience=HASTY) == SHA256


def test_a_server_may_keep_the_length_to_itself(site: Site, target: Path) -> None:
    site.length = False
    totals: set[int | None] = set()
    assert download(site.url, target, SHA256, lambda done, total: totals.add(total)) == SHA256
    assert totals == {None}


def test_bytes_are_kept_as_sent_whatever_their_encoding_is_said_to_be(site: Site, target: Path) -> None:
    site.headers = {"Content-Encoding": "gzip"}
    assert download(site.url, target, SHA256) == SHA256


def test_without_a_hash_an_encoded_body_is_refused(site: Site, target: Path) -> None:
    site.headers = {"Content-Encoding": "gzip"}
    assert "encoded as gzip" in refusal(site.url, target, None).message
    assert not part(target).exists()


@pytest.mark.parametrize(("sha256", "length"), [(SHA256, True), (SHA256, False), (None, True)])
def test_an_empty_body_is_refused(site: Site, target: Path, sha256: str | None, length: bool) -> None:
    site.content, site.length = b"", length
    assert "sent an empty file.bin" in refusal(site.url, target, sha256).message
    assert not part(target).exists()


FULL = """
import resource, signal, sys
from pathlib import Path
from edgekit.util.download import Patience, download
from edgekit.errors import EnvironmentRefused
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
try:
    download(sys.argv[1], Path(sys.argv[2]))
except EnvironmentRefused as error:
    print(error.message, "|", error.remedy)
"""


def test_a_full_disk_is_said_and_what_arrived_is_kept(site: Site, target: Path) -> None:
    command = [sys.executable, "-c", FULL, site.url, str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"no space to write {part(target)}") and "EDGEKIT_CACHE" in done.stdout
    assert not target.exists() and part(target).stat().st_size == 200_000
    assert download(site.url, target, SHA256) == SHA256


def test_more_than_the_disk_holds_is_refused_before_it_begins(site: Site, target: Path) -> None:
    site.length, site.headers = False, {"Content-Length": str(10**17)}
    assert "MB free" in refusal(site.url, target).message
    assert not part(target).exists()


def test_without_requests_its_install_line_is_named(target: Path) -> None:
    code = (
        "import sys; sys.modules['requests'] = None\n"
        "from pathlib import Path\nfrom edgekit.util.download import download\n"
        "from edgekit.errors import BackendMissing\n"
        f"try: download('http://127.0.0.1/x', Path({str(target)!r}))\n"
        "except BackendMissing as error: print(error.remedy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "pip install 'edgekit[export]'\n"
