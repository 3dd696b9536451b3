"""Replays: a consumer has what it was granted delivered once more, all of it, from a time on, or one row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import AwareDatetime, ConfigDict, Field
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from services.core import problems
from services.core.avro import RegistryUnavailable
from services.core.defects import Defect
from services.core.forms import Strict
from services.core.idempotency import IdempotentRoute
from services.core.identity import Consumer, Role, Viewer, may
from services.core.pages import Cursor, Limit, Page, page
from services.core.problems import Problem
from services.core.words import Words
from services.sync import replaying, store
from services.sync.projection.plan import grant_secret
from services.sync.room import Room, missing, oversees
from services.sync.ways import Ways

Watcher = Annotated[Viewer, may(Role.ADMINISTRATOR, Role.CONSUMER, Role.OPS, Role.AUDITOR)]
GrantId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,40}$")]
ReplayId = Annotated[str, Path(pattern=r"^[0-9a-f]{1,40}$")]
_DAY = timedelta(hours=24)


class State(StrEnum):
    """How far a replay is."""

    REQUESTED = "requested"
    RUNNING = "running"
    CANCELLING = "cancelling"  # until no row is left behind an older state of itself
    CANCELLED = "cancelled"
    DONE = "done"


class ReplayForm(Strict):
    """One of the three. What is delivered again comes with `op` r, or d where a row is gone."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    all: Annotated[Literal[True] | None, Field(description="Every row there is.")] = None
    since: Annotated[
        AwareDatetime | None,
        Field(alias="from", description="Changes written to the change topic from this time on."),
    ] = None
    key: Annotated[
        dict[Annotated[str, Field(max_length=40)], Annotated[str | int | bool, Field()]] | None,
        Field(min_length=1, max_length=20, description="One row by its key, as records of the grant have it.",
              examples=[{"id_number": "11010519491231002X"}]),
    ] = None  # fmt: skip


class ProgressOut(Strict):
    """Offsets of the change topic: at most as many changes, for compaction and transactions leave gaps."""

    done: int
    behind: int
    remaining_seconds: Annotated[float | None, Field(description="At the pace so far; null while that is not known.")]


class ReplayOut(Strict):
    id: str
    grant: str
    resource: str
    department: Annotated[str, Field(description="The consumer.")]
    mode: Literal["all", "since", "keys"]
    since: datetime | None
    keys: Annotated[int, Field(description="How many rows, where it is some only.")]
    reconciliation: Annotated[str | None, Field(description="The reconciliation that it mends.")]
    state: State
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
    records: Annotated[int, Field(description="Delivered in the partitions that are done.")]
    progress: Annotated[ProgressOut | None, Field(description="While it runs; null for single rows.")] = None


