"""A published resource survives the topic: what is written with any schema of the topic is read as a whole resource."""

from __future__ import annotations

import io
import json
import subprocess
from collections.abc import Sequence
from dataclasses import is_dataclass
from datetime import UTC, datetime
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import fastavro
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.catalog.domain.resource import PublishedResource, SharingType
from services.core.avro import SCHEMAS, load

LEAVES: dict[object, st.SearchStrategy[Any]] = {
    datetime: st.datetimes(timezones=st.just(UTC), min_value=datetime.min, max_value=datetime.max),  # noqa: DTZ901
    str: st.text(max_size=12),
    int: st.integers(-(2**31), 2**31 - 1),
    bool: st.booleans(),
    type(None): st.none(),
}


def anything(kind: Any) -> st.SearchStrategy[Any]:
    """Every value that a field declared as `kind` may have."""
    if kind in LEAVES:
        return LEAVES[kind]
    if get_origin(kind) is UnionType:
        return st.one_of(*(anything(branch) for branch in get_args(kind)))
    if get_origin(kind) is Sequence:
        return st.lists(anything(get_args(kind)[0]), max_size=2).map(tuple)
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{name: anything(hint) for name, hint in hints.items()})
    return st.sampled_from(kind)


@given(anything(PublishedResource))
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=50)
def test_a_resource_comes_out_of_the_topic_as_it_went_in(resource: PublishedResource) -> None:
    schema = fastavro.parse_schema(load("catalog.resources"))
    written = io.BytesIO()
    fastavro.schemaless_writer(written, schema, resource.record())
    written.seek(0)
    assert PublishedResource.from_record(fastavro.schemaless_reader(written, schema, None)) == resource


def test_a_resource_written_by_the_first_schema_is_still_a_resource() -> None:
    name = (SCHEMAS / "catalog.resources.avsc").relative_to(SCHEMAS.parents[1]).as_posix()
    log = ["git", "log", "--reverse", "--format=%H", "--", name]
    first = subprocess.run(log, cwd=SCHEMAS, capture_output=True, text=True, check=True).stdout.split()
    show = ["git", "show", f"{first[0]}:{name}"] if first else ["cat", str(SCHEMAS / "catalog.resources.avsc")]
    writer = json.loads(subprocess.run(show, cwd=SCHEMAS, capture_output=True, text=True, check=True).stdout)
    old = {
        "code": "population",
        "title": "人口",
        "abstract": "户籍人口",
        "department": "public_security",
        "department_uscc": "11110000000000123P",
        "version": 1,
        "contract_version": "1.0.0",
        "sharing_type": "unconditional",
        "grade": "general",
        "update_cycle": "daily",
        "items": [
            {"name": "id", "title": "号", "type": "string", "column": "id", "key": True, "nullable": False,
             "sensitivity": "personal"}
        ],
        "mount": {"system": "s", "schema": "a", "table": "b", "topic": "cdc.s.a.b", "connector": "mount.population"},
        "updated_at": datetime(2026, 1, 1, tzinfo=UTC),
    }  # fmt: skip
    written = io.BytesIO()
    fastavro.schemaless_writer(written, fastavro.parse_schema(writer), old)
    written.seek(0)
    reader = fastavro.parse_schema(load("catalog.resources"))
    read = PublishedResource.from_record(fastavro.schemaless_reader(written, fastavro.parse_schema(writer), reader))
    assert read.sharing_type is SharingType.UNCONDITIONAL
    assert read.mount is not None and read.mount.topic == "cdc.s.a.b" and read.first_published_at == read.updated_at
