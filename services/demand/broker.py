"""Provisioning: the broker state that follows from grants - share topics, departments' users and their ACLs.

A department's user reads the share topics of its live grants, in consumer groups named `<department>.…`, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ConfigSource,
    OffsetSpec,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)

from services.core import kafka
from services.core.kafka import HOUR_MS, ensure_topics, remove_user, set_password
from services.core.settings import Settings
from services.demand.domain.provisioning import Right, State, Topic, concerns_grants, group_right, topic_right, user_of

_SECONDS = 30.0


class Broker:
    """The part of the broker that grants decide about. Every method may be called again; raises KafkaException."""

    def __init__(self, admin: AdminClient, settings: Settings) -> None:
        self._admin, self._settings = admin, settings

    # -- making and taking away --------------------------------------------------------------------------------------

    def make_share_topic(self, name: str) -> None:
        ensure_topics(self._admin, [self._share_topic(name)], self._settings.replication_factor)

    def set_user(self, department: str, password: str, iterations: int) -> None:
        """Let the department's user log in with `password` only, and keep its place in groups of its name."""
        set_password(self._admin, user_of(department), password, iterations)
        self.allow([group_right(department)])

    def remove_user(self, user: str, mechanisms: Iterable[str]) -> None:
        """Take the user's means to log in away; what it does not have is fine."""
        remove_user(self._admin, user, [ScramMechanism[name] for name in mechanisms])

    def open(self, topic: str, department: str) -> None:
        """Let the department's user read `topic`."""
        self.allow([topic_right(topic, department)])

    def close(self, topic: str, department: str) -> None:
        """Let it read `topic` no longer."""
        self.forbid([topic_right(topic, department)])

    def allow(self, rights: Collection[Right]) -> None:
        if rights:
            for created in self._admin.create_acls([_binding(right) for right in rights]).values():
                created.result(_SECONDS)

    def forbid(self, rights: Collection[Right]) -> None:
        if rights:
            for removed in self._admin.delete_acls([_filter(right) for right in rights]).values():
                removed.result(_SECONDS)

    def restore_topic(self, name: str, found: Topic) -> None:
        """Give a share topic the settings that it was made with, and no others."""
        wanted = self.wanted_topic(name).config
        entries = [
            ConfigEntry(setting, value, incremental_operation=AlterConfigOpType.SET)
            for setting, value in wanted.items()
        ]
        entries += [
            ConfigEntry(setting, None, incremental_operation=AlterConfigOpType.DELETE)
            for setting in found.config.keys() - wanted.keys()
        ]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name, incremental_configs=entries)
        for altered in self._admin.incremental_alter_configs([resource]).values():
            altered.result(_SECONDS)

    # -- looking -----------------------------------------------------------------------------------------------------

    def wanted_topic(self, name: str, identity: str | None = None) -> Topic:
        """A share topic as it must be."""
        made = self._share_topic(name)
        return Topic(made.partitions, dict(made.new_topic(1).config or {}), identity)

    def look(self, topics: Collection[str]) -> State:
        """What the broker holds of rights and users, and of these `topics`."""
        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, None, None,  # type: ignore[arg-type]
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        rights = [_right(binding) for binding in self._admin.describe_acls(everything).result(_SECONDS)]
        asked: Any = self._admin.describe_user_scram_credentials()  # without names: one future, of all users
        described = asked.result(_SECONDS)
        users = {
            user: frozenset((info.mechanism.name, int(info.iterations)) for info in one.scram_credential_infos)
            for user, one in described.items()
        }
        return State(frozenset(filter(concerns_grants, rights)), users, self._topics(topics))

    def end_offsets(self, topic: str) -> dict[int, int]:
        """Where each partition of a topic ends now: the offset of the next record."""
        (described,) = self._admin.describe_topics(TopicCollection([topic])).values()
        partitions = [TopicPartition(topic, one.id) for one in described.result(_SECONDS).partitions]
        latest: Any = OffsetSpec.latest()  # type: ignore[no-untyped-call]
        ends = self._admin.list_offsets(dict.fromkeys(partitions, latest))
        return {where.partition: int(found.result(_SECONDS).offset) for where, found in ends.items()}

    def _topics(self, names: Collection[str]) -> dict[str, Topic]:
        if not names:
            return {}
        found: dict[str, tuple[int, str]] = {}
        for name, described in self._admin.describe_topics(TopicCollection(list(names))).items():
            try:
                one = described.result(_SECONDS)
                found[name] = (len(one.partitions), str(one.topic_id))
            except KafkaException as error:
                if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                    raise
        if not found:
            return {}
        topics = {}
        resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in found]
        for resource, configured in self._admin.describe_configs(resources).items():
            own = {
                entry.name: str(entry.value)
                for entry in configured.result(_SECONDS).values()
                if entry.source == ConfigSource.DYNAMIC_TOPIC_CONFIG.value
            }
            partitions, identity = found[resource.name]
            topics[resource.name] = Topic(partitions, own, identity)
        return topics

    def _share_topic(self, name: str) -> kafka.Topic:
        retention = str(self._settings.delete_retention_hours * HOUR_MS)
        return kafka.Topic(
            name,
            partitions=self._settings.share_partitions,
            compacted=True,
            config={"delete.retention.ms": retention},
        )


def _binding(right: Right) -> AclBinding:
    return AclBinding(
        ResourceType[right.kind], right.name, ResourcePatternType[right.pattern], right.principal, right.host,
        AclOperation[right.operation], AclPermissionType[right.permission],
    )  # fmt: skip


def _filter(right: Right) -> AclBindingFilter:
    return AclBindingFilter(
        ResourceType[right.kind], right.name, ResourcePatternType[right.pattern], right.principal, right.host,
        AclOperation[right.operation], AclPermissionType[right.permission],
    )  # fmt: skip


def _right(binding: Any) -> Right:
    return Right(
        principal=binding.principal,
        kind=binding.restype.name,
        name=binding.name,
        pattern=binding.resource_pattern_type.name,
        operation=binding.operation.name,
        permission=binding.permission_type.name,
        host=binding.host,
    )
