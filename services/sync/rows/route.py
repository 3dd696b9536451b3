"""`/api/sync/v1/resources/{code}/rows`: the hot route, plain ASGI.

A call is checked against the grant in memory, and answered with bytes that lie ready in Redis: one round trip, shared
by those that come at the same time, that also counts it against the grant's limits and says how far the topic had come.
No model is built.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.requests import Request

from services.core import identity
from services.core.identity import Find, Role
from services.core.problems import Problem, answer
from services.core.settings import Settings
from services.core.words import Words
from services.sync.rows.access import Access, Outcome, Under
from services.sync.rows.cache import lookup
from services.sync.rows.serving import Index, NoSuchValue, Served, canonical
from services.sync.rows.together import Found, Together, left_of_day
from services.sync.rows.wire import RedisAway, Wire

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BEFORE, AFTER = "/api/sync/v1/resources/", "/rows"
MOST_VALUES = 500
MOST_ROWS = 1_000
_MOST_BYTES = 1_000_000
_MOST_PRESENTED = 256
_FIELDS = ("item", "values", "grant")
_WAIT_SECONDS, _LOOK_SECONDS = 1.0, 0.005


class Asked(NamedTuple):
    """A look-up as it was asked for; `after` is the delivery that the answer must include."""

    item: str
    values: Sequence[str]
    after: tuple[int, int] | None
    is_batch: bool


class Denial(Problem):
    """A problem that ends a call, as the account of calls tells it."""

    def __init__(self, outcome: Outcome, status: int, slug: str, title: Words, why: Words, **more: Any) -> None:
        super().__init__(status, slug, title, why, **more)
        self.outcome = outcome


class Rows:
    """The route. `stale` says of a grant why its rows may be older than they may be; None that they are not."""

    def __init__(
        self,
        settings: Settings,
        wire: Wire,
        access: Access,
        find: Find,
        stale: Callable[[str], str | None],
    ) -> None:
        self._together, self._access, self._find, self._stale = Together(wire), access, find, stale
        self._rate, self._quota = settings.rows_per_second, settings.rows_per_day
        self.index = Index({}, {}, frozenset(), frozenset())

    def takes(self, scope: Scope) -> bool:
        path = scope["path"]
        return bool(path.startswith(BEFORE) and path.endswith(AFTER))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = time.perf_counter()
        code = scope["path"][len(BEFORE) : -len(AFTER)]
        noted: list[Any] = [(None, None, code if code in self.index.resources else None, None), "", None, ()]
        try:
            body, count, position = await self._answer(code, scope, receive, noted)
        except Denial as problem:
            self._access.note(
                noted[0], noted[1], problem.outcome, problem.slug, item=noted[2], digests=noted[3],
                took_us=_microseconds(begun),
            )  # fmt: skip
            await answer(Request(scope), problem)(scope, receive, send)
            return
        self._access.note(
            noted[0], noted[1], Outcome.ANSWERED, item=noted[2], digests=noted[3], rows=count, size=len(body),
            took_us=_microseconds(begun),
        )  # fmt: skip
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/json"),
                    (b"content-length", b"%d" % len(body)),
                    (b"cache-control", b"no-store"),
                    (b"tongshu-position", position),
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, code: str, scope: Scope, receive: Receive, noted: list[Any]) -> tuple[bytes, int, bytes]:
        """The body, how many rows are in it, and the position that it shows; fills in what is `noted` of the call."""
        if scope["method"] not in ("GET", "POST"):
            raise Denial(
                Outcome.INVALID, 405, "method-not-allowed", Words("Method not allowed", "不支持的方法"),
                Words("Rows are looked up by GET or POST.", "行查询只支持 GET 和 POST。"),
                headers={"Allow": "GET, POST"},
            )  # fmt: skip
        headers = dict(scope["headers"])
        candidates = self._candidates(code, headers.get(b"authorization", b""), noted)
        after = _after(headers.get(b"tongshu-after"))
        asked, named = _asked(scope, after) if scope["method"] == "GET" else await _asked_at_once(receive, after)
        served = self._chosen(code, candidates, named, noted)
        if asked.item not in served.query_keys:
            raise Denial(
                Outcome.INVALID, 422, "not-a-query-key", Words("Not a query key", "不是查询键"),
                Words(
                    f"Rows are not looked up by {asked.item!r} under this grant, but by: "
                    f"{', '.join(served.query_keys) or 'nothing'}.",
                    f"该授权不能按“{asked.item}”查询，可用的查询键：{'、'.join(served.query_keys) or '无'}。",
                ),
            )  # fmt: skip
        noted[2], kind = asked.item, served.query_keys[asked.item]
        try:
            digests = [served.digest(asked.item, canonical(kind, value)) for value in asked.values]
        except NoSuchValue as error:
            raise Denial(
                Outcome.INVALID, 422, "value-invalid", Words("A value is not valid", "取值无效"),
                Words(f"Item {asked.item!r}: {error}.", f"信息项“{asked.item}”的取值格式不符（{kind}）。"),
            ) from error  # fmt: skip
        noted[3] = digests
        if (why := self._access.why_not() or self._stale(served.id)) is not None:
            raise _unavailable(why)
        found = await self._look_up(served, asked, digests)
        if max(map(len, found.rows)) > MOST_ROWS:
            raise Denial(
                Outcome.INVALID, 422, "too-many-rows", Words("Too many rows", "结果过多"),
                Words(
                    f"More than {MOST_ROWS} rows have one value: look up by a narrower query key.",
                    f"同一取值的数据超过 {MOST_ROWS} 行：请使用更精确的查询键。",
                ),
            )  # fmt: skip
        if not asked.is_batch:
            (rows,) = found.rows
            return b'{"items":[%b]}' % b",".join(rows), len(rows), found.position
        parts = [
            b'{"value":%b,"rows":[%b]}' % (json.dumps(value, ensure_ascii=False).encode(), b",".join(rows))
            for value, rows in zip(asked.values, found.rows, strict=True)
        ]
        return b'{"items":[%b]}' % b",".join(parts), sum(map(len, found.rows)), found.position

    # -- who asks ----------------------------------------------------------------------------------------------------

    def _candidates(self, code: str, authorization: bytes, noted: list[Any]) -> Sequence[Served]:
        """The grants under which the caller may ask for the resource."""
        presented, digest = _presented(authorization)
        if presented:
            if digest in self.index.keys:
                noted[1] = digest[:12]
                return self.index.by_key.get((digest, code), ())
            viewer = identity.recognise(presented, self._find, datetime.now(UTC))
            if viewer is not None:
                noted[1] = viewer.name
                if Role.CONSUMER not in viewer.roles or viewer.department is None:
                    raise _not_allowed(
                        Words("Rows are for departments that were granted them.", "行查询仅限获得授权的部门。")
                    )
                noted[0] = (None, None, noted[0][2], viewer.department)
                return self.index.by_department.get((viewer.department, code), ())
        raise Denial(
            Outcome.DENIED, 401, "not-signed-in", Words("Not signed in", "未登录"),
            Words(
                "This needs a valid API key or token: send it as `Authorization: Bearer …`.",
                "需要有效的接口密钥或访问令牌：请在请求头中以 `Authorization: Bearer …` 提供。",
            ),
            headers={"WWW-Authenticate": "Bearer"},
        )  # fmt: skip

    def _chosen(self, code: str, candidates: Sequence[Served], named: str | None, noted: list[Any]) -> Served:
        """The one grant that is meant: the one that is named, or else the one that is in force."""
        now = time.time()
        if named is None and len(candidates) == 1 and candidates[0].why_not(now) is None:
            noted[0] = _under(candidates[0])
            return candidates[0]
        fitting = [one for one in candidates if named in (None, one.id)]
        open_ = [one for one in fitting if one.why_not(now) is None]
        if len(open_) == 1 or (open_ and named is not None):
            noted[0] = _under(open_[0])
            return open_[0]
        if len(open_) > 1:
            names = ", ".join(one.id for one in open_)
            raise Denial(
                Outcome.INVALID, 422, "grant-ambiguous", Words("Which grant?", "请指明授权"),
                Words(
                    f"Several grants fit: name one as `grant`: {names}.",
                    f"有多个授权适用，请以 grant 指明：{names}。",
                ),
            )  # fmt: skip
        if fitting:
            noted[0] = _under(fitting[0])
            why = fitting[0].why_not(now)
            raise _not_allowed(Words(f"Grant {fitting[0].id} {why}.", f"授权 {fitting[0].id} 已失效或尚未生效。"))
        raise _not_allowed(
            Words(
                f"No grant with the channel api lets you look up rows of {code!r}.",
                f"没有允许以接口方式查询“{code}”的授权。",
            )
        )

    # -- what is found -----------------------------------------------------------------------------------------------

    async def _look_up(self, served: Served, asked: Asked, digests: Sequence[bytes]) -> Found:
        """What is there of each value; counts the call against the grant's limits."""
        second, lookups = int(time.time()), [lookup(asked.item, digest) for digest in digests]
        try:
            found = await self._together.look_up(served.id, second, lookups)
            if found.in_day > self._quota:
                raise _limited(f"{self._quota} a day", f"每日 {self._quota} 次", left_of_day(second))
            if found.in_second > self._rate:
                raise _limited(f"{self._rate} a second", f"每秒 {self._rate} 次", 1)
            until = time.monotonic() + _WAIT_SECONDS
            while asked.after is not None and not _includes(found.position, asked.after):
                if time.monotonic() > until:
                    raise _unavailable("the delivery that was named is not here yet")
                await asyncio.sleep(_LOOK_SECONDS)
                found = await self._together.look_up(served.id, second, lookups, again=True)
        except RedisAway as error:
            raise _unavailable(str(error)) from error
        if not found.ready:
            raise _unavailable("the rows are being read again")
        return found


