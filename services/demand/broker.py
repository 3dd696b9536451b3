"""Provisioning: the broker state that follows from grants - share topics, departments' users and their ACLs.

A department's user reads the share topics of its live grants, in consumer groups named `<department>.…`, and nothing
else.
"""

from __future__ import annotations

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from services.core.kafka import HOUR_MS, Topic, ensure_topics, issue_password
from services.core.settings import Settings


def user_of(department: str) -> str:
    """The broker user of a department; the prefix keeps departments apart from the exchange's own users."""
    return f"dept.{department}"


class Broker:
    """The part of the broker that grants decide about. Every method may be called again; raises KafkaException."""

    def __init__(self, admin: AdminClient, settings: Settings) -> None:
        self._admin, self._settings = admin, settings

    def make_share_topic(self, name: str) -> None:
        retention = str(self._settings.delete_retention_hours * HOUR_MS)
        topic = Topic(
            name,
            partitions=self._settings.share_partitions,
            compacted=True,
            config={"delete.retention.ms": retention},
        )
        ensure_topics(self._admin, [topic], self._settings.replication_factor)

    def issue_credentials(self, department: str) -> str:
        """A new password of the department's user, which replaces the one before; it is kept nowhere."""
        password = issue_password(self._admin, user_of(department))
        groups = self._acl(ResourceType.GROUP, f"{department}.", ResourcePatternType.PREFIXED, department)
        self._create([groups])
        return password

    def open(self, topic: str, department: str) -> None:
        """Let the department's user read `topic`."""
        self._create([self._acl(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, department)])

    def close(self, topic: str, department: str) -> None:
        """Let it read `topic` no longer."""
        binding = AclBindingFilter(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, f"User:{user_of(department)}", "*",
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        for removed in self._admin.delete_acls([binding]).values():
            removed.result(30)

    def _acl(self, kind: ResourceType, name: str, pattern: ResourcePatternType, department: str) -> AclBinding:
        return AclBinding(
            kind, name, pattern, f"User:{user_of(department)}", "*", AclOperation.READ, AclPermissionType.ALLOW
        )

    def _create(self, bindings: list[AclBinding]) -> None:
        for created in self._admin.create_acls(bindings).values():
            created.result(30)
