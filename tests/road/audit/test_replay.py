"""What happened told again from the log, states worked out from it, and one record traced to all who received it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psycopg

import services.audit.verifier
from cli.exchange import Exchange
from services.core.settings import Settings
from tests.conftest import Tongshu
from tests.road.town import Town, eventually


def lines(tongshu: Tongshu, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in tongshu.must("audit", "replay", "--json", *words).splitlines()]


def test_a_grant_s_life_is_told_again(tongshu: Tongshu, delivered: dict[str, Any], tmp_path: Path) -> None:
    grant = delivered["grant"]
    told = lines(tongshu, "--grant", grant["id"])
    assert told[0]["type"].endswith("grant_opened.v1") or told[0]["type"].endswith("grant_state.v1")
    assert sum(one["records"] for one in told) == 301
    assert {one["thread"] for one in told} == {grant["thread"]}
    assert {one["sequence"] for one in lines(tongshu, "--thread", grant["thread"])} >= {one["sequence"] for one in told}
    place = next(f"{one['topic']}/{one['partition']}/{one['offset']}" for one in told if one["records"])
    (only,) = lines(tongshu, "--record", place)
    assert only["subject"] == grant["id"]
    shown = tongshu.must("audit", "replay", "--grant", grant["id"])
    assert "operator" in shown and "records" in shown
    excerpt = tmp_path / "excerpt.json"
    tongshu.must("audit", "replay", "--grant", grant["id"], "--bundle", str(excerpt))
    verifier = services.audit.verifier.__file__
    command = [sys.executable, "-I", verifier, str(excerpt)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    told_again = json.loads(excerpt.read_text())
    told_again["entries"][-1]["record"]["value"] = told_again["entries"][0]["record"]["value"]
    excerpt.write_text(json.dumps(told_again))
    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    assert tongshu("audit", "replay", "--record", "nonsense").status == 2


def test_grants_worked_out_from_the_log_are_those_of_the_service(
    tongshu: Tongshu, exchange: Exchange, town: Town, delivered: dict[str, Any]
) -> None:
    grant = town.grant(delivered["table"], ["id"], "market_supervision")
    exchange.ask("DELETE", "demand", f"/grants/{grant['id']}")

    def rebuilt() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(tongshu("audit", "replay", "--rebuild", "--json").out)
        return told

    told = eventually(rebuilt, lambda found: found["states"].get(grant["id"], {}).get("state") == "revoked", "it")
    assert told["differences"] == [] and told["faults"] == []
    assert told["states"][delivered["grant"]["id"]]["state"] == "active"
    before = told["states"][delivered["grant"]["id"]]["since"]
    then = json.loads(
        tongshu.must("audit", "replay", "--rebuild", "--json", "--as-of", before.split("+")[0].split(".")[0])
    )
    assert grant["id"] not in then["states"]


def test_one_record_is_traced_to_all_who_received_it(tongshu: Tongshu, town: Town, delivered: dict[str, Any]) -> None:
    table, first = delivered["table"], delivered["grant"]
    # the second sees a pseudonym where the key is
    second = town.live_grant(table, ["visits"], "market_supervision")
    words = ("audit", "trace", "--resource", table.code, "--key", "k7", "--json")

    def traced() -> dict[str, Any]:
        told: dict[str, Any] = json.loads(tongshu(*words).out)
        return told

    def by_grant(told: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        return {
            grant["id"]: [one for one in told["deliveries"] if one["grant"] == grant["id"]] for grant in (first, second)
        }

    told = eventually(traced, lambda found: all(by_grant(found).values()), "deliveries under both grants", 60)
    assert [one["op"] for one in told["changes"] if one["op"]][-2:] == ["c", "u"]
    found = by_grant(told)
    assert [one["op"] for one in found[first["id"]]][-2:] == ["c", "u"]
    assert {one["department"] for one in found[second["id"]]} == {"market_supervision"}
    whole = eventually(traced, lambda told: all(one["in_log"] for one in told["deliveries"]), "all of it sealed", 60)
    assert all(one["in_manifest"] in (True, None) for one in whole["deliveries"])
    assert any(one["in_manifest"] for one in whole["deliveries"])
    begun = time.monotonic()
    assert tongshu("audit", "trace", "--resource", table.code, "--key", "no such key").status == 0
    assert time.monotonic() - begun < 30
    assert tongshu("audit", "trace", "--resource", "nothing", "--key", "k7").status == 1


def test_the_key_index_holds_no_key_in_clear(exchange: Exchange, delivered: dict[str, Any]) -> None:
    here: Settings = exchange.settings

    with psycopg.connect(
        host=here.postgres_host, port=here.postgres_port, dbname=here.postgres_database, user="audit",
        password=exchange.home.secret("postgres_audit_password"),
    ) as connection:  # fmt: skip
        columns = connection.execute(
            "select column_name, data_type from information_schema.columns where table_name = 'key_places'"
        ).fetchall()
    assert {kind for _, kind in columns} <= {"bigint", "integer"}