@lru_cache(maxsize=_MOST_PRESENTED)
def _presented(authorization: bytes) -> tuple[str, str]:
    """The key or token in the header, empty where there is none, and the hex digits of its SHA-256."""
    scheme, _, presented = authorization.decode("latin-1").partition(" ")
    presented = presented.strip() if scheme.lower() == "bearer" else ""
    return presented, hashlib.sha256(presented.encode()).hexdigest()


def _under(served: Served) -> Under:
    return served.id, served.thread, served.resource, served.department


def _microseconds(begun: float) -> int:
    return int((time.perf_counter() - begun) * 1_000_000)


def _includes(position: bytes, after: tuple[int, int]) -> bool:
    """Whether rows at `position` show the delivery `after` (partition and offset)."""
    places = dict(place.split(b":") for place in position.split(b",") if place)
    return int(places.get(b"%d" % after[0], 0)) > after[1]


def _asked(scope: Scope, after: tuple[int, int] | None) -> tuple[Asked, str | None]:
    """What is looked up, and the grant that was named."""
    pairs = _pairs(scope["query_string"])
    if len(pairs) == 1 and pairs[0][0] != "grant":
        item, value = pairs[0]
        return Asked(item, [value], after, is_batch=False), None
    named = [value for name, value in pairs if name == "grant"]
    asked = [(name, value) for name, value in pairs if name != "grant"]
    if len(asked) != 1 or len(named) > 1:
        raise _malformed("name one query key: ?item=value", "请指明一个查询键：?信息项=取值")
    return Asked(asked[0][0], [asked[0][1]], after, is_batch=False), named[0] if named else None


