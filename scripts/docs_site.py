"""The pages of the documents' site that no file in docs/ holds, and its links: a hook of mkdocs (mkdocs.yml).

README is the first page. The reference is made from the help of each command and the docstring of each function, so
that neither is written twice. Links in the documents lead through the repository, as a reader of its files follows
them; here they are turned into links between pages.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer.main

import edgekit
from edgekit.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
# Documents outside docs/ and the page of each.
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "LICENSE": "project/license.md",
}
LINK = re.compile(r"(?<!!)\]\(([^)#\s]*)(#[^)\s]*)?\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the pages that are made; mkdocs calls this."""
    from mkdocs.structure.files import File

    for page, text in made().items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn the links of a page of docs/; mkdocs calls this."""
    uri = page.file.src_uri
    return markdown if uri in made() else turned(markdown, f"docs/{uri}")


def made() -> dict[str, str]:
    """Each page that is made, by its place in the site."""
    found = {page: turned((ROOT / name).read_text(encoding="utf-8"), name) for name, page in PAGES.items()}
    found["project/license.md"] = f"# License\n\n```\n{found['project/license.md']}```\n"
    return found | {"reference/commands.md": "\n".join(commands()), "reference/python.md": "\n".join(functions())}


def turned(text: str, origin: str) -> str:
    """The text of a document of the repository with its links between pages of the site."""
    page = place(origin)

    def link(match: re.Match[str]) -> str:
        target, anchor = match[1], match[2] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        there = place(posixpath.normpath(posixpath.join(posixpath.dirname(origin), target)))
        return f"]({posixpath.relpath(there, posixpath.dirname(page) or '.')}{anchor})"

    return LINK.sub(link, text)


def place(path: str) -> str:
    """Where a file of the repository is in the site."""
    return PAGES.get(path, path.removeprefix("docs/"))


def commands() -> Iterator[str]:
    """The page of the commands: what each says with --help."""
    yield "# Commands\n"
    yield "Every command also takes `--help`, and has a Python function of its name: [Python functions](python.md).\n"
    known = typer.main.get_group(app).commands
    for name in edgekit.COMMANDS:
        text, _, examples = (known[name].help or "").partition("\b\nExample:")
        yield f"## edgekit {name}\n\n{text.strip()}\n"
        yield from _options(known[name])
        lines = [line.strip() for line in examples.splitlines() if line.strip()]
        yield "\n```\n{}\n```\n".format("\n".join(lines))


def _options(command: Any) -> Iterator[str]:
    """The rows of a command's arguments and options."""
    yield "| argument or option | meaning | without it |\n|---|---|---|"
    for one in command.params:
        names = ", ".join(f"`{name}`" for name in (*one.opts, *one.secondary_opts))
        shown = f"`{one.metavar or one.name.upper()}`" if one.param_type_name == "argument" else names
        value = f" `{one.metavar}`" if one.metavar and one.param_type_name == "option" else ""
        default = (
            one.default if isinstance(one.default, (str, int, float)) and not isinstance(one.default, bool) else ""
        )
        cells = (f"{shown}{value}", str(getattr(one, "help", "") or ""), str(default))
        yield "| " + " | ".join(cell.replace("|", ", ") for cell in cells) + " |"  # no table takes a | in code


def functions() -> Iterator[str]:
    """The page of the functions: the docstrings, which mkdocstrings reads."""
    yield "# Python functions\n"
    yield "`import edgekit` loads nothing; each function is loaded when it is first used. What a command does, its"
    yield "function does: it takes the same options, and returns what `--json` prints.\n"
    for module, function, _ in edgekit.COMMANDS.values():
        yield f"::: {module}.{function}\n"
    yield "## Errors\n\n::: edgekit.errors\n    options: {heading_level: 3, show_root_heading: false}\n"
