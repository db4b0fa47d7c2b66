"""No output of any command tells the password of a store, wherever the store was given."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from pathlib import Path

import pytest

from edgekit.cli.app import command
from edgekit.cli.failure import describe, tell
from edgekit.cli.output import write
from edgekit.errors import EdgekitError, UsageError
from edgekit.redact import redacted, redacted_url, without_password_of
from edgekit.storage.store import Store, open_store
from tests.comparison.records import BASE, NEW, record

SECRET = "s3cret"
NOWHERE = f"postgresql+psycopg://ann:{SECRET}@/edgekit?host=/nowhere"
# Each opens to a different refusal: no server, no driver, no number as port, an @ that should be %40, no such dialect.
REFUSED = (
    NOWHERE,
    f"postgresql+psycopg://db/edgekit?host=/nowhere&user=ann&password={SECRET}",
    f"mysql+nodriver://ann:{SECRET}@db/edgekit",
    f"postgresql+psycopg://ann:{SECRET}@db:port/edgekit",
    f"postgresql+psycopg://ann:a@{SECRET}@db/edgekit",
    f"postgresql+psycopg://ann:%73{SECRET[1:]}@/edgekit?host=/nowhere",
    f"nothing://ann:{SECRET}@db",
    f"nothing://ann:a b{SECRET}\n{SECRET}c@db",
    f"mssql+nodriver:///?odbc_connect=DRIVER%3D%7BX%7D%3BUID%3Dann%3BPWD%3D{SECRET}%3BSERVER%3Ddb",
    f"mssql+nodriver:///?odbc_connect=UID=ann;Pwd={{a b {SECRET};c}};SERVER=db",
)
COMMANDS = {
    "bench": ("bench", "tiny.onnx", "--preset", "quick"),
    "eval": ("eval", "tiny.onnx", "--data", "images"),
    "report": ("report", "--format", "csv"),
    "compare": ("compare", "latest", "latest"),
    "choose": ("choose",),
    "merge": ("store", "merge", "theirs.db"),
    "list": ("store", "list"),
    "rm": ("store", "rm", "--latest", "1"),
    "doctor": ("doctor",),
    "sweep": ("sweep", "lenet5", "--format", "onnx", "--precision", "fp32", "--export-only", "--dry-run"),
    "reproduce": ("reproduce", "zoo"),
}
# Where a URL does not belong, or is all that is wrong.
MISPLACED = {
    "as a file": ("bench", NOWHERE),
    "as a file to merge": ("store", "merge", NOWHERE),
    "as a file to export to": ("store", "export", NOWHERE, "--store", "theirs.db"),
    "as an id": ("store", "show", NOWHERE, "--store", "theirs.db"),
    "as both sides": ("compare", NOWHERE, NOWHERE),
    "one slash too few": ("compare", NOWHERE.replace("://", ":/"), "latest"),
    "one argument too many": ("compare", "latest", "latest", NOWHERE),
    "as a file that was measured": ("compare", f"{NOWHERE}.onnx".replace("://", ":/"), "latest"),
    "as an option": ("report", f"--stor={NOWHERE}"),
    "with a new line": ("compare", NOWHERE.replace(SECRET, f"a\n{SECRET} {SECRET}"), "latest"),
    "as a report": ("report", "--store", "theirs.db", "--format", "csv", "--out", NOWHERE),
    "as a report of three formats": ("report", "--store", "theirs.db", "--format", "csv,md", "--out", f"{NOWHERE}/r"),
    "as a folder of pictures": ("report", "--store", "theirs.db", "--format", "md", "--assets", NOWHERE),
    "as a folder of files": ("export", "lenet5", "--format", "onnx", "--out", NOWHERE),
    "as a folder of a sweep": ("sweep", "lenet5", "--format", "onnx", "--export-only", "--out", NOWHERE),
    "as a folder of a demonstration": ("demo", "--out", NOWHERE),
    "as a pipeline's file": ("compare", "latest", "latest", "--store", "theirs.db", "--junit", NOWHERE),
}


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))  # where a traceback would go
    monkeypatch.delenv("EDGEKIT_STORE", raising=False)
    Store("theirs.db").append(record())
    return tmp_path


def said(*arguments: str) -> str:
    """All that a command says and writes; in this process, because importing everything again takes seconds."""
    out, told = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(told):
        try:
            outcome = command(list(arguments))
            assert outcome is not None
            write(outcome, "--json" in arguments, out)
        except BaseException as error:
            tell(describe(error, list(arguments)), None)
    written = [path.read_text("utf-8", "replace") for path in Path().rglob("*") if path.is_file()]
    return "\n".join((out.getvalue(), told.getvalue(), *written))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_store_that_cannot_be_opened(
    name: str, tiny_onnx: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny_onnx()
    monkeypatch.setenv("EDGEKIT_STORE", NOWHERE)
    assert SECRET not in said(*COMMANDS[name]) + said(*COMMANDS[name], "--json")


@pytest.mark.parametrize("name", MISPLACED)
def test_a_store_where_none_belongs(name: str) -> None:
    told = said(*MISPLACED[name])
    assert "error: " in told and "Traceback" not in told and SECRET not in told
    assert "a bug of edgekit" not in told and not [path for path in Path().rglob("*") if SECRET in str(path)]


@pytest.mark.parametrize("url", REFUSED)
def test_errors_of_the_database(url: str) -> None:
    with pytest.raises(EdgekitError) as caught:
        Store(url, wait_seconds=1).measurements()
    assert SECRET not in caught.value.message + caught.value.remedy + str(caught.value)


def test_an_at_in_the_password_is_told() -> None:
    with pytest.raises(UsageError, match="has an @ of its own") as caught:
        Store(f"postgresql+psycopg://ann:a@{SECRET}@db/edgekit").check()
    assert "%40" in caught.value.remedy


@pytest.fixture
def opened(here: Path) -> str:
    """A store with two bench commands, at a URL with a password that opens."""
    url = f"sqlite:///file:{here}/open.db?uri=true&password={SECRET}"
    for session in (BASE, NEW):
        open_store(url).append(record(session=session))
    return url


@pytest.mark.parametrize("format", ["text", "json", "md"])
def test_a_comparison_with_a_store_that_opens(format: str, opened: str) -> None:
    told = said("compare", "latest~1", opened, "--store", opened, "--format", format, "--junit", "junit.xml")
    assert "same" in told and SECRET not in told
    for side in ("latest~3", "ffff", "x.onnx", "theirs.db/no.db"):
        assert SECRET not in said("compare", side, opened, "--store", opened)


def test_reports_and_merges_with_a_store_that_opens(opened: str) -> None:
    assert SECRET not in said("report", "--store", opened, "--format", "md,csv,json")
    assert SECRET not in said("store", "merge", "theirs.db", "--store", opened, "--json")
    for words in (["list"], ["list", "--json"], ["rm", "--latest", "1"], ["export", "new.db"]):
        assert SECRET not in said("store", *words, "--store", opened)
    assert SECRET not in said("doctor", "--store", opened)


def test_a_bug_is_told_without_the_password() -> None:
    failure = describe(RuntimeError(f"cannot parse {NOWHERE}"), [])
    (saved,) = Path().glob("edgekit-*.txt")
    assert SECRET not in failure.message + saved.read_text() and "cannot parse" in saved.read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see https://a.org:80/b, or ask me@a.org", "see https://a.org:80/b, or ask me@a.org"),
        ("'postgresql://ann:a b", "'postgresql://ann:a b"),
        ("'postgresql+psycopg:/ann:s@3@db' is no file", "'postgresql+psycopg:/ann:***@db' is no file"),
        ("there is no store sqlite:///postgresql:ann:s@3@db/x", "there is no store sqlite:///postgresql:ann:***@db/x"),
        ("mysql+x:ann:s@db, not mysql: at 10:30 me@a.org", "mysql+x:ann:***@db, not mysql: at 10:30 me@a.org"),
        ("host=db password=abc user=ann", "host=db password=*** user=ann"),
        ("'mysql://ann:a\nb c@db/x' is no URL", "'mysql://ann:***@db/x' is no URL"),
        ("odbc:///?odbc_connect=UID%3Da%3bpwd%3dx%3Bc&b=1", "odbc:///?odbc_connect=UID%3Da%3bpwd%3d***&b=1"),
        ("PWD={a b;}}c};SERVER=d", "PWD=***;SERVER=d"),
        ("see http://a.org:80/b, or me@a.org; postgresql://a:b c@d", "see http://a.org:80/b, or me@a.org; postgresql://a:***@d"),
    ],
)  # fmt: skip
def test_what_is_masked(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_store_whose_slashes_were_forgotten(slashes: str) -> None:
    assert redacted_url(f"postgresql:{slashes}ann:{SECRET}@db/x") == f"postgresql:{slashes}ann:***@db/x"


def test_a_cause_that_quotes_a_password_of_odbc() -> None:
    for quoted in (f"PWD%3D{SECRET}%2F1%3BSERVER%3Ddb", f"PWD={SECRET}/1;SERVER=db", f"PWD={{{SECRET}/1}}"):
        assert SECRET not in without_password_of(f"mssql+x:///?odbc_connect={quoted}", f"no login with '{SECRET}/1'")


def test_a_cause_that_quotes_the_password() -> None:
    url = "postgresql://ann:p%20w@db/x"
    assert without_password_of(url, "no host 'p w', no option p%20w") == "no host '***', no option ***"
