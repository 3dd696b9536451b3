"""Lineage as OpenLineage run events: one streaming job a mount (table to change topic), one a grant (to share topic).

Datasets are named as Debezium names its own: `postgres://host:port` + `database.schema.table`, `kafka://host:port` +
topic. What a grant does to each item (shown, masked, only filtered by) is column lineage. A run begins when a mount was
published or a grant takes effect, and is complete when the grant is revoked; the ids of runs follow from what they are
runs of, so that the same state always tells the same story.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from services.catalog.domain.resource import MountKind, PublishedResource
from services.catalog.exports.place import Place, SourceAddress, json_bytes, rfc3339
from services.core import masks, rowfilter

Event = dict[str, Any]

_SPEC = "https://openlineage.io/spec"
_RUN_EVENT = f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
# versions of the facets as openlineage-python 1.54 has them
_FACETS: Mapping[str, str] = {
    "jobType": "2-0-4/JobTypeJobFacet",
    "documentation": "1-1-0/DocumentationJobFacet",
    "ownership": "1-0-1/OwnershipJobFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "columnLineage": "1-2-0/ColumnLineageDatasetFacet",
}
_PRODUCER = "urn:tongshu:catalog"
_RUNS = uuid.uuid5(uuid.NAMESPACE_URL, "urn:tongshu:lineage")


def lines(
    place: Place,
    resources: Iterable[PublishedResource],
    grants: Iterable[Mapping[str, Any]],
    sources: Mapping[str, SourceAddress],
) -> bytes:
    """The events as JSON, one a line, as OpenLineage's file transport writes them."""
    found = events(place, resources, grants, sources)
    return b"".join(json_bytes(event, indent=None) for event in found)


def events(
    place: Place,
    resources: Iterable[PublishedResource],
    grants: Iterable[Mapping[str, Any]],
    sources: Mapping[str, SourceAddress],
) -> list[Event]:
    """The events of all mounts and grants in the order of their times.

    `grants` are values of `demand.grants`, `sources` say where each information system's database is. A grant of a
    resource that is not published or not mounted has no lineage to tell.
    """
    published = {resource.code: resource for resource in resources}
    found = [
        _mounted(place, resource, sources, published)
        for resource in published.values()
        if resource.mount is not None and resource.mount.topic
    ]
    for grant in grants:
        granted = published.get(grant["resource"])
        if granted is not None and granted.mount is not None and granted.mount.topic:
            found += _granted(place, granted, grant)
    return sorted(found, key=lambda event: (event["eventTime"], event["job"]["name"], event["eventType"] != "START"))


def _mounted(
    place: Place,
    resource: PublishedResource,
    sources: Mapping[str, SourceAddress],
    published: Mapping[str, PublishedResource],
) -> Event:
    mount = resource.mount
    assert mount is not None
    columns = [_field(item.column, item.type.value, item.title) for item in resource.items]
    source = sources.get(mount.system)
    inputs = []
    if mount.kind is MountKind.TABLE and source is not None:
        table = (f"postgres://{source.host}:{source.port}", f"{source.database}.{mount.schema}.{mount.table}")
        inputs.append(_dataset(table, schema=_facet("schema", fields=columns)))
    facets = {"schema": _facet("schema", fields=columns)}
    read = [published[code].mount for code in mount.inputs if code in published]
    of_product = [_dataset(_topic(place, one.topic)) for one in read if one is not None and one.topic]
    if inputs:
        lineage = {item.column: {"inputFields": [_input(table, item.column, "IDENTITY")]} for item in resource.items}
        facets["columnLineage"] = _facet("columnLineage", fields=lineage)
    return _event(
        place,
        "START",
        rfc3339(resource.published_at),
        run=f"mount/{resource.code}",
        job=_job(place, mount.connector or f"mount.{resource.code}", resource.title, resource.department),
        inputs=[*inputs, *of_product],
        outputs=[_dataset(_topic(place, mount.topic), **facets)],
    )


