"""Writers: the broker users of systems that fill a change topic themselves.

A writer may write its one topic, idempotently or in transactions whose ids begin with its name and a dot, and nothing
else. Its password is shown when it is made and kept nowhere.
"""

from __future__ import annotations

from concurrent.futures import Future

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramMechanism,
)

from services.core.kafka import issue_password, remove_user

_SECONDS = 30.0


def writer_name(system: str, resource: str) -> str:
    """The broker user that fills the topic of `resource`; the prefix keeps it apart from the exchange's own users."""
    return f"system.{system}.{resource}"


def transaction_prefix(user: str) -> str:
    """With what the transactional ids of a writer begin; the dot keeps those of longer names out."""
    return f"{user}."


class Writers:
    """The part of the broker that such mounts are about. Every method may be called again; raises KafkaException."""

    def __init__(self, admin: AdminClient) -> None:
        self._admin = admin

    def admit(self, user: str, topic: str) -> str:
        """Let `user` write `topic`: its new password, which ends the one before."""
        bindings = [
            self._allow(ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, user),
            self._allow(ResourceType.TRANSACTIONAL_ID, transaction_prefix(user), ResourcePatternType.PREFIXED, user),
        ]
        for created in self._admin.create_acls(bindings).values():
            created.result(_SECONDS)
        return issue_password(self._admin, user)

    def dismiss(self, user: str) -> None:
        """Take all its rights from `user`, connections that are open included, then the user itself."""
        everything = AclBindingFilter(
            ResourceType.ANY, None, ResourcePatternType.ANY, f"User:{user}", None,  # type: ignore[arg-type]
            AclOperation.ANY, AclPermissionType.ANY,
        )  # fmt: skip
        for removed in self._admin.delete_acls([everything]).values():
            removed.result(_SECONDS)
        remove_user(self._admin, user, [ScramMechanism.SCRAM_SHA_512])

    def users(self) -> set[str]:
        """All users that the broker knows."""
        described = self._admin.describe_user_scram_credentials()
        assert isinstance(described, Future), "all users are told by one answer"
        return set(described.result(_SECONDS))

    def topics(self) -> set[str]:
        """All change topics that there are."""
        return set(self._admin.list_topics(timeout=_SECONDS).topics)

    @staticmethod
    def _allow(kind: ResourceType, name: str, pattern: ResourcePatternType, user: str) -> AclBinding:
        return AclBinding(kind, name, pattern, f"User:{user}", "*", AclOperation.WRITE, AclPermissionType.ALLOW)
