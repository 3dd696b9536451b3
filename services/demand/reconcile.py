"""Reconciliation: the broker is compared with the grants every few seconds, and what was done by hand is put right.

A difference counts when two looks in a row have seen it: a grant that is being opened or closed is between the broker
and the database for a moment. Each is told as an event, with what was found and what was done about it.
"""

from __future__ import annotations

import threading

import structlog
from confluent_kafka import KafkaException
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from services.demand import credentials, store
from services.demand.demands import Demands
from services.demand.domain import grant as grants
from services.demand.domain import provisioning
from services.demand.domain.provisioning import Drift, Kind, State, user_of

log = structlog.get_logger()

_BY = "tongshu"


class BrokerWatch(threading.Thread):
    """Keeps the broker as the grants say, until the process ends."""

    def __init__(self, demands: Demands) -> None:
        super().__init__(name="broker watch", daemon=True)
        self._demands = demands
        self._suspected: set[Drift] = set()
        self._told: set[Drift] = set()

    def run(self) -> None:
        pause = threading.Event()
        while not pause.wait(self._demands.settings.broker_watch_seconds):
            try:
                self.look()
            except (KafkaException, OperationalError) as error:
                log.warning("the broker cannot be compared with the grants just now", reason=str(error))

    def look(self) -> None:
        """Put right what this look and the one before have seen. Raises KafkaException and OperationalError."""
        with self._demands.session() as session:
            watched = {grant.topic for grant in _active(session)}
        found = self._demands.broker.look(watched)
        # read after the broker: what was granted in between is known
        with self._demands.session() as session, session.begin():
            self._recognise(session, found)
            wanted = self._wanted(session, watched)
        seen = set(provisioning.drift(wanted, found))
        for drift in [one for one in provisioning.drift(wanted, found) if one in self._suspected]:
            self._mend(drift, found)
        self._suspected = seen
        self._told &= seen

    def _recognise(self, session: Session, found: State) -> None:
        """Remember the identity of share topics that are seen for the first time."""
        known = set(session.scalars(select(store.ShareTopic.name).where(store.ShareTopic.name.in_(found.topics))))
        for name, topic in found.topics.items():
            if name not in known and topic.identity is not None:
                session.add(store.ShareTopic(name=name, identity=topic.identity))
        session.flush()

    def _wanted(self, session: Session, watched: set[str]) -> State:
        active = _active(session)
        identities = dict(session.execute(select(store.ShareTopic.name, store.ShareTopic.identity)).tuples().all())
        users = {one.department: one.iterations for one in session.scalars(select(store.BrokerUser))}
        rights = {provisioning.group_right(department) for department in users}
        rights |= {provisioning.topic_right(one.topic, one.department) for one in active if "topic" in one.channels}
        topics = {
            one.topic: self._demands.broker.wanted_topic(one.topic, identities.get(one.topic))
            for one in active
            if one.topic in watched
        }
        return State(
            frozenset(rights),
            {user_of(name): frozenset({(provisioning.MECHANISM, mark)}) for name, mark in users.items()},
            topics,
        )

    def _mend(self, drift: Drift, found: State) -> None:
        """Put one difference right and tell of it; what cannot be put right is told once."""
        if drift in self._told:
            return
        done = self._act(drift, found)
        self._told.add(drift)
        with self._demands.session() as session, session.begin():
            grant = session.scalar(select(store.Grant).where(store.Grant.topic == drift.subject))
            department = grant.department if grant else drift.subject.removeprefix("User:").removeprefix("dept.")
            facts = {"kind": drift.kind.value, "found": drift.detail, "done": done}
            if grant and drift.kind in (Kind.TOPIC_REMOVED, Kind.TOPIC_REPLACED):
                self._fill_again(session, grant)
            thread = grant.thread if grant else department
            self._demands.publisher.happened(session, "broker_mended", drift.subject, department, thread, _BY, facts)
        log.warning("the broker was changed by hand", **facts, subject=drift.subject)

    def _act(self, drift: Drift, found: State) -> str:
        broker = self._demands.broker
        if drift.right is not None and drift.kind is Kind.RIGHT_ADDED:
            broker.forbid([drift.right])
            return "taken away"
        if drift.right is not None:
            broker.allow([drift.right])
            return "given back"
        if drift.kind is Kind.USER_ADDED:
            broker.remove_user(drift.subject, [name for name, _ in found.users[drift.subject]])
            return "taken away"
        if drift.kind in (Kind.USER_REMOVED, Kind.USER_ALTERED):
            self._restore_user(drift.subject, found)
            return "put back, with the password that was issued"
        if drift.kind is Kind.TOPIC_ALTERED:
            broker.restore_topic(drift.subject, found.topics[drift.subject])
            return "put back"
        if drift.kind is Kind.PARTITIONS_ADDED:
            return "nothing: a topic cannot lose partitions; grant anew to have one that keeps order"
        broker.make_share_topic(drift.subject)
        return "made again, and filled again from the beginning"

    def _restore_user(self, user: str, found: State) -> None:
        with self._demands.session() as session:
            kept = session.scalar(
                select(store.BrokerUser).where(store.BrokerUser.department == user.removeprefix("dept."))
            )
        if kept is not None:
            credentials.restore(self._demands, kept, found.users.get(user, frozenset()))

    def _fill_again(self, session: Session, grant: store.Grant) -> None:
        """Forget the topic that was, and have the relay serve the grant from the beginning."""
        known = session.get(store.ShareTopic, grant.topic)
        if known is not None:
            session.delete(known)
        grant = session.get_one(store.Grant, grant.id, with_for_update=True, populate_existing=True)
        if grant.state == grants.State.ACTIVE:
            grant.fill += 1
            self._demands.publisher.grant(session, grant, "grant_refilled", _BY)


def _active(session: Session) -> list[store.Grant]:
    return list(session.scalars(select(store.Grant).where(store.Grant.state == grants.State.ACTIVE)))
