"""A resource on a topic that its system fills itself: with credentials shown once, and nothing else."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import ScramMechanism, UserScramCredentialDeletion
from confluent_kafka.schema_registry import SchemaRegistryClient, topic_subject_name_strategy
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from cli.demo.stage import publish
from cli.exchange import Refused
from services.core.kafka import admin_client
from tests.road.catalog.office import Place
from tests.road.town import OWNER, Table, Town, eventually, resource_of

SYSTEM = OWNER.database
ITEMS: list[dict[str, Any]] = [
    {"name": "id", "title": "编号", "type": "string", "key": True, "nullable": False},
    {"name": "name", "title": "姓名", "type": "string", "column": "列名"},
    {"name": "paid", "title": "缴费", "type": "decimal", "length": 12, "scale": 2},
    {"name": "born", "title": "出生日期", "type": "date"},
    {"name": "seen", "title": "时间", "type": "timestamp"},
    {"name": "visits", "title": "次数", "type": "integer"},
]
FIRST = {
    "id": "a", "name": "王小明", "paid": Decimal("12.50"), "born": date(1990, 5, 1),
    "seen": datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), "visits": 1,
}  # fmt: skip


@dataclass(slots=True)
class System:
    """A system's own program: a plain Kafka client with what the answer of the mount holds, and nothing else."""

    credentials: Mapping[str, Any]
    position: int = 0

    def producer(self, **more: Any) -> Producer:
        return Producer(
            {
                "bootstrap.servers": self.credentials["bootstrap"],
                "security.protocol": "SASL_PLAINTEXT",
                "sasl.mechanism": self.credentials["mechanism"],
                "sasl.username": self.credentials["username"],
                "sasl.password": self.credentials["password"],
                "enable.idempotence": True,
                "message.timeout.ms": 8_000,
                "log_level": 2,
                **more,
            }
        )

    def change(self, op: str, before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> tuple[bytes, bytes]:
        """Key and value of a change, encoded by the registry's own client."""
        self.position += 1
        source = {"system": SYSTEM, "position": self.position, "ts_us": int(time.time() * 1_000_000)}
        value = {"before": before, "after": after, "source": source, "op": op, "ts_ms": None}
        key = {"id": (after or before or {})["id"]}
        return self._encoded(MessageField.KEY, key), self._encoded(MessageField.VALUE, value)

    def _encoded(self, part: str, record: Mapping[str, Any]) -> bytes:
        registry = SchemaRegistryClient({"url": self.credentials["registry"], "timeout": 10})
        conf = {
            "auto.register.schemas": False, "use.latest.version": True,
            "subject.name.strategy": topic_subject_name_strategy,
        }  # fmt: skip
        data = AvroSerializer(registry, conf=conf)(record, SerializationContext(self.credentials["topic"], part))
        assert data is not None
        return data


def write(producer: Producer, topic: str, *records: tuple[bytes, bytes | None]) -> list[KafkaError]:
    """Write the records and wait: what the broker had against them."""
    against: list[KafkaError] = []
    for key, value in records:
        producer.produce(
            topic, value, key, on_delivery=lambda error, _: against.append(error) if error is not None else None
        )
    assert producer.flush(15) == 0
    return against


def refused(producer: Producer) -> int:
    """With what the broker refuses the login."""
    with pytest.raises(KafkaException) as failure:
        producer.list_topics(timeout=3)
    return int(failure.value.args[0].code())


def resource(town: Town, **terms: Any) -> str:
    code = f"f{uuid.uuid4().hex[:10]}"
    town.exchange.ask("POST", "catalog", "/resources", resource_of(code, ITEMS, **terms))
    publish(town.exchange, code)
    return code


def mounted(town: Town, code: str) -> System:
    form = {"kind": "topic", "system": SYSTEM}
    answer = town.exchange.ask("PUT", "catalog", f"/resources/{code}/mount", form)
    assert answer["mount"]["kind"] == "topic" and answer["mount"]["topic"] == f"cdc.{SYSTEM}.{code}"
    return System(answer["credentials"])


def as_table(town: Town, system: System, code: str) -> Table:
    """The resource as the town's helpers know one."""
    return Table(town.exchange, None, code, "", system.credentials["topic"])  # type: ignore[arg-type]


def kinds(town: Town, code: str) -> list[str]:
    status = town.exchange.ask("GET", "catalog", f"/resources/{code}/mount")
    return [finding["kind"] for finding in status["findings"]] if status["checked_at"] else ["not looked at"]


def test_what_a_system_writes_reaches_a_consumer_as_it_is_granted(town: Town) -> None:
    code = resource(town)
    system = mounted(town, code)
    topic = system.credentials["topic"]
    table = as_table(town, system, code)
    reader = town.reader(town.live_grant(table, ["id", "name", "paid", "born", "seen"], row_filter="visits >= 1"))
    second, changed = {**FIRST, "id": "b", "paid": None}, {**FIRST, "name": "王大明"}
    unseen = {**FIRST, "id": "c", "visits": 0}
    producer = system.producer(**{"transactional.id": f"{system.credentials['transactional_id_prefix']}1"})
    producer.init_transactions(20)
    producer.begin_transaction()
    deleted, gone = system.change("d", second, None), system.change("c", None, second)
    records = [system.change("c", None, FIRST), gone, system.change("c", None, unseen)]
    records += [system.change("u", FIRST, changed), deleted]
    assert write(producer, topic, *records, (deleted[0], None)) == []
    producer.commit_transaction(20)
    got = reader.await_records(5)
    by_key = {key: [one for one in got if one.key == {"id": key}] for key in ("a", "b")}
    assert [one.op for one in by_key["a"]] == ["c", "u"]
    assert [one.op for one in by_key["b"]] == ["c", "d", "tombstone"]
    shown = {name: value for name, value in changed.items() if name != "visits"}
    assert reader.state() == {"a": shown}
    positions = [one.value["source"]["position"] for one in by_key["a"] if one.value]
    assert positions == sorted(positions) and len(set(positions)) == 2
    assert town.quarantined(table) == []

    # what came to nothing is told to nobody
    producer.begin_transaction()
    assert write(producer, topic, system.change("c", None, {**FIRST, "id": "ghost"})) == []
    time.sleep(1)
    producer.abort_transaction(20)

    # a later grant is served from what the topic holds
    late = town.reader(town.grant(table, ["id", "visits"]))
    late.await_state({"a": {"id": "a", "visits": 1}, "c": {"id": "c", "visits": 0}})

    # what is no Avro, no change of a row, or wrongly encoded is set aside, and the rest flows on
    good = system.change("c", None, {**FIRST, "id": "z"})
    rowless = system.change("d", FIRST, None)
    encode = town.exchange.registry.encode
    empty = {"before": None, "after": None, "source": {"system": SYSTEM, "position": 9, "ts_us": 1}, "op": "d"}
    nothing = encode(system.credentials["value_schema_id"], {**empty, "ts_ms": None})
    plain = system.producer()
    poison = [b"{}", good[1][:-3], nothing]
    assert write(plain, topic, *[(rowless[0], one) for one in poison], good) == []
    found = eventually(
        lambda: [(one["grant"], one["reason"]) for one in town.quarantined(table)],
        lambda entries: len(entries) == 4, "the quarantine",
    )  # fmt: skip
    assert sorted(reason for grant, reason in found if grant is None) == ["not-avro", "not-avro"]
    assert sorted(reason for grant, reason in found if grant) == ["wrong-shape", "wrong-shape"]
    late.await_state({one: {"id": one, "visits": int(one != "c")} for one in "acz"})
    reader.await_state({"a": shown, "z": {**shown, "id": "z", "name": FIRST["name"]}})
    assert {"id": "ghost"} not in [one.key for one in (*reader.records, *late.records)]
    reader.close()
    late.close()


def test_a_writer_may_write_its_topic_and_nothing_else(town: Town) -> None:
    mine, other = mounted(town, resource(town)), mounted(town, resource(town))
    record = mine.change("c", None, FIRST)
    assert write(mine.producer(), mine.credentials["topic"], record) == []
    for topic in (other.credentials["topic"], "catalog.resources", f"cdc.{SYSTEM}.population.person"):
        codes = [error.code() for error in write(mine.producer(), topic, record)]
        assert codes == [KafkaError.TOPIC_AUTHORIZATION_FAILED], topic
    foreign = mine.producer(**{"transactional.id": f"{other.credentials['transactional_id_prefix']}1"})
    with pytest.raises(KafkaException) as failure:
        foreign.init_transactions(15)
    assert failure.value.args[0].code() == KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED
    assert other.credentials["topic"] not in mine.producer().list_topics(timeout=10).topics


def test_credentials_are_shown_once_renewed_and_ended(town: Town) -> None:
    code = resource(town)
    system = mounted(town, code)
    topic, password = system.credentials["topic"], system.credentials["password"]
    for service, path in (("catalog", f"/resources/{code}"), ("catalog", f"/resources/{code}/mount")):
        assert password not in json.dumps(town.exchange.ask("GET", service, path))
    told = b"".join(value or b"" for name in ("catalog.events", "catalog.resources")
                    for _, value, _ in town.exchange.read_all(name))  # fmt: skip
    assert password.encode() not in told and code.encode() in told

    renewed = System(town.exchange.ask("POST", "catalog", f"/resources/{code}/mount/credentials"), 1)
    same = ("username", "topic", "key_schema_id", "value_schema_id", "transactional_id_prefix")
    assert [renewed.credentials[name] for name in same] == [system.credentials[name] for name in same]
    assert refused(system.producer()) in (KafkaError._TRANSPORT, KafkaError._AUTHENTICATION)
    open_still = renewed.producer()
    record = renewed.change("c", None, FIRST)
    assert write(open_still, topic, record) == []

    answer = town.exchange.ask("DELETE", "catalog", f"/resources/{code}/mount")
    assert answer["mount"] is None
    assert [error.code() for error in write(open_still, topic, record)] == [KafkaError.TOPIC_AUTHORIZATION_FAILED]
    assert refused(renewed.producer()) in (KafkaError._TRANSPORT, KafkaError._AUTHENTICATION)
    left = town.exchange.ask("GET", "catalog", "/clearances")
    assert [one for one in left if one["resource"] == code] == []
    with pytest.raises(Refused) as ended:
        town.exchange.ask("POST", "catalog", f"/resources/{code}/mount/credentials")
    assert ended.value.slug == "mount-unknown"
    again = mounted(town, code)
    assert write(again.producer(), topic, again.change("c", None, FIRST)) == []


def test_withdrawing_ends_the_writer_too(town: Town, place: Place) -> None:
    code = resource(town)
    system = mounted(town, code)
    place.operator.must(place.operator.step(code, "withdraw", "不再提供"))
    assert refused(system.producer()) in (KafkaError._TRANSPORT, KafkaError._AUTHENTICATION)


def test_a_new_version_of_the_contract_is_there_to_be_written(town: Town, place: Place) -> None:
    code = resource(town)
    system = mounted(town, code)
    place.operator.must(place.operator.step(code, "revise"))
    read = place.operator.get(f"/resources/{code}")
    more = {"name": "more", "title": "新增", "type": "string"}
    # an item gets another type: that breaks readers, and is agreed upon where there are any
    items = [*read.json()["draft"]["items"], more]
    next(item for item in items if item["name"] == "visits")["type"] = "string"
    draft = {**read.json()["draft"], "items": items}
    place.operator.must(place.operator.put(f"/resources/{code}/draft", draft, if_match=read.headers["ETag"]))
    publish(town.exchange, code)
    table = as_table(town, system, code)

    def granted() -> Any:
        try:
            return town.grant(table, ["id", "visits", "more"])
        except Refused:  # the demand side has not heard of the version yet
            return None

    reader = town.reader(eventually(granted, lambda found: found is not None, "the new item's grant"))
    row = {**FIRST, "visits": "often", "more": "x"}
    assert write(system.producer(), system.credentials["topic"], system.change("c", None, row)) == []
    reader.await_state({"a": {"id": "a", "visits": "often", "more": "x"}})
    reader.close()


def test_the_watch_tells_what_is_missing_and_renewing_mends_it(town: Town) -> None:
    code = resource(town)
    system = mounted(town, code)
    topic, user = system.credentials["topic"], system.credentials["username"]
    eventually(lambda: kinds(town, code), lambda found: found == [], "a first look that finds nothing")
    admin = admin_client(town.exchange.settings, "admin")
    deletion = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
    admin.alter_user_scram_credentials([deletion])[user].result(10)
    admin.delete_topics([topic])[topic].result(10)
    eventually(lambda: kinds(town, code), lambda found: found == ["topic_gone", "user_gone"], "what is gone")
    town.exchange.ask("POST", "catalog", f"/resources/{code}/mount/credentials")
    eventually(lambda: kinds(town, code), lambda found: found == [], "the end of it")

    # somebody registers a schema that lacks an item: it goes with the others, but not with the contract
    registry = town.exchange.registry
    schema = registry.schema(system.credentials["value_schema_id"])
    spoiled = json.loads(json.dumps(schema))
    row = spoiled["fields"][0]["type"][1]["fields"]
    row.remove(next(one for one in row if one["name"] == "visits"))
    registry.register(f"{topic}-value", spoiled)
    status = eventually(
        lambda: town.exchange.ask("GET", "catalog", f"/resources/{code}/mount"),
        lambda status: bool(status["findings"]), "the schema's misfit",
    )  # fmt: skip
    (finding,) = status["findings"]
    assert (finding["kind"], finding["items"], finding["weight"]) == ("schema_unfit", ["visits"], "warn")
    assert status["condition"] == "warn"


def test_what_a_topic_has_not_is_refused_plainly(town: Town, place: Place) -> None:
    code = resource(town)
    api = place.operator
    path = f"/resources/{code}/mount"
    tag = api.get(f"/resources/{code}").headers["ETag"]
    form = {"kind": "topic", "system": SYSTEM}
    for wrong, pointer in (({**form, "table": "t"}, "/table"), ({"system": SYSTEM, "table": "t"}, "/schema"),
                           ({**form, "kind": "api"}, "/upstream")):  # fmt: skip
        answer = api.put(path, wrong, if_match=tag)
        assert answer.status_code == 422 and [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    table = town.table({"id": "text"})
    answer = api.post(f"/resources/{table.code}/mount/credentials")
    assert answer.status_code == 409 and answer.json()["type"].endswith("mount-kind")
    mounted(town, code)
    answer = api.post(f"{path}/resnapshot", {}, accept_language="zh")
    assert answer.status_code == 409 and "挂接类型" in answer.json()["title"]
    answer = api.put(path, form, if_match=api.get(f"/resources/{code}").headers["ETag"])
    assert answer.status_code == 409 and answer.json()["type"].endswith("mount-exists")
