"""An upstream API over HTTP: where it may be, and one complete answer of it, page by page.

A provider names the address, so it is checked before every connection, which then goes to the very address that was
checked: http and https only, in the public network or in one of the networks that the place allows (the exchange
must not be a way into its own). Redirects and next pages stay with the same server, the secret goes nowhere else,
and time and size are bounded.
"""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn

import httpx

from services.catalog.domain.upstream import PagingKind, Unreadable, Upstream, next_parameter, rows_in
from services.core.reach import Address, Network, addresses_of, is_opened, is_public
from services.core.words import Words

MAX_BYTES = 64 * 1024**2
MAX_PAGES = 10_000
MAX_ROWS = 1_000_000
_WHOLE_SECONDS = 300.0
_TIMEOUT = httpx.Timeout(20.0, connect=5.0)
_MAX_REDIRECTS = 3
_AGENT = "tongshu-catalogue"


class UpstreamFailed(Exception):
    """The API cannot be asked, or does not answer as was agreed; `words` say why and repeat no data."""

    def __init__(self, words: Words) -> None:
        super().__init__(words)
        self.words = words


@dataclass(frozen=True, slots=True)
class Validators:
    """By what an answer is known again (RFC 9110, 8.8); empty where the API gives none."""

    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """All rows of an API, `pages` requests long; `whole` is false where only the first pages were asked for.

    Only an answer of one page has validators: what one page says of itself says nothing of the others.
    """

    rows: Sequence[Any]
    pages: int
    whole: bool
    validators: Validators = Validators()


def ask(
    upstream: Upstream,
    secret: str | None,
    allowed: Sequence[Network],
    known: Validators | None = None,
    *,
    pages: int = MAX_PAGES,
) -> Answer | None:
    """What the API answers, its first `pages` pages at most; None where that is what is `known` already.

    Raises UpstreamFailed; there is no half of an answer.
    """
    deadline = time.monotonic() + _WHOLE_SECONDS
    with httpx.Client(timeout=_TIMEOUT, trust_env=False, follow_redirects=False) as client:
        session = _Session(client, upstream, secret, allowed, deadline)
        try:
            return session.read(known, pages)
        except Unreadable as error:
            raise UpstreamFailed(error.words) from error


