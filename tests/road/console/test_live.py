"""One stream a browser: each is told what concerns him, nothing is lost by coming back, and nobody waits."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from cli.exchange import Exchange
from tests.road.catalog.office import Place
from tests.road.console.conftest import OWN_PASSWORD, Browser, Reception, must
from tests.road.town import Town, eventually


class Stream:
    """What a browser's EventSource takes in."""

    def __init__(self, browser: Browser, last_seen: str | None = None) -> None:
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.opened, self.ended = threading.Event(), threading.Event()
        headers = {"Last-Event-ID": last_seen} if last_seen else {}
        self._asked = (browser, headers)
        threading.Thread(target=self._read, daemon=True).start()
        assert self.opened.wait(20)

    def _read(self) -> None:
        browser, headers = self._asked
        try:
            with browser.http.stream("GET", "/api/console/v1/live", headers=headers, timeout=60) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream"), answer.read()
                event: dict[str, str] = {}
                for line in answer.iter_lines():
                    self.opened.set()
                    name, _, value = line.partition(": ")
                    if line:
                        event[name] = value
                        continue
                    if "event" in event:
                        self.events.append((event["event"], event.get("id", ""), json.loads(event["data"])))
                    event = {}
        except httpx.HTTPError:
            pass
        finally:
            self.ended.set()

    def of(self, name: str) -> list[dict[str, Any]]:
        return [data for kind, _, data in self.events if kind == name]

    def subjects(self) -> set[str]:
        return {data["subject"] for data in (*self.of("catalog"), *self.of("demand"))}

    def last_seen(self) -> str:
        """The id of the last event, once no other has followed for a while: publishing makes several."""
        while True:
            last = self.events[-1][1]
            time.sleep(1.0)
            if self.events[-1][1] == last:
                return last

    def await_subject(self, subject: str) -> None:
        eventually(self.subjects, lambda found: subject in found, f"word of {subject}")


@contextmanager
def looking_on(browser: Browser, last_seen: str | None = None) -> Iterator[Stream]:
    """Somebody's stream, who goes away in the end."""
    other = browser.again()
    yield Stream(other, last_seen)
    other.http.close()


def test_each_is_told_what_concerns_his_department_and_overseers_all(reception: Reception, place: Place) -> None:
    mine, other = place.office(), place.office()
    people = {
        "mine": reception.person("provider", department=mine.slug),
        "other": reception.person("provider", department=other.slug),
        "auditor": reception.known("auditor"),
        "ops": reception.known("ops"),
    }
    with (
        looking_on(people["mine"]) as own,
        looking_on(people["other"]) as others,
        looking_on(people["auditor"]) as auditor,
        looking_on(people["ops"]) as ops,
    ):
        code = place.published(mine)
        terms = mine.provider.get(f"/resources/{code}").json()["published"]
        drafted = must(mine.provider.post("/resources", {**terms, "code": f"{code}_2"}), 201)["code"]
        assert other.provider.post("/departments", {}).status_code == 403
        for stream in (own, auditor, ops):
            stream.await_subject(drafted)
        # what is in force is everybody's to see, a draft is not
        others.await_subject(code)
        eventually(lambda: refusals(auditor), bool, "the refusal")
        assert drafted not in others.subjects()
        assert refusals(others) + refusals(ops) == []
        told = next(one for one in own.of("catalog") if one["subject"] == drafted)
        assert told["department"] == mine.slug and told["type"].startswith("cn.tongshu.catalog.resource_")


def refusals(stream: Stream) -> list[dict[str, Any]]:
    return [one for one in stream.of("catalog") if "access_denied" in one["type"]]


def test_deliveries_are_told_by_the_second_to_those_who_deliver_and_receive(
    reception: Reception, town: Town, place: Place
) -> None:
    receiver = reception.known("consumer", "civil_affairs")
    stranger = reception.person("consumer", department=place.office().slug)
    table = town.table({"id": "text", "visits": "bigint"})
    grant = town.live_grant(table, ["id", "visits"])
    with looking_on(receiver) as received, looking_on(stranger) as nothing:
        table.run("insert into {t} select 'k' || n, n from generate_series(1, 50) n")

        def records() -> int:
            told = [one for tick in received.of("deliveries") for one in tick["grants"] if one["grant"] == grant["id"]]
            assert all(one["resource"] == table.code and one["latency_ms_max"] > 0 for one in told)
            return sum(one["records"] for one in told)

        eventually(records, lambda count: count == 50, "the delivered records")
        assert not [one for tick in nothing.of("deliveries") for one in tick["grants"] if one["grant"] == grant["id"]]


def test_who_comes_back_is_told_what_was_missed_or_to_look_again(reception: Reception, place: Place) -> None:
    office = place.office()
    person = reception.person("provider", department=office.slug)
    with looking_on(person) as stream:
        first = place.published(office)
        stream.await_subject(first)
        last_seen = stream.last_seen()
    missed = place.published(office)
    time.sleep(0.5)
    with looking_on(person, last_seen) as stream:
        stream.await_subject(missed)
        assert first not in stream.subjects()
        assert stream.of("reset") == []
    with looking_on(person, "another-run-7") as stream:
        eventually(lambda: stream.of("reset"), bool, "word to look again")
        assert stream.subjects() == set()


def test_a_stream_ends_with_its_session(reception: Reception) -> None:
    person = reception.person("auditor")
    with looking_on(person) as stream:
        must(person.own("DELETE", "/session"))
        assert stream.ended.wait(15)
        assert stream.of("signed-out") == [{}]


def test_no_one_person_takes_all_streams(reception: Reception, exchange: Exchange) -> None:
    login = reception.person("auditor").session()["me"]["login"]
    browser = Browser(exchange)
    must(browser.sign_in(login, OWN_PASSWORD))
    tabs = [browser.again() for _ in range(12)]
    for tab in tabs:
        Stream(tab)
    refused = browser.own("GET", "/live")
    assert refused.status_code == 429 and refused.headers["retry-after"]
    for tab in tabs:
        tab.http.close()
