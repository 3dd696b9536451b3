"""The sample departments at work: inserts, updates, deletes and key changes on the sources, at a given rate."""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Any

import psycopg

from cli.demo.world import DEPARTMENTS, Generator, Row, Server

_PERSON_COLUMNS = DEPARTMENTS[0].tables["population.person"]
_ENTERPRISE_COLUMNS = DEPARTMENTS[1].tables["registry.enterprise"]


class Workload:
    """A seeded stream of committed changes on `population.person` and `registry.enterprise`.

    One in four changes moves a row into or out of some grant's sight; large values are mostly left untouched, as in
    life. `done` counts by kind.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self._people = server.connect(DEPARTMENTS[0])
        self._companies = server.connect(DEPARTMENTS[1])
        # another stream of invented rows than the one that filled the tables
        self._generator = Generator(seed ^ 0x5EED)
        self._random = self._generator.random
        self._ids = [row[0] for row in self._people.execute("select id_number from population.person order by 1")]
        self._codes = [row[0] for row in self._companies.execute("select uscc from registry.enterprise order by 1")]
        self._known = set(self._ids) | set(self._codes)
        self.done: Counter[str] = Counter()

    def run(self, rate: float, stop: threading.Event) -> None:
        """Change things at `rate` changes a second until `stop` is set; falls behind rather than hurry in bursts."""
        due = time.monotonic()
        while not stop.is_set():
            self.change()
            due = max(due + 1 / rate, time.monotonic() - 0.25)
            pause = due - time.monotonic()
            if pause > 0:
                time.sleep(pause)

    def change(self) -> None:
        """One change, committed when this returns."""
        people = self._random.random() < 0.7
        kind = self._random.choices(("insert", "update", "delete", "rekey"), (20, 65, 10, 5))[0]
        {
            ("insert", True): self._insert_person,
            ("insert", False): self._insert_company,
            ("update", True): self._update_person,
            ("update", False): self._update_company,
            ("delete", True): self._delete_person,
            ("delete", False): self._delete_company,
            ("rekey", True): self._rekey_person,
            ("rekey", False): self._rekey_company,
        }[kind, people]()
        self.done[kind] += 1

    def close(self) -> None:
        self._people.close()
        self._companies.close()

    def _insert_person(self) -> None:
        row = self._new(self._generator.person, "id_number")
        _insert(self._people, "population.person", _PERSON_COLUMNS, row)
        self._ids.append(row["id_number"])

    def _insert_company(self) -> None:
        row = self._new(self._generator.enterprise, "uscc")
        _insert(self._companies, "registry.enterprise", _ENTERPRISE_COLUMNS, row)
        self._codes.append(row["uscc"])

    def _update_person(self) -> None:
        new = self._generator.person()
        columns = self._random.choice(
            [("phone",), ("address", "household_no"), ("region", "address"), ("status",), ("name",), ("photo_note",)]
        )
        assignments = ", ".join(f"{column} = %({column})s" for column in columns)
        self._people.execute(
            f"update population.person set {assignments}, updated_at = now() where id_number = %(key)s".encode(),
            {**new, "key": self._random.choice(self._ids)},
        )

    def _update_company(self) -> None:
        new = self._generator.enterprise()
        columns = self._random.choice(
            [("registered_capital",), ("status",), ("legal_representative",), ("industry", "business_scope")]
        )
        assignments = ", ".join(f"{column} = %({column})s" for column in columns)
        self._companies.execute(
            f"update registry.enterprise set {assignments}, updated_at = now() where uscc = %(key)s".encode(),
            {**new, "key": self._random.choice(self._codes)},
        )

    def _delete_person(self) -> None:
        self._people.execute("delete from population.person where id_number = %s", (self._taken(self._ids),))

    def _delete_company(self) -> None:
        self._companies.execute("delete from registry.enterprise where uscc = %s", (self._taken(self._codes),))

    def _rekey_person(self) -> None:
        new = self._new(self._generator.person, "id_number")["id_number"]
        old = self._taken(self._ids)
        self._people.execute("update population.person set id_number = %s where id_number = %s", (new, old))
        self._ids.append(new)

    def _rekey_company(self) -> None:
        new = self._new(self._generator.enterprise, "uscc")["uscc"]
        old = self._taken(self._codes)
        self._companies.execute("update registry.enterprise set uscc = %s where uscc = %s", (new, old))
        self._codes.append(new)

    def _new(self, make: Any, key: str) -> Row:
        while True:
            row: Row = make()
            if row[key] not in self._known:
                self._known.add(row[key])
                return row

    def _taken(self, keys: list[str]) -> str:
        place = self._random.randrange(len(keys))
        keys[place], keys[-1] = keys[-1], keys[place]
        return keys.pop()


def _insert(connection: psycopg.Connection[Any], table: str, columns: Any, row: Row) -> None:
    values = ", ".join(f"%({column})s" for column in columns)
    connection.execute(f"insert into {table} ({', '.join(columns)}) values ({values})".encode(), row)