async def _asked_at_once(receive: Receive, after: tuple[int, int] | None) -> tuple[Asked, str | None]:
    """What a batch looks up, and the grant that was named."""
    try:
        body = json.loads(await _body(receive))
    except ValueError as error:
        raise _malformed("the body is not JSON", "请求体不是 JSON") from error
    item, values, grant = (body.get(name) for name in _FIELDS) if isinstance(body, dict) else (None, None, None)
    if (
        not isinstance(item, str)
        or not isinstance(values, list)
        or not all(isinstance(value, str) for value in values)
        or not (grant is None or isinstance(grant, str))
        or not set(body) <= set(_FIELDS)
    ):
        raise _malformed(
            'the body is {"item": …, "values": […]}, values written as texts',
            '请求体应为 {"item": …, "values": […]}，取值写作文本',
        )
    if not 1 <= len(values) <= MOST_VALUES:
        raise _malformed(f"name 1 to {MOST_VALUES} values", f"取值个数应为 1 至 {MOST_VALUES}")
    return Asked(item, values, after, is_batch=True), grant


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if b"&" not in query and b"%" not in query and b"+" not in query:
        name, is_, value = query.decode("latin-1").partition("=")
        return [(name, value)] if is_ else []
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True)


def _after(header: bytes | None) -> tuple[int, int] | None:
    if header is None:
        return None
    partition, is_, offset = header.partition(b":")
    if not (is_ and partition.isdigit() and offset.isdigit()):
        raise _malformed("Tongshu-After is partition:offset of a delivery", "Tongshu-After 应为交付记录的 分区:位移")
    return int(partition), int(offset)


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _malformed("the request ended early", "请求未完成")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > _MOST_BYTES:
            raise _malformed(f"the body is larger than {_MOST_BYTES} bytes", "请求体过大")
        if not message.get("more_body"):
            return b"".join(parts)


def _malformed(en: str, zh: str) -> Denial:
    title = Words("The request is not valid", "请求无效")
    return Denial(Outcome.INVALID, 422, "invalid-request", title, Words(f"Look-up: {en}.", f"查询：{zh}。"))


def _not_allowed(why: Words) -> Denial:
    return Denial(Outcome.DENIED, 403, "not-allowed", Words("Not allowed", "无权操作"), why)


def _unavailable(why: str) -> Denial:
    return Denial(
        Outcome.UNAVAILABLE, 503, "rows-unavailable", Words("Rows cannot be looked up just now", "暂时无法查询"),
        Words(f"Just now: {why}. Ask again.", "数据正在准备或服务暂不可用，请稍后重试。"), headers={"Retry-After": "1"},
    )  # fmt: skip


def _limited(en: str, zh: str, seconds: int) -> Denial:
    return Denial(
        Outcome.LIMITED, 429, "limit-reached", Words("Too many look-ups", "查询过于频繁"),
        Words(f"The grant's limit is reached: {en}.", f"已达到该授权的上限：{zh}。"),
        headers={"Retry-After": str(seconds)},
    )  # fmt: skip
