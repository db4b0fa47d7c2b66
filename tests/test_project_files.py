"""The files that a repository's host, a package index and git's hooks read: they parse, and agree with the project."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import edgekit
from tests.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def parsed(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_calls_what_is_there_and_may_do_no_more_than_it_needs(path: Path) -> None:
    workflow = parsed(path)
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    for step in steps:
        assert ("uses" in step) != ("run" in step)
        for target in re.findall(r"\bmake ([a-z-]+)", step.get("run", "")):
            assert target in targets
        if "setup-python" in step.get("uses", ""):
            assert isinstance(step["with"]["python-version"], str)  # 3.10 as a number is 3.1
    assert all("timeout-minutes" in job or "needs" in job for job in workflow["jobs"].values())


def test_a_release_is_trusted_by_its_workflow_and_needs_no_password() -> None:
    release = parsed(ROOT / ".github/workflows/release.yml")
    publish = release["jobs"]["publish"]
    assert publish["permissions"] == {"id-token": "write"} and publish["environment"] == "pypi"
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")


def test_a_citation_is_of_this_version() -> None:
    found = parsed(ROOT / "CITATION.cff")
    assert {"cff-version", "message", "title", "authors", "license"} <= set(found)
    assert found["version"] == edgekit.__version__ and found["license"] == "Apache-2.0"
    assert f"## [{edgekit.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_hooks_are_the_checks_of_the_makefile() -> None:
    hooks = [hook for repository in parsed(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    entries = [hook["entry"] for hook in hooks]
    check = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\ncheck:")[2].partition("\n\n")[0]
    for tool in ("ruff check", "ruff format", "mypy"):
        assert f"$(RUN)/{tool}" in check and any(entry.startswith(f".venv/bin/{tool}") for entry in entries)
    for path in re.findall(r"tests/\S+\.py", " ".join(entries)):
        assert (ROOT / path).is_file()


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_a_form_for_issues_is_whole(path: Path) -> None:
    form = parsed(path)
    if path.name == "config.yml":
        assert form == {"blank_issues_enabled": True}
        return
    assert form["name"] and form["description"] and len({field["id"] for field in form["body"]}) == len(form["body"])
    assert all(field["attributes"]["label"] for field in form["body"])