def router(ways: Ways, room: Room) -> APIRouter:
    routes = APIRouter(tags=["replays"], route_class=IdempotentRoute)
    of_a_grant = "/grants/{grant_id}/replays"

    def granted(grant_id: str, viewer: Viewer) -> Mapping[str, Any]:
        """A grant of the viewer's department; any for who oversees."""
        grant = room.grants.get(grant_id)
        if grant is None or not (oversees(viewer) or viewer.department == grant["department"]):
            raise missing("grant", grant_id)
        return grant

    def find(session: Session, grant_id: str, replay_id: str) -> store.Replay:
        one = session.get(store.Replay, replay_id, with_for_update=True)
        if one is None or one.grant != grant_id:
            raise missing("replay", replay_id)
        return one

    @routes.post(of_a_grant, status_code=202)
    def ask(grant_id: GrantId, form: ReplayForm, viewer: Consumer) -> ReplayOut:
        """Have a grant delivered once more. One replay of a grant runs at a time.

        While all, or what came since a time, is delivered again, new changes wait for their turn in it; other grants do
        not notice. No row goes back behind what was delivered of it again.
        """
        grant = granted(grant_id, viewer)
        keys = _keys(room, grant, form)
        now = datetime.now(UTC)
        with room.session() as session, session.begin():
            _require_leave(room, session, grant, now)
            one = replaying.ask(session, room.publisher, grant, viewer.name, now, since=form.since, keys=keys)
            session.flush()
            return _shown(one, ways)

    @routes.get("/replays")
    def list_all(
        viewer: Watcher,
        running: Annotated[bool, Query(description="Only those that have not ended.")] = False,
        since: Annotated[AwareDatetime | None, Query(description="Only those asked for from this time on.")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[ReplayOut]:
        """Replays of every grant that the caller may see; those of the own department, all for who oversees."""
        query = select(store.Replay)
        if not oversees(viewer):
            query = query.where(store.Replay.department == viewer.department)
        if running:
            query = query.where(store.Replay.ended_at.is_(None))
        if since is not None:
            query = query.where(store.Replay.asked_at >= since)
        with room.session() as session:
            found, following = page(session, query, [store.Replay.id], limit, cursor)
            return Page(items=[_shown(one, ways) for one in found], next=following)

    @routes.get(of_a_grant)
    def list_replays(grant_id: GrantId, viewer: Watcher, limit: Limit = 100, cursor: Cursor = None) -> Page[ReplayOut]:
        granted(grant_id, viewer)
        query = select(store.Replay).where(store.Replay.grant == grant_id)
        with room.session() as session:
            found, following = page(session, query, [store.Replay.id], limit, cursor)
            return Page(items=[_shown(one, ways) for one in found], next=following)

    @routes.get(of_a_grant + "/{replay_id}")
    def read_replay(grant_id: GrantId, replay_id: ReplayId, viewer: Watcher) -> ReplayOut:
        """How far a replay is, and how long it will still take."""
        granted(grant_id, viewer)
        with room.session() as session:
            one = find(session, grant_id, replay_id)
            return _shown(one, ways)

    @routes.delete(of_a_grant + "/{replay_id}", status_code=202)
    def cancel(grant_id: GrantId, replay_id: ReplayId, viewer: Consumer) -> ReplayOut:
        """End a replay as soon as no row would be left behind an older state of itself."""
        granted(grant_id, viewer)
        with room.session() as session, session.begin():
            one = find(session, grant_id, replay_id)
            if one.ended_at is None and one.state != State.CANCELLING:
                one.state = State.CANCELLING
                room.publisher.replay(session, one, "replay_cancelling", viewer.name)
                session.flush()
            return _shown(one, ways)

    return routes


def _keys(room: Room, grant: Mapping[str, Any], form: ReplayForm) -> list[bytes]:
    """Digests of the keys that are asked for; raises a 422 or 503 problem."""
    title = Words("The replay is not valid", "重放请求无效")
    if [form.all, form.since, form.key].count(None) != 2:
        detail = Words("say one of all, from and key", "须且只能给出 all、from、key 之一")
        problems.refuse("replay-invalid", title, [Defect("", detail)])
    resource = room.resources.get(grant["resource"])
    if form.key is None or resource is None:
        return []
    try:
        secret = grant_secret(bytes.fromhex(room.settings.secret("pseudonym_key")), grant["id"])
        return [replaying.digest_of(room.registry, secret, grant, resource, form.key)]
    except replaying.NotAKey as error:
        raise Problem(422, "replay-invalid", title, Words(str(error), "主键与该授权的记录不符")) from error
    except RegistryUnavailable as error:
        detail = Words("The schema registry does not answer.", "模式注册中心没有响应。")
        raise Problem(
            503, "registry-unavailable", Words("Not just now", "暂时无法处理"), detail, headers={"Retry-After": "5"}
        ) from error


def _require_leave(room: Room, session: Session, grant: Mapping[str, Any], now: datetime) -> None:
    """Raises a 409 or 429 problem where no replay may begin."""
    if grant["state"] != "active" or room.resources.get(grant["resource"]) is None:
        detail = Words("Nothing is delivered under this grant.", "该授权目前没有交付。")
        raise Problem(409, "grant-not-served", Words("The grant is not served", "该授权未在交付"), detail)
    # one after another, so that two callers do not both find that none runs
    session.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"replay {grant['id']}"))))
    if (running := replaying.under_way(session, grant["id"])) is not None:
        detail = Words(f"Replay {running.id} has not ended yet.", f"重放 {running.id} 尚未结束。")
        raise Problem(409, "replay-running", Words("A replay is running", "已有重放正在进行"), detail)
    query = select(store.Replay.asked_at).where(
        store.Replay.grant == grant["id"], store.Replay.asked_at > now - _DAY, store.Replay.reconciliation.is_(None)
    )
    lately = sorted(session.scalars(query))
    if len(lately) >= room.settings.replays_per_day:
        again = lately[len(lately) - room.settings.replays_per_day] + _DAY
        detail = Words(f"It may be replayed again at {again.isoformat()}.", f"可于 {again.isoformat()} 后再次重放。")
        raise Problem(
            429, "replayed-too-often", Words("Replayed too often", "重放过于频繁"), detail,
            headers={"Retry-After": str(int((again - now).total_seconds()) + 1)},
        )  # fmt: skip


def _shown(one: store.Replay, ways: Ways) -> ReplayOut:
    passed = ways.replaying(one.id) if one.ended_at is None else []
    progress = None
    if passed:
        done = sum(max(0, way.at - way.begun_at) for way in passed)
        behind = sum(max(0, way.end - way.at) for way in passed)
        took = (datetime.now(UTC) - one.asked_at).total_seconds()
        remaining = round(took * behind / done, 1) if done else None
        progress = ProgressOut(done=done, behind=behind, remaining_seconds=remaining)
    state = State.RUNNING if passed and one.state == State.REQUESTED else State(one.state)
    return ReplayOut(
        id=one.id,
        grant=one.grant,
        resource=one.resource,
        department=one.department,
        mode=one.mode,
        since=one.since,
        keys=len(one.keys),
        reconciliation=one.reconciliation,
        state=state,
        asked_by=one.asked_by,
        asked_at=one.asked_at,
        ended_at=one.ended_at,
        records=one.records,
        progress=progress,
    )
