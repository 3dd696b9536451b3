"""What must be on the broker for the grants that there are, and how what is found there differs.

The broker is changed by grants only. Whatever else is found there about departments and share topics was made by hand,
and is put back: a right, a user or a topic that is missing is made again, one that is too much is taken away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum

USER_PREFIX = "dept."
SHARE_PREFIX = "share."
# Users of the exchange itself: what they may do is not the grants' matter.
OWN_USERS = frozenset({"admin", "controller", "catalog", "demand", "sync", "audit", "connect", "watch", "console"})
MECHANISM = "SCRAM_SHA_512"


def user_of(department: str) -> str:
    """The broker user of a department; the prefix keeps departments apart from the exchange's own users."""
    return f"{USER_PREFIX}{department}"


@dataclass(frozen=True, slots=True, order=True)
class Right:
    """An ACL, in the broker's own words: `kind` TOPIC, GROUP, …; `pattern` LITERAL or PREFIXED."""

    principal: str
    kind: str
    name: str
    pattern: str = "LITERAL"
    operation: str = "READ"
    permission: str = "ALLOW"
    host: str = "*"

    def __str__(self) -> str:
        shown = f"{self.name}*" if self.pattern == "PREFIXED" else self.name
        place = "" if self.host == "*" else f" from {self.host}"
        return f"{self.principal} {self.permission} {self.operation} {self.kind} {shown}{place}"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic with the settings that are its own; `identity` is what the broker gave it when it was made."""

    partitions: int
    config: Mapping[str, str]
    identity: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """Rights, users (with each mechanism's SCRAM iterations) and share topics, as they are or as they must be."""

    rights: frozenset[Right]
    users: Mapping[str, frozenset[tuple[str, int]]]
    topics: Mapping[str, Topic]


class Kind(StrEnum):
    """What somebody has done by hand."""

    RIGHT_ADDED = "right_added"
    RIGHT_REMOVED = "right_removed"
    USER_ADDED = "user_added"
    USER_REMOVED = "user_removed"
    USER_ALTERED = "user_altered"
    TOPIC_REMOVED = "topic_removed"
    TOPIC_REPLACED = "topic_replaced"
    TOPIC_ALTERED = "topic_altered"
    PARTITIONS_ADDED = "partitions_added"


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference; `subject` is the user or topic, `right` the ACL in question."""

    kind: Kind
    subject: str
    detail: str
    right: Right | None = None


def topic_right(topic: str, department: str) -> Right:
    """What opens a share topic to a department."""
    return Right(f"User:{user_of(department)}", "TOPIC", topic)


def group_right(department: str) -> Right:
    """What lets a department's clients keep their place, in groups that bear its name."""
    return Right(f"User:{user_of(department)}", "GROUP", f"{department}.", "PREFIXED")


def concerns_grants(right: Right) -> bool:
    """Whether grants alone decide about an ACL: a department's, everybody's, or a stranger's on share topics."""
    user = right.principal.removeprefix("User:")
    if user.startswith(USER_PREFIX) or user == "*":
        return True
    reaches = right.name == "*" or right.name.startswith(SHARE_PREFIX)
    if right.pattern == "PREFIXED":
        reaches = reaches or SHARE_PREFIX.startswith(right.name)
    return right.kind == "TOPIC" and reaches and user not in OWN_USERS


def drift(wanted: State, found: State) -> list[Drift]:
    """All that was done by hand, in an order in which it can be put right: topics and users before rights."""
    return _topics(wanted.topics, found.topics) + _users(wanted.users, found.users) + _rights(wanted, found)


def _topics(wanted: Mapping[str, Topic], found: Mapping[str, Topic]) -> list[Drift]:
    drifts = []
    for name, topic in sorted(wanted.items()):
        there = found.get(name)
        if there is None:
            drifts.append(Drift(Kind.TOPIC_REMOVED, name, "the share topic is gone"))
            continue
        if topic.identity is not None and there.identity != topic.identity:
            drifts.append(Drift(Kind.TOPIC_REPLACED, name, "the share topic was removed and made again"))
        if dict(there.config) != dict(topic.config):
            drifts.append(Drift(Kind.TOPIC_ALTERED, name, _settings(topic.config, there.config)))
        if there.partitions != topic.partitions:
            counts = f"{there.partitions} partitions instead of {topic.partitions}"
            drifts.append(Drift(Kind.PARTITIONS_ADDED, name, counts))
    return drifts


def _settings(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    names = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    return ", ".join(f"{name}={found.get(name, '(none)')} instead of {wanted.get(name, '(none)')}" for name in names)


def _users(
    wanted: Mapping[str, Collection[tuple[str, int]]], found: Mapping[str, Collection[tuple[str, int]]]
) -> list[Drift]:
    drifts = []
    for user in sorted(wanted.keys() | {name for name in found if name.startswith(USER_PREFIX)}):
        if user not in wanted:
            drifts.append(Drift(Kind.USER_ADDED, user, "no credentials were issued to it"))
        elif user not in found:
            drifts.append(Drift(Kind.USER_REMOVED, user, "the user is gone"))
        elif set(found[user]) != set(wanted[user]):
            drifts.append(Drift(Kind.USER_ALTERED, user, "its password or mechanism was altered"))
    return drifts


def _rights(wanted: State, found: State) -> list[Drift]:
    there = {right for right in found.rights if concerns_grants(right)}
    added = [Drift(Kind.RIGHT_ADDED, right.principal, str(right), right) for right in sorted(there - wanted.rights)]
    removed = [Drift(Kind.RIGHT_REMOVED, right.principal, str(right), right) for right in sorted(wanted.rights - there)]
    return added + removed