def _granted(place: Place, resource: PublishedResource, grant: Mapping[str, Any]) -> Iterable[Event]:
    mount = resource.mount
    assert mount is not None
    items = {item.name: item for item in resource.items}
    changes = _topic(place, mount.topic)
    filtered = rowfilter.parse(grant["row_filter"]).items() if grant["row_filter"] else ()
    columns, lineage = [], {}
    for granted in grant["items"]:
        item = items.get(granted["name"])
        if item is None:
            continue
        mask = json.loads(granted["mask"]) if granted["mask"] else None
        kind = masks.parse(mask).result_type(item.type.value) if mask else item.type.value
        columns.append(_field(item.name, kind, item.title))
        lineage[item.name] = {
            "inputFields": [_input(changes, item.column, mask["kind"].upper() if mask else "IDENTITY")]
        }
    column_lineage = _facet("columnLineage", fields=lineage)
    if filtered:
        column_lineage["dataset"] = [
            _input(changes, items[name].column, "FILTER", direct=False) for name in sorted(filtered) if name in items
        ]
    what: dict[str, Any] = {
        "run": f"grant/{grant['id']}",
        "job": _job(place, grant["topic"], grant["purpose"], grant["department"]),
        "inputs": [
            _dataset(
                changes,
                schema=_facet("schema", fields=[_field(i.column, i.type.value, i.title) for i in items.values()]),
            )
        ],
        "outputs": [
            _dataset(
                _topic(place, grant["topic"]), schema=_facet("schema", fields=columns), columnLineage=column_lineage
            )
        ],
    }
    yield _event(place, "START", rfc3339(grant["valid_from"]), **what)
    if grant["state"] != "active":
        yield _event(place, "COMPLETE", rfc3339(grant["updated_at"]), **what)


def _event(place: Place, kind: str, time: str, *, run: str, **what: Any) -> Event:
    run_id = uuid.uuid5(_RUNS, f"{place.address}/{run}")
    return {
        "eventType": kind,
        "eventTime": time,
        "producer": _PRODUCER,
        "schemaURL": _RUN_EVENT,
        "run": {"runId": str(run_id)},
        **what,
    }


def _job(place: Place, name: str, about: str, owner: str) -> Event:
    return {
        "namespace": place.address,
        "name": name,
        "facets": {
            "jobType": _facet("jobType", processingType="STREAMING", integration="TONGSHU", jobType="JOB"),
            "documentation": _facet("documentation", description=about),
            "ownership": _facet("ownership", owners=[{"name": f"department:{owner}", "type": "OWNER"}]),
        },
    }


def _topic(place: Place, name: str) -> tuple[str, str]:
    # a dataset has one name, however many brokers there are to begin with
    return f"kafka://{place.brokers[0]}", name


def _dataset(name: tuple[str, str], **facets: Any) -> Event:
    return {"namespace": name[0], "name": name[1], "facets": facets}


def _facet(name: str, **content: Any) -> Event:
    path = _FACETS[name]
    kind = path.partition("/")[2]
    return {"_producer": _PRODUCER, "_schemaURL": f"{_SPEC}/facets/{path}.json#/$defs/{kind}", **content}


def _field(name: str, kind: str, about: str) -> Event:
    return {"name": name, "type": kind, "description": about}


def _input(dataset: Sequence[str], field: str, how: str, *, direct: bool = True) -> Event:
    """A field that another comes from. `how` is IDENTITY, FILTER, or the kind of the mask it is shown through."""
    change: Event = {"type": "DIRECT" if direct else "INDIRECT", "subtype": how, "masking": False}
    if how not in ("IDENTITY", "FILTER"):
        change = {"type": "DIRECT", "subtype": "TRANSFORMATION", "description": how.lower(), "masking": True}
    return {"namespace": dataset[0], "name": dataset[1], "field": field, "transformations": [change]}
