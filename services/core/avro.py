"""Avro in Confluent wire format (0x00, 4-byte big-endian schema id, Avro binary) and the schema registry.

`fastavro` encodes and decodes; `avro` parses schemas and judges whether two go together (Avro 1.12, "Schema
Resolution"). Ids and schemas never change once registered, so they are cached for good.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import avro.compatibility
import avro.schema
import fastavro
import httpx
import structlog
from confluent_kafka.schema_registry import ConfigCompatibilityLevel, Schema, SchemaRegistryClient, ServerConfig
from confluent_kafka.schema_registry.error import SchemaRegistryError

log = structlog.get_logger()

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas" / "avro"
_HEADER = struct.Struct(">bI")


class NotAvro(Exception):
    """Bytes that are not in the Confluent wire format, or end early, late or wrongly for their schema."""


class UnknownSchema(Exception):
    """A schema id that the registry does not know."""


class SchemaRefused(Exception):
    """A schema that does not go with what its subject already holds."""


class RegistryUnavailable(Exception):
    """The registry cannot be asked just now; the bytes may be fine."""


def load(name: str) -> dict[str, Any]:
    """The schema file `schemas/avro/<name>.avsc`."""
    parsed: dict[str, Any] = json.loads((SCHEMAS / f"{name}.avsc").read_text())
    return parsed


def incompatibilities(reader: Mapping[str, Any], writer: Mapping[str, Any]) -> list[str]:
    """Why data written with `writer` cannot be read with `reader`; empty when it can."""
    checker = avro.compatibility.ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
    result = checker.get_compatibility(avro.schema.parse(json.dumps(reader)), avro.schema.parse(json.dumps(writer)))
    if result.compatibility is avro.compatibility.SchemaCompatibilityType.compatible:
        return []
    return [f"{where}: {what}" for where, what in zip(sorted(result.locations), sorted(result.messages), strict=False)]


class Registry:
    """The schema registry, asked once per schema. One instance a process; its calls may block on the network."""

    def __init__(self, url: str, timeout: float = 10.0) -> None:
        self._client = SchemaRegistryClient({"url": url, "timeout": timeout})
        self._parsed: dict[int, Any] = {}
        self._raw: dict[int, dict[str, Any]] = {}
        self._ids: dict[tuple[str, str], int] = {}

    def register(self, subject: str, schema: Mapping[str, Any], compatibility: str | None = None) -> int:
        """The id of `schema` under `subject`, registered if it is new.

        `compatibility` (BACKWARD, FULL, …) becomes the subject's rule. Raises SchemaRefused and RegistryUnavailable.
        """
        text = json.dumps(schema, ensure_ascii=False, sort_keys=True)
        if (subject, text) in self._ids:
            return self._ids[subject, text]
        try:
            schema_id: int = self._client.register_schema(subject, Schema(text, "AVRO"))
        except SchemaRegistryError as error:
            if error.http_status_code >= 500:
                raise RegistryUnavailable(str(error)) from error
            raise SchemaRefused(f"{subject}: {error.error_message}") from error
        except (OSError, httpx.HTTPError) as error:
            raise RegistryUnavailable(str(error)) from error
        if compatibility:
            self._rule(subject, compatibility)
        self._ids[subject, text] = schema_id
        return schema_id

    def replace(self, subject: str, schema: Mapping[str, Any], compatibility: str) -> int:
        """The id of `schema` under `subject`, even where it does not go with what the subject holds.

        For a break that has been agreed upon; from then on the rule `compatibility` holds again. Raises as `register`.
        """
        try:
            return self.register(subject, schema, compatibility)
        except SchemaRefused:
            self._rule(subject, "NONE")
            try:
                return self.register(subject, schema)
            finally:
                self._rule(subject, compatibility)

    def _rule(self, subject: str, compatibility: str) -> None:
        rule = ServerConfig(compatibility=ConfigCompatibilityLevel(compatibility))
        try:
            try:
                self._client.set_config(subject, rule)
            except SchemaRegistryError as error:
                if error.http_status_code != 409:
                    raise
                # somebody else has given the subject its first rule meanwhile: it is there to be changed now
                self._client.set_config(subject, rule)
        except (SchemaRegistryError, OSError, httpx.HTTPError) as error:
            raise RegistryUnavailable(str(error)) from error

    def latest(self, subject: str) -> dict[str, Any] | None:
        """The schema that `subject` holds now, whoever registered it; None where it holds none.

        Raises RegistryUnavailable.
        """
        try:
            text = self._client.get_version(subject).schema.schema_str
        except SchemaRegistryError as error:
            if error.http_status_code == 404:
                return None
            raise RegistryUnavailable(str(error)) from error
        except (OSError, httpx.HTTPError) as error:
            raise RegistryUnavailable(str(error)) from error
        found = json.loads(text or "null")
        return found if isinstance(found, dict) else {}

    def schema(self, schema_id: int) -> dict[str, Any]:
        """The schema with this id as the registry holds it; raises UnknownSchema and RegistryUnavailable."""
        if schema_id not in self._raw:
            try:
                text = self._client.get_schema(schema_id).schema_str
            except SchemaRegistryError as error:
                if error.http_status_code == 404:
                    raise UnknownSchema(f"the registry does not know schema {schema_id}") from error
                raise RegistryUnavailable(str(error)) from error
            except (OSError, httpx.HTTPError) as error:
                raise RegistryUnavailable(str(error)) from error
            self._raw[schema_id] = json.loads(text or "null")
        return self._raw[schema_id]

    def parsed(self, schema_id: int) -> Any:
        """The schema with this id as fastavro wants it."""
        if schema_id not in self._parsed:
            self._parsed[schema_id] = fastavro.parse_schema(self.schema(schema_id))
        return self._parsed[schema_id]

    def encode(self, schema_id: int, record: object) -> bytes:
        """`record` in wire format; raises ValueError or TypeError when it does not fit the schema."""
        out = io.BytesIO()
        out.write(_HEADER.pack(0, schema_id))
        fastavro.schemaless_writer(out, self.parsed(schema_id), record)
        return out.getvalue()

    def decode(self, data: bytes, reader: Any = None) -> tuple[int, Any]:
        """`(schema id, record)` of bytes in wire format, read to their last byte.

        With `reader` (as fastavro wants it) the record has the fields of that schema, whatever the writer's had.
        Raises NotAvro, UnknownSchema and RegistryUnavailable.
        """
        schema_id = wire_schema_id(data)
        schema = self.parsed(schema_id)
        body = io.BytesIO(data)
        body.seek(_HEADER.size)
        try:
            record = fastavro.schemaless_reader(body, schema, reader)
        except Exception as error:
            raise NotAvro(f"the bytes do not fit schema {schema_id}: {type(error).__name__}") from error
        if body.tell() != len(data):
            raise NotAvro(f"{len(data) - body.tell()} bytes are left over after the record of schema {schema_id}")
        return schema_id, record


def wire_schema_id(data: bytes) -> int:
    """The schema id in front of the record; raises NotAvro."""
    if len(data) < _HEADER.size:
        raise NotAvro(f"only {len(data)} bytes: no room for the wire format's header")
    magic, schema_id = _HEADER.unpack_from(data)
    if magic != 0:
        raise NotAvro(f"the first byte is {magic & 0xFF:#04x}, not the wire format's 0x00")
    return int(schema_id)


class Codec:
    """Encodes and decodes the values of one topic by its own schema file."""

    def __init__(self, registry: Registry, topic: str, schema: str | None = None) -> None:
        self.registry, self.subject = registry, f"{topic}-value"
        self._schema = load(schema or topic)
        self._reader = fastavro.parse_schema(load(schema or topic))
        self._id: int | None = None

    def encode(self, record: Mapping[str, Any]) -> bytes:
        if self._id is None:
            self._id = self.registry.register(self.subject, self._schema, "BACKWARD")
        return self.registry.encode(self._id, record)

    def decode(self, data: bytes) -> dict[str, Any]:
        """The record with all fields of the topic's newest schema: what an older writer left out has its default."""
        record: dict[str, Any] = self.registry.decode(data, self._reader)[1]
        return record
