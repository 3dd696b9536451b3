"""The topics as an AsyncAPI 3.0 document with Kafka bindings: change topics, share topics and the catalogue's own.

It describes the exchange: it *sends* to share topics and its state topics, and *receives* from change topics, which
Debezium or a source's own system fills. Payloads are the Avro schemas that the registry holds for a topic's subjects;
where none is given, the message says under which subject it is found.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from services.catalog.domain.resource import PublishedResource
from services.catalog.exports.place import Place, json_bytes

VERSION = "3.0.0"
_BINDING = "0.5.0"
_AVRO = "application/vnd.apache.avro;version=1.9.0"
_OWN = {
    "catalog.resources": ("已发布资源的全部状态", True),
    "catalog.events": ("目录发生的事件", False),
}

Node = dict[str, Any]


def document(
    place: Place,
    resources: Iterable[PublishedResource],
    grants: Iterable[Mapping[str, Any]],
    schemas: Mapping[str, Any],
) -> bytes:
    """The document as JSON.

    `grants` are values of `demand.grants`; only active ones have a topic to read. `schemas` holds Avro schemas by
    subject (`<topic>-value`), as many as there are.
    """
    published = {resource.code: resource for resource in resources}
    channels: Node = {}
    operations: Node = {}

    def add(name: str, channel: Node, action: str, summary: str) -> None:
        channels[name] = channel
        operations[name] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{name}"},
            "summary": summary,
            "bindings": {"kafka": {"bindingVersion": _BINDING}},
        }

    for topic, (about, compacted) in _OWN.items():
        add(topic, _channel(topic, about, schemas, compacted=compacted), "send", about)
    for resource in published.values():
        mount = resource.mount
        if mount is None or not mount.topic:
            continue
        about = f"{resource.title}：变更"
        channel = _channel(mount.topic, about, schemas, compacted=True)
        channel["description"] = resource.abstract
        channel["x-resource"] = resource.code
        add(f"change.{resource.code}", channel, "receive", about)
    for grant in grants:
        granted = published.get(grant["resource"])
        if granted is None or grant["state"] != "active":
            continue
        about = f"{granted.title} → {grant['department']}"
        channel = _channel(grant["topic"], about, schemas, compacted=True)
        channel["description"] = grant["purpose"]
        channel["x-resource"] = granted.code
        channel["x-items"] = [item["name"] for item in grant["items"]]
        add(f"share.{grant['id']}", channel, "send", about)
    return json_bytes(
        {
            "asyncapi": VERSION,
            "id": f"{place.address}/",
            "info": {
                "title": place.title,
                "version": "1",
                "description": place.abstract,
                "contact": {"name": place.publisher, "url": f"{place.address}/"},
            },
            "defaultContentType": "application/avro",
            "servers": {f"broker{n}": _server(place, host) for n, host in enumerate(place.brokers, 1)},
            "channels": channels,
            "operations": operations,
            "components": {"securitySchemes": {"scram": {"type": "scramSha512", "description": "部门的 SCRAM 用户"}}},
        }
    )


def _server(place: Place, host: str) -> Node:
    return {
        "host": host,
        "protocol": "kafka",
        "security": [{"$ref": "#/components/securitySchemes/scram"}],
        "bindings": {
            "kafka": {
                "schemaRegistryUrl": place.registry,
                "schemaRegistryVendor": "confluent",
                "bindingVersion": _BINDING,
            }
        },
    }


def _channel(topic: str, title: str, schemas: Mapping[str, Any], *, compacted: bool) -> Node:
    subject = f"{topic}-value"
    message: Node = {
        "name": subject,
        "title": title,
        "contentType": "application/avro",
        "bindings": {
            "kafka": {
                "key": {"description": f"Avro, subject {topic}-key"},
                "schemaIdLocation": "payload",
                "schemaIdPayloadEncoding": "4",
                "schemaLookupStrategy": "TopicNameStrategy",
                "bindingVersion": _BINDING,
            }
        },
        "x-subject": subject,
    }
    if subject in schemas:
        message["payload"] = {"schemaFormat": _AVRO, "schema": schemas[subject]}
    return {
        "address": topic,
        "title": title,
        "messages": {"record": message},
        "bindings": {
            "kafka": {
                "topic": topic,
                "topicConfiguration": {"cleanup.policy": ["compact" if compacted else "delete"]},
                "bindingVersion": _BINDING,
            }
        },
    }
