"""The console's pages are built once for each state of their sources; where they cannot be, that is said, no more."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.console import Console

from infra.embedded import web

NPM = """#!/bin/sh
echo "$1" >>"{calls}"
if [ "$1" = ci ]; then
    [ -z "$REGISTRY_AWAY" ] || {{ echo 'npm error network request to the registry failed' >&2; exit 1; }}
    mkdir -p node_modules && : >node_modules/installed
else
    [ -f node_modules/installed ] || exit 1
    mkdir -p dist/assets && cat src/main.tsx >dist/assets/main.js && cp index.html dist/
fi
"""


@dataclass(frozen=True, slots=True)
class Workshop:
    """Sources of two files, and an npm that copies them."""

    tools: Path
    sources: Path
    calls: Path
    node: Path

    def build(self, node: Callable[[Path], Path | None] = lambda there: there) -> str:
        said = io.StringIO()
        web.build(self.tools, node(self.node), Console(file=said, width=200), self.sources)
        return said.getvalue()

    def made(self) -> Path:
        return web.folder(self.tools, self.sources)

    def called(self) -> list[str]:
        return self.calls.read_text().split() if self.calls.exists() else []


@pytest.fixture
def workshop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    sources, programs, calls = tmp_path / "web", tmp_path / "bin", tmp_path / "calls"
    (sources / "src").mkdir(parents=True)
    (sources / "index.html").write_text("<!doctype html>")
    (sources / "src" / "main.tsx").write_text("one")
    (sources / "package-lock.json").write_text("{}")
    programs.mkdir()
    for name in ("npm", "node"):
        (programs / name).write_text(NPM.format(calls=calls))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    return Workshop(tmp_path / "tools", sources, calls, programs / "node")


def test_pages_are_built_once_for_each_state_of_their_sources(workshop: Workshop) -> None:
    assert "building" in workshop.build()
    first = workshop.made()
    assert (first / "assets" / "main.js").read_text() == "one"
    assert workshop.build() == ""
    assert workshop.called() == ["ci", "run"]
    (workshop.sources / "src" / "main.tsx").write_text("two")
    workshop.build()
    assert (workshop.made() / "assets" / "main.js").read_text() == "two"
    assert (first / "assets" / "main.js").read_text() == "one", "another exchange may serve it"
    assert workshop.called() == ["ci", "run", "run"], "the packages are the same"
    (workshop.sources / "package-lock.json").write_text('{"name": "another"}')
    workshop.build()
    assert workshop.called() == ["ci", "run", "run", "ci", "run"]


def test_what_is_made_from_the_sources_is_none_of_them(workshop: Workshop) -> None:
    before = workshop.made()
    for made in ("node_modules", "dist"):
        (workshop.sources / made).mkdir()
        (workshop.sources / made / "file").write_text("made")
    assert workshop.made() == before
    (workshop.sources / "src" / "main.tsx").rename(workshop.sources / "src" / "other.tsx")
    assert workshop.made() != before


def test_where_no_packages_can_be_had_the_set_up_goes_on(workshop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTRY_AWAY", "1")
    said = workshop.build()
    assert "not built" in said and "network request to the registry failed" in said
    assert not workshop.made().exists()
    monkeypatch.delenv("REGISTRY_AWAY")
    workshop.build()
    assert (workshop.made() / "index.html").is_file()


def test_without_node_it_says_so(workshop: Workshop) -> None:
    assert "no Node" in workshop.build(lambda _: None)
    assert not workshop.made().exists()
