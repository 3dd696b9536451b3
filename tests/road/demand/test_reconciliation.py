"""What somebody does on the broker by hand is found within seconds, put right, and told."""

from __future__ import annotations

import uuid
from hashlib import sha256
from typing import Any

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
    UserScramCredentialDeletion,
)

from cli.exchange import Exchange
from services.core.kafka import set_password
from tests.road.town import Table, Town, eventually

SECONDS = 15.0


@pytest.fixture(scope="module")
def admin(exchange: Exchange) -> AdminClient:
    return exchange.admin()


@pytest.fixture(scope="module")
def table(town: Town) -> Table:
    return town.table({"id": "text", "name": "text"}, rows=[("1", "甲"), ("2", "乙")])


@pytest.fixture(scope="module")
def granted(town: Town, table: Table) -> dict[str, Any]:
    town.login("civil_affairs")
    return town.live_grant(table, ["id", "name"])


def told(exchange: Exchange, kind: str, subject: str) -> list[dict[str, Any]]:
    """The events that tell of such a finding."""
    events = [exchange.registry.decode(value)[1] for _, value, _ in exchange.read_all("demand.events") if value]
    mended = [event for event in events if event["type"] == "cn.tongshu.demand.broker_mended.v1"]
    return [event for event in mended if event["data"]["kind"] == kind and event["subject"] == subject]


def rights(admin: AdminClient, principal: str) -> set[tuple[str, str]]:
    """`(name, operation)` of the ACLs of a principal."""
    mine = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, principal, None,  # type: ignore[arg-type]
        AclOperation.ANY, AclPermissionType.ANY,
    )  # fmt: skip
    found: list[Any] = admin.describe_acls(mine).result(10)
    return {(one.name, one.operation.name) for one in found}


def test_a_right_that_no_grant_gives_is_taken_away(
    exchange: Exchange, admin: AdminClient, granted: dict[str, Any], table: Table
) -> None:
    for principal in ("User:dept.civil_affairs", f"User:mallory_{uuid.uuid4().hex[:6]}"):
        topic = table.topic if "dept" in principal else granted["topic"]
        binding = AclBinding(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, principal, "*",
            AclOperation.READ, AclPermissionType.ALLOW,
        )  # fmt: skip
        for made in admin.create_acls([binding]).values():
            made.result(10)
        eventually(
            lambda principal=principal, topic=topic: (topic, "READ") in rights(admin, principal),  # type: ignore[misc]
            lambda there: not there,
            "the hand-made right is gone",
            SECONDS,
        )
        (event,) = eventually(
            lambda principal=principal: told(exchange, "right_added", principal),  # type: ignore[misc]
            bool,
            "its event",
        )
        assert topic in event["data"]["found"] and event["data"]["done"] == "taken away"


def test_a_right_that_was_taken_is_given_back(admin: AdminClient, town: Town, granted: dict[str, Any]) -> None:
    mine = AclBindingFilter(
        ResourceType.TOPIC, granted["topic"], ResourcePatternType.LITERAL, "User:dept.civil_affairs", None,  # type: ignore[arg-type]
        AclOperation.ANY, AclPermissionType.ANY,
    )  # fmt: skip
    for removed in admin.delete_acls([mine]).values():
        assert removed.result(10)
    eventually(
        lambda: (granted["topic"], "READ") in rights(admin, "User:dept.civil_affairs"), bool, "it is back", SECONDS
    )
    reader = town.reader(granted)
    try:
        reader.await_records(2)
    finally:
        reader.close()


def test_a_password_that_somebody_else_set_is_put_back(
    exchange: Exchange, admin: AdminClient, town: Town, granted: dict[str, Any]
) -> None:
    user, before = "dept.civil_affairs", len(told(exchange, "user_altered", "dept.civil_affairs"))
    set_password(admin, user, "stolen", 4_096)
    eventually(lambda: len(told(exchange, "user_altered", user)), lambda count: count == before + 1, "found", SECONDS)
    removal = UserScramCredentialDeletion(user, ScramMechanism.SCRAM_SHA_512)
    for removed in admin.alter_user_scram_credentials([removal]).values():
        removed.result(10)
    eventually(lambda: told(exchange, "user_removed", user), bool, "found to be gone", SECONDS)
    reader = town.reader(granted)  # with the password that was issued before all that
    try:
        reader.await_records(2)
    finally:
        reader.close()


def test_a_user_that_nobody_issued_is_ended(exchange: Exchange, admin: AdminClient, granted: dict[str, Any]) -> None:
    user = f"dept.ghost_{uuid.uuid4().hex[:6]}"
    set_password(admin, user, "boo")
    eventually(lambda: told(exchange, "user_added", user), bool, "the ghost is found", SECONDS)
    asked: Any = admin.describe_user_scram_credentials()
    assert user not in asked.result(10)


def test_a_topic_gets_its_settings_and_itself_back(
    exchange: Exchange, admin: AdminClient, town: Town, table: Table, granted: dict[str, Any]
) -> None:
    topic = granted["topic"]
    change = ConfigEntry("cleanup.policy", "delete", incremental_operation=AlterConfigOpType.SET)
    more = ConfigEntry("retention.bytes", "100", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic, incremental_configs=[change, more])
    for altered in admin.incremental_alter_configs([resource]).values():
        altered.result(10)

    def settings() -> tuple[str, str]:
        asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
        (described,) = admin.describe_configs([asked]).values()
        found = described.result(10)
        return str(found["cleanup.policy"].value), str(found["retention.bytes"].value)

    eventually(settings, lambda found: found == ("compact", "-1"), "the settings", SECONDS)
    (event,) = eventually(lambda: told(exchange, "topic_altered", topic), bool, "its event")
    assert "cleanup.policy=delete instead of compact" in event["data"]["found"]

    for deleted in admin.delete_topics([topic]).values():
        deleted.result(10)
    eventually(
        lambda: told(exchange, "topic_removed", topic) + told(exchange, "topic_replaced", topic), bool, "gone", SECONDS
    )
    table.run("insert into {t} values ('3', '丙')")
    reader = town.reader(granted)
    try:
        reader.await_state({number: {"id": number, "name": name} for number, name in zip("123", "甲乙丙", strict=True)})
    finally:
        reader.close()


def test_an_api_key_is_told_once_and_only_its_digest_is_carried(exchange: Exchange, town: Town, table: Table) -> None:
    granted = town.grant(table, ["id"], channels=["api"])
    with pytest.raises(Exception, match="channel `api`"):
        exchange.ask("POST", "demand", f"/grants/{town.grant(table, ['id'])['id']}/api-keys", {})
    keys = [
        exchange.ask("POST", "demand", f"/grants/{granted['id']}/api-keys", {"ends_others": ends})["api_key"]
        for ends in (True, False, True)
    ]
    states = [
        exchange.registry.decode(value)[1]["api_key_digests"]
        for key, value, _ in eventually(
            lambda: exchange.read_all("demand.grants"),
            lambda found: sum(key.decode() == granted["id"] for key, _, _ in found) >= 4,
            "the grant's states",
        )
        if key.decode() == granted["id"] and value
    ]
    first, second, third = (sha256(key.encode()).hexdigest() for key in keys)
    assert states == [[], [first], [first, second], [third]]


def test_a_filter_is_told_in_words(town: Town, table: Table) -> None:
    granted = town.grant(table, ["id"], row_filter='name = "甲" and id starts with "1"')
    assert granted["row_filter_in_words"]["zh"] == "name等于“甲”，且id开头为“1”"
    assert granted["row_filter_in_words"]["en"] == "name is “甲” and id starts with “1”"