class _Session:
    """One round of questions to one server."""

    def __init__(
        self,
        client: httpx.Client,
        upstream: Upstream,
        secret: str | None,
        allowed: Sequence[Network],
        deadline: float,
    ) -> None:
        self._client, self._upstream, self._allowed, self._deadline = client, upstream, allowed, deadline
        self._secret = {upstream.header: secret} if upstream.header and secret else {}
        self._home, self._left = url_of(upstream.url), MAX_BYTES

    def read(self, known: Validators | None, pages: int) -> Answer | None:
        url, paging = self._home, self._upstream.paging
        if paging.kind is PagingKind.PAGE:
            url = url.copy_set_param(paging.parameter, str(paging.first))
        rows: list[Any] = []
        asked: set[str] = set()
        page, before = 0, b""
        while True:
            asked.add(str(url))
            headers = _conditions(known) if page == 0 else {}
            answer, data = self._get(url, headers)
            if answer.status_code == httpx.codes.NOT_MODIFIED and headers:
                return None
            if not answer.is_success:
                _fail(f"it answers {answer.status_code}", f"应答状态码为 {answer.status_code}")
            body = _json(data)
            page += 1
            found = rows_in(self._upstream, body)
            if found and data == before:
                _fail(f"page {page} is page {page - 1} again", f"第 {page} 页与上一页相同")
            before = data
            rows += found
            if len(rows) > MAX_ROWS:
                _fail(f"it has more than {MAX_ROWS} rows", f"超过 {MAX_ROWS} 行")
            following = self._following(answer, body, found, page)
            if following is None:
                first = answer.headers if page == 1 else {}
                seen = Validators(first.get("etag", ""), first.get("last-modified", ""))
                return Answer(rows, page, True, seen)
            if page == pages:
                if pages == MAX_PAGES:
                    _fail(f"it has more than {MAX_PAGES} pages", f"超过 {MAX_PAGES} 页")
                return Answer(rows, page, False)
            if str(following) in asked:
                _fail("its pages lead in a circle", "分页循环")
            url = following

    def _following(self, answer: httpx.Response, body: Any, rows: Sequence[Any], page: int) -> httpx.URL | None:
        paging = self._upstream.paging
        if paging.kind is PagingKind.LINK:
            target = answer.links.get("next", {}).get("url")
            return self._beside(answer.url.copy_with(host=self._home.host), target) if target else None
        parameter = next_parameter(paging, body, rows, page)
        return None if parameter is None else self._home.copy_set_param(paging.parameter, parameter)

    def _beside(self, url: httpx.URL, target: str) -> httpx.URL:
        """Where `target` leads from `url`, if that is the same server."""
        try:
            found = url.join(target)
        except httpx.InvalidURL:
            _fail("it leads to no valid address", "跳转地址无效")
        if _origin(found) != _origin(self._home):
            _fail(f"it leads to another server, {found.host}", f"跳转到另一服务器 {found.host}")
        return found

    def _get(self, url: httpx.URL, headers: Mapping[str, str]) -> tuple[httpx.Response, bytes]:
        """The answer and its body, with redirects followed on the same server."""
        for _ in range(_MAX_REDIRECTS + 1):
            answer, data = self._once(url, headers)
            if not answer.has_redirect_location:
                return answer, data
            url = self._beside(url, answer.headers["location"])
        raise UpstreamFailed(Words("it redirects too often", "重定向次数过多"))

    def _once(self, url: httpx.URL, headers: Mapping[str, str]) -> tuple[httpx.Response, bytes]:
        address = checked_address(url, self._allowed)
        # to the address that was checked, whatever the name leads to a moment later
        request = self._client.build_request(
            "GET", url.copy_with(host=str(address)),
            headers={"host": url.netloc.decode(), "accept": "application/json", "accept-encoding": "identity",
                     "user-agent": _AGENT,                     **headers, **self._secret},
            extensions={"sni_hostname": url.host},
        )  # fmt: skip
        try:
            answer = self._client.send(request, stream=True)
            try:
                return answer, self._body(answer)
            finally:
                answer.close()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            name = type(error).__name__
            raise UpstreamFailed(Words(f"it cannot be asked: {name}", f"无法访问：{name}")) from error

    def _body(self, answer: httpx.Response) -> bytes:
        parts = []
        for part in answer.iter_bytes():
            self._left -= len(part)
            if self._left < 0:
                _fail(f"it answers more than {MAX_BYTES >> 20} MiB", f"应答超过 {MAX_BYTES >> 20} MiB")
            if time.monotonic() > self._deadline:
                _fail(f"it takes longer than {_WHOLE_SECONDS:.0f} s", f"用时超过 {_WHOLE_SECONDS:.0f} 秒")
            parts.append(part)
        return b"".join(parts)


def checked_address(
    url: httpx.URL, allowed: Sequence[Network], resolve: Callable[..., Any] = socket.getaddrinfo
) -> Address:
    """The address to connect to; raises UpstreamFailed unless all that the name leads to may be reached."""
    try:
        addresses = addresses_of(url.host, url.port or 0, resolve)
    except (OSError, UnicodeError) as error:
        raise UpstreamFailed(Words(f"its name {url.host} is not known", f"域名 {url.host} 无法解析")) from error
    for address in addresses:
        if not is_public(address) and not is_opened(address, allowed):
            _fail(
                f"{address} is in a private network that the exchange is not allowed to reach",
                f"{address} 属于未获准访问的内部网络",
            )
    return addresses[0]


def url_of(text: str) -> httpx.URL:
    """An address that may be asked; raises UpstreamFailed."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        _fail("its address is not valid", "地址无效")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo:
        _fail("its address is none of http or https, or holds a login", "地址须为 http 或 https，且不得含登录信息")
    return url


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _conditions(known: Validators | None) -> dict[str, str]:
    if known is None:
        return {}
    named = {"if-none-match": known.etag, "if-modified-since": known.last_modified}
    return {name: value for name, value in named.items() if value}


def _json(data: bytes) -> Any:
    try:
        return json.loads(data, parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise UpstreamFailed(Words("its answer is not JSON", "应答不是有效的 JSON")) from error


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _fail(en: str, zh: str) -> NoReturn:
    raise UpstreamFailed(Words(en, zh))
