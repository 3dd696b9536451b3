"""The schema files are what the topics carry: documented, parseable, and readable with what was written before."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import avro.schema
import fastavro
import pytest

from services.core.avro import SCHEMAS, incompatibilities

FILES = sorted(SCHEMAS.glob("*.avsc"))
ROOT = SCHEMAS.parents[1]


def git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def undocumented(schema: Any, where: str) -> list[str]:
    if isinstance(schema, list):
        return [fault for one in schema for fault in undocumented(one, where)]
    if not isinstance(schema, dict):
        return []
    faults = []
    if schema.get("type") in ("record", "enum") and not schema.get("doc"):
        faults.append(f"{where}: {schema['name']}")
    for field in schema.get("fields", []):
        if not field.get("doc"):
            faults.append(f"{where}.{field['name']}")
        faults += undocumented(field["type"], f"{where}.{field['name']}")
    return faults + undocumented(schema.get("items"), where) + undocumented(schema.get("values"), where)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_schema_parses_and_explains_itself(file: Path) -> None:
    schema = json.loads(file.read_text())
    avro.schema.parse(file.read_text())
    fastavro.parse_schema(schema)
    assert undocumented(schema, file.stem) == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_was_ever_committed_can_still_be_read(file: Path) -> None:
    name = file.relative_to(ROOT).as_posix()
    for commit in git("log", "--format=%H", "--", name).split():
        shown = subprocess.run(["git", "show", f"{commit}:{name}"], cwd=ROOT, capture_output=True, text=True)
        if shown.returncode == 0:
            faults = incompatibilities(reader=json.loads(file.read_text()), writer=json.loads(shown.stdout))
            assert faults == [], f"{name} cannot read what {commit[:10]} wrote"


def test_an_incompatible_change_is_named() -> None:
    schema = json.loads((SCHEMAS / "sync.progress.avsc").read_text())
    changed = {**schema, "fields": [*schema["fields"], {"name": "more", "type": "string", "doc": "No default."}]}
    assert "more" in " ".join(incompatibilities(reader=changed, writer=schema))
