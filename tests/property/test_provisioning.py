"""Whatever is done by hand on the broker is seen, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.demand.domain.provisioning import (
    MECHANISM,
    OWN_USERS,
    Kind,
    Right,
    State,
    Topic,
    concerns_grants,
    drift,
    group_right,
    topic_right,
    user_of,
)

DEPARTMENTS = st.sampled_from(["civil_affairs", "taxation", "health"])
CONFIG = {"cleanup.policy": "compact", "retention.ms": "-1"}


@st.composite
def states(draw: Any) -> State:
    """A broker as grants have made it."""
    departments = draw(st.sets(DEPARTMENTS, min_size=1))
    grants = draw(st.sets(st.tuples(st.sampled_from(sorted(departments)), st.integers(0, 5)), min_size=1))
    topics = {f"share.{department}.{number}": department for department, number in grants}
    return State(
        frozenset({group_right(one) for one in departments} | {topic_right(*one) for one in topics.items()}),
        {user_of(one): frozenset({(MECHANISM, draw(st.integers(8192, 12287)))}) for one in departments},
        {name: Topic(1, CONFIG, f"id of {name}") for name in topics},
    )


HANDS = st.sampled_from(list(Kind))


def by_hand(draw: Any, state: State, kind: Kind) -> tuple[State, str]:
    """The broker after somebody did this to it, and to whom or what it was done."""
    user, topic = draw(st.sampled_from(sorted(state.users))), draw(st.sampled_from(sorted(state.topics)))
    right = draw(st.sampled_from(sorted(state.rights)))
    there = state.topics[topic]
    match kind:
        case Kind.RIGHT_ADDED:
            added = draw(
                st.sampled_from(
                    [
                        Right("User:*", "TOPIC", "cdc.", "PREFIXED"),
                        Right("User:mallory", "TOPIC", topic),
                        Right("User:mallory", "TOPIC", "sh", "PREFIXED"),
                        Right("User:mallory", "TOPIC", "*"),
                        replace(right, permission="DENY"),
                        replace(right, operation="WRITE"),
                        replace(right, host="10.0.0.1"),
                    ]
                )
            )
            return replace(state, rights=state.rights | {added}), added.principal
        case Kind.RIGHT_REMOVED:
            return replace(state, rights=state.rights - {right}), right.principal
        case Kind.USER_ADDED:
            users = {**state.users, "dept.ghost": frozenset({(MECHANISM, 8192)})}
            return replace(state, users=users), "dept.ghost"
        case Kind.USER_REMOVED:
            return replace(state, users={name: one for name, one in state.users.items() if name != user}), user
        case Kind.USER_ALTERED:
            (mark,) = state.users[user]
            other = draw(
                st.sampled_from(
                    [frozenset({(MECHANISM, 4096)}), frozenset({mark, ("SCRAM_SHA_256", 8192)}), frozenset()]
                )
            )
            return replace(state, users={**state.users, user: other}), user
        case Kind.TOPIC_REMOVED:
            return replace(state, topics={name: one for name, one in state.topics.items() if name != topic}), topic
        case Kind.TOPIC_REPLACED:
            changed = replace(there, identity="another")
        case Kind.TOPIC_ALTERED:
            config = draw(st.sampled_from([{}, {**CONFIG, "cleanup.policy": "delete"}, {**CONFIG, "x": "1"}]))
            changed = replace(there, config=config)
        case Kind.PARTITIONS_ADDED:
            changed = replace(there, partitions=draw(st.integers(2, 9)))
    return replace(state, topics={**state.topics, topic: changed}), topic


@given(states(), HANDS, st.data())
def test_what_is_done_by_hand_is_told_as_what_it_is(wanted: State, kind: Kind, data: st.DataObject) -> None:
    found, subject = by_hand(data.draw, wanted, kind)
    (told,) = drift(wanted, found)
    assert (told.kind, told.subject) == (kind, subject)
    assert told.detail and (told.right is not None) == kind.startswith("right_")


@given(states(), st.sampled_from(sorted(OWN_USERS)), st.sampled_from(["share.", "cdc.", "share.a.b"]))
def test_what_the_exchange_does_itself_is_nobodys_hand(wanted: State, own: str, name: str) -> None:
    own_rights = {Right(f"User:{own}", "TOPIC", name, "PREFIXED", "WRITE"), Right("User:system.x.y", "TOPIC", "cdc.x")}
    found = replace(
        wanted,
        rights=wanted.rights | own_rights,
        users={**wanted.users, own: frozenset({(MECHANISM, 8192)})},
        topics={**wanted.topics, "share.ended.grant": Topic(1, {})},
    )
    assert drift(wanted, found) == []
    assert not any(map(concerns_grants, own_rights))
