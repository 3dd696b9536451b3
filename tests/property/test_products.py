"""Data products: what a view may say, what its columns come from, and who may read what in the workroom.

The workroom is a real Postgres, closed by the bootstrap as that of an exchange is.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra import bootstrap, secrets
from infra.embedded.scratch import ScratchPostgres
from services.catalog.domain import product
from services.catalog.domain.product import Input, NotAView, Origin
from services.catalog.domain.resource import (
    Grade,
    Item,
    ItemType,
    Openness,
    Sensitivity,
    SharingType,
    Terms,
    UpdateCycle,
)
from services.catalog.workroom import ViewFailed, Workroom
from services.core import workroom
from services.core.settings import Settings
from services.sync.table.workroom import admit, sweep

OWNER, OTHER = "civil", "tax"
COLUMNS = {
    "person": {"id": "text", "house": "text", "name": "text", "age": "bigint", "paid": "bigint"},
    "house": {"id": "text", "region": "text", "size": "bigint"},
}
GRANTS = {"person": "a1", "house": "b2"}
INPUTS = {
    name: Input(
        schema=workroom.schema_of(OWNER),
        table=workroom.table_of(GRANTS[name]),
        items=dict.fromkeys(items, False),
    )
    for name, items in COLUMNS.items()
}


# -- what a view may say ---------------------------------------------------------------------------------------------

GOOD = "SELECT h.region, count(*) AS people FROM person p JOIN house h ON h.id = p.house GROUP BY h.region"
ONE = "SELECT h.id, h.region FROM house h"
REFUSED = {
    "SELECT id FROM house; DROP TABLE house": "2 statements",
    "DELETE FROM house": "not one SELECT",
    "SELECT id FROM house UNION SELECT id FROM house": "not one SELECT",
    "VALUES (1)": "not one SELECT",
    "COPY house TO PROGRAM 'id'": "not one SELECT",
    "EXPLAIN ANALYZE SELECT id FROM house": "not one SELECT",
    "SELECT id FROM": "cannot be read as SQL: line 1",
    "SELECT " + "(" * 400 + "1" + ")" * 400 + " AS id FROM house": "SQL",
    "SELECT * FROM house": "* is not allowed",
    "SELECT h.* FROM house h": "* is not allowed",
    "SELECT h.id FROM house h, person p": "join p by a key",
    "SELECT h.id FROM house h CROSS JOIN person p": "CROSS JOIN",
    "SELECT h.id FROM house h JOIN person p ON true": "not joined by a key",
    "SELECT h.id FROM house h JOIN person p ON h.id = p.house OR true": "not joined by a key",
    "SELECT h.id FROM house h JOIN person p ON p.house = p.house": "not joined by a key",
    "SELECT h.id FROM house h JOIN person p USING (id)": "join p by a key",
    "SELECT h.id FROM house h NATURAL JOIN person p": "NATURAL JOIN",
    "SELECT h.id FROM house h JOIN LATERAL (SELECT 1 AS id) l ON l.id = h.id": "LATERAL",
    "SELECT id FROM pg_catalog.house": "schema.name is not allowed",
    "SELECT passwd AS id FROM pg_shadow": "'pg_shadow' is no input; there are: house, person",
    "SELECT id FROM of_tax.g_c3": "schema.name is not allowed",
    "SELECT g.id FROM generate_series(1, 9) g(id)": "not allowed",
    "SELECT id FROM ONLY house": "only is not allowed",
    "SELECT id FROM house TABLESAMPLE SYSTEM (1)": "not allowed",
    "SELECT v.secret AS id FROM house AS v(secret)": "AS name(column, …)",
    "WITH w(a) AS (SELECT id FROM house) SELECT a AS id FROM w": "AS name(column, …)",
    "WITH RECURSIVE w AS (SELECT id FROM house) SELECT id FROM w": "recursive",
    "WITH w AS (DELETE FROM house RETURNING *) SELECT id FROM w": "not allowed",
    "SELECT id INTO copied FROM house": "INTO copied is not allowed",
    "SELECT id FROM house FOR UPDATE": "FOR UPDATE",
    "SELECT id FROM house ORDER BY 1": "ORDER BY",
    "SELECT id FROM house LIMIT 1": "LIMIT 1",
    "SELECT DISTINCT ON (id) id FROM house": "not allowed",
    "SELECT pg_sleep(9)::text AS id FROM house": "the function in PG_SLEEP(9)",
    "SELECT pg_read_file('/etc/passwd') AS id FROM house": "the function in PG_READ_FILE",
    "SELECT lo_import('/etc/passwd')::text AS id FROM house": "the function in LO_IMPORT",
    "SELECT nextval('x')::text AS id FROM house": "the function in NEXTVAL",
    "SELECT set_config('role', 'products', false) AS id FROM house": "the function in SET_CONFIG",
    "SELECT query_to_xml('select 1', true, true, '') AS id FROM house": "the function in QUERY_TO_XML",
    "SELECT now()::text AS id FROM house": "CURRENT_TIMESTAMP",
    "SELECT current_user AS id FROM house": "CURRENT_USER",
    "SELECT random()::text AS id FROM house": "RANDOM",
    "SELECT repeat(id, 1000000000) AS id FROM house": "REPEAT",
    "SELECT string_agg(id, ',') AS id FROM house": "STRING_AGG",
    "SELECT row_number() OVER () AS id FROM house": "OVER",
    "SELECT id::regclass AS id FROM house": "REGCLASS",
    "SELECT CAST(id AS text COLLATE \"C\") AS id FROM house": "collate",
    "SELECT EXTRACT(epoch FROM id) AS id FROM house": "EPOCH",
    "SELECT (SELECT max(id) FROM house) AS id FROM house": "not in an expression",
    "SELECT id FROM house WHERE EXISTS (SELECT 1 FROM person)": "not in an expression",
    "SELECT id FROM house WHERE id IN (SELECT house FROM person)": "not in an expression",
    "SELECT h AS id FROM house h": "h is not granted",
    "SELECT (h).id AS id FROM house h": "not allowed",
    "SELECT ctid AS id FROM house": "ctid is not granted",
    "SELECT tongshu_offset AS id FROM house": "tongshu_offset is not granted; there are: id, region, size",
    "SELECT id FROM house WHERE owner = 'x'": "owner is not granted",
    "SELECT id FROM house JOIN person ON person.house = house.id": "id is in house / person: say which",
    "SELECT upper(id) FROM house": "give UPPER(id) a name",
    "SELECT id, region AS id FROM house": "column id is there twice",
    "SELECT $1 AS id FROM house": "not allowed",
    "SELECT 1 AS id": "FROM is missing",
}  # fmt: skip


def refusal(text: str, inputs: Mapping[str, Input] = INPUTS) -> str:
    with pytest.raises(NotAView) as refused:
        product.read(text, inputs)
    assert all(one.pointer.startswith("/product/") and one.detail.zh for one in refused.value.defects)
    return "; ".join(str(one.detail) for one in refused.value.defects)


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_on_the_list_is_refused_in_words(text: str) -> None:
    assert REFUSED[text] in refusal(text)


def test_all_that_is_wrong_with_a_view_is_told_at_once() -> None:
    text = "SELECT\n  h.owner,\n  pg_sleep(1) AS s,\n  now() AS n\nFROM house h JOIN nobody n ON true\nLIMIT 3"
    told = refusal(text)
    wrongs = ["line 2: h.owner is not granted", "PG_SLEEP(1)", "CURRENT_TIMESTAMP", "LIMIT 3", "'nobody' is no input"]
    for wrong in [*wrongs, "n is not joined by a key"]:
        assert wrong in told


def test_an_input_that_is_not_read_and_a_join_by_a_mask_are_told() -> None:
    assert refusal(ONE) == "input person is not read"
    hidden = {**INPUTS, "house": replace(INPUTS["house"], items={"id": True, "region": False})}
    assert "h.id is masked by its grant" in refusal(GOOD, hidden)
    over = "SELECT k.id FROM (SELECT upper(id) AS id FROM house) k JOIN person p ON p.house = k.id"
    assert "k.id is masked by its grant" in refusal(over, hidden)


def test_what_runs_names_all_that_was_traced() -> None:
    """Nothing of a name is left to the database to find: it could find another column than the one that was traced."""
    text = (
        "WITH Names AS (SELECT id, region AS Ort FROM house)"
        " SELECT ORT, count(*) n FROM names JOIN person p ON p.house = names.id /* x */ GROUP BY ort"
    )
    view = product.read(text, INPUTS)
    assert view.statement == (
        'WITH "names" AS (SELECT "house"."id", "house"."region" AS "ort" FROM "of_civil"."g_b2" AS "house")'
        ' SELECT "names"."ort", COUNT(*) AS "n" FROM "names" JOIN "of_civil"."g_a1" AS "p"'
        ' ON "p"."house" = "names"."id" GROUP BY "names"."ort"'
    )
    assert view.columns == {"ort": {("house", "region")}, "n": set()}


# -- what a column comes from ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Term:
    """An expression of a made-up view: its type, and the items that it is computed from."""

    text: str
    type: str
    origins: frozenset[Origin]


@dataclass(frozen=True, slots=True)
class Made:
    """A made-up view: its columns, and the items that decide which rows there are."""

    text: str
    columns: Mapping[str, Term]
    deciding: frozenset[Origin]


def _joined(terms: Sequence[Term]) -> frozenset[Origin]:
    return frozenset().union(*(term.origins for term in terms))


@st.composite
def terms(draw: st.DrawFn, scope: Sequence[Term], kind: str, depth: int = 2) -> Term:
    """An expression of a type over the columns in scope."""
    fit = [term for term in scope if term.type == kind]
    literal = Term(
        draw(st.sampled_from(["'a'", "'bc'", "''"] if kind == "text" else ["0", "1", "7"])), kind, frozenset()
    )
    if depth == 0 or draw(st.booleans()):
        return draw(st.sampled_from(fit)) if fit and draw(st.integers(0, 5)) else literal

    def part(of: str = kind) -> Term:
        return draw(terms(scope, of, depth - 1))

    shape = draw(st.sampled_from(["case", "coalesce", "nullif", "own", "cast"]))
    if shape == "case":
        left, right, one, other = part("bigint"), part("bigint"), part(), part()
        text = f"CASE WHEN {left.text} > {right.text} THEN {one.text} ELSE {other.text} END"
        return Term(text, kind, _joined([left, right, one, other]))
    if shape == "cast":
        inner = part("bigint") if kind == "text" else part("text")
        text = f"CAST({inner.text} AS text)" if kind == "text" else f"length({inner.text})::bigint"
        return Term(text, kind, inner.origins)
    one, other = part(), part()
    if shape in ("coalesce", "nullif"):
        return Term(f"{shape}({one.text}, {other.text})", kind, _joined([one, other]))
    text = f"(upper({one.text}) || {other.text})" if kind == "text" else f"({one.text} + {other.text})"
    return Term(text, kind, _joined([one, other]))


@st.composite
def conditions(draw: st.DrawFn, scope: Sequence[Term]) -> Term:
    left, right = draw(terms(scope, "bigint", 1)), draw(terms(scope, "bigint", 1))
    text = draw(terms(scope, "text", 1))
    shape = draw(st.sampled_from([f"{left.text} >= {right.text}", f"NOT {text.text} IN ('a', 'bc')"]))
    return Term(shape, "boolean", _joined([left, right] if ">=" in shape else [text]))


@st.composite
def views(draw: st.DrawFn, depth: int = 1) -> Made:
    """A view over the inputs, or over such views; grouped or not."""
    scope: list[Term] = []
    deciding: frozenset[Origin] = frozenset()

    def relation(alias: str) -> str:
        nonlocal deciding
        if depth and draw(st.booleans()):
            inner = draw(views(depth - 1))
            scope.extend(replace(term, text=f"{alias}.{name}") for name, term in inner.columns.items())
            deciding |= inner.deciding
            return f"({inner.text}) {alias}"
        table = draw(st.sampled_from(sorted(COLUMNS)))
        for name, kind in COLUMNS[table].items():
            scope.append(Term(f"{alias}.{name}", kind, frozenset({(table, name)})))
        return f"{table} {alias}"

    text = f"FROM {relation('p')}"
    left = [term for term in scope if term.type == "text"]
    if left and draw(st.booleans()):
        before = len(scope)
        joined = relation("q")
        right = [term for term in scope[before:] if term.type == "text"]
        if right:
            one, other = draw(st.sampled_from(left)), draw(st.sampled_from(right))
            deciding |= one.origins | other.origins
            text += f" {draw(st.sampled_from(['JOIN', 'LEFT JOIN']))} {joined} ON {one.text} = {other.text}"
        else:
            del scope[before:]
    if draw(st.booleans()):
        where = draw(conditions(scope))
        deciding |= where.origins
        text += f" WHERE {where.text}"
    columns: dict[str, Term] = {}
    if draw(st.booleans()):
        groups = draw(st.lists(st.sampled_from(scope), min_size=1, max_size=2, unique=True)) if scope else []
        for term in groups:
            deciding |= term.origins
            columns[f"c{len(columns)}"] = term
        for _ in range(draw(st.integers(1, 2))):
            inner = draw(terms(scope, "bigint"))
            of_text = draw(terms(scope, "text"))
            made = draw(
                st.sampled_from(
                    [
                        Term("count(*)", "bigint", frozenset()),
                        Term(f"count(DISTINCT {of_text.text})", "bigint", of_text.origins),
                        Term(f"sum({inner.text})::bigint", "bigint", inner.origins),
                        Term(f"max({of_text.text})", "text", of_text.origins),
                        Term(f"coalesce(min({inner.text}), 0)", "bigint", inner.origins),
                    ]
                )
            )
            columns[f"c{len(columns)}"] = made
        if groups:
            text += f" GROUP BY {', '.join(term.text for term in groups)}"
    else:
        for kind in draw(st.lists(st.sampled_from(["text", "bigint"]), min_size=1, max_size=3)):
            columns[f"c{len(columns)}"] = draw(terms(scope, kind))
    projections = ", ".join(f"{term.text} AS {name}" for name, term in columns.items())
    return Made(f"SELECT {projections} {text}", columns, deciding)


@dataclass(slots=True)
class Room:
    """A workroom with the tables of two departments."""

    settings: Settings
    keeper: psycopg.Connection[Any]

    def fill(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        name = f"{INPUTS[table].schema}.{INPUTS[table].table}"
        self.keeper.execute(f"truncate {name}".encode())
        marks = ", ".join(["%s"] * len(COLUMNS[table]))
        with self.keeper.cursor() as cursor:
            cursor.executemany(f"insert into {name} values ({marks})".encode(), rows)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Room]:
    folder = tmp_path_factory.mktemp("secrets")
    secrets.make(folder)
    server = ScratchPostgres("tongshu_admin")
    try:
        server.start()
        here = Settings(postgres_port=int(server.dsn.rpartition(":")[2].partition("/")[0]), secrets=Path(folder))
        bootstrap.databases(here)
        bootstrap.databases(here)  # may be run again
        admit(here, [OWNER, OTHER])
        with psycopg.connect(workroom.address(here, workroom.KEEPER), autocommit=True) as keeper:
            for name, columns in COLUMNS.items():
                described = ", ".join(f"{column} {kind}" for column, kind in columns.items())
                keeper.execute(f"create table {INPUTS[name].schema}.{INPUTS[name].table} ({described})".encode())
            keeper.execute("create table of_tax.g_c3 (id text)")
            for schema, grants in (("of_civil", ["a1", "b2"]), ("of_tax", ["c3"])):
                keeper.execute(
                    f"create table {schema}.tongshu_offsets (grant_id text, partition int, next bigint, fill int,"
                    " rebuilding boolean)".encode()
                )
                for grant in grants:
                    keeper.execute(
                        f"insert into {schema}.tongshu_offsets values (%s, 0, 5, 0, false)".encode(), [grant]
                    )
            yield Room(here, keeper)
    finally:
        server.remove()


TEXTS = st.sampled_from(["a", "b", "bc", "", "京", None])
NUMBERS = st.one_of(st.none(), st.integers(-3, 9))
ROWS = {
    name: st.lists(st.tuples(*(TEXTS if kind == "text" else NUMBERS for kind in columns.values())), max_size=6)
    for name, columns in COLUMNS.items()
}


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(made=views(2), rows=st.fixed_dictionaries(ROWS), seed=st.integers(0, 999))
def test_a_column_tells_nothing_but_of_the_items_that_it_is_traced_to(
    room: Room, made: Made, rows: Mapping[str, Sequence[Sequence[Any]]], seed: int
) -> None:
    read = {name: INPUTS[name] for name in COLUMNS if f"{name} p" in made.text or f"{name} q" in made.text}
    view = product.read(made.text, read)
    assert view.columns == {name: term.origins for name, term in made.columns.items()}

    def seen() -> list[list[Any]]:
        with closing(Workroom(room.settings)) as asking, asking.moment(OWNER, 10) as moment:
            assert moment is not None
            names, found = moment.rows(view.statement, 10_000)
        assert names == list(view.columns)
        return [sorted((row[place] for row in found), key=repr) for place in range(len(names))]

    for name in COLUMNS:
        room.fill(name, rows[name])
    before = seen()
    chance = random.Random(seed)
    for table, columns in COLUMNS.items():
        for place, (item, kind) in enumerate(columns.items()):
            if (table, item) in made.deciding:
                continue
            other = ["x", "京京", None, "a"] if kind == "text" else [41, None, -9]
            changed = [[*row[:place], chance.choice(other), *row[place + 1 :]] for row in rows[table]]
            room.fill(table, changed)
            after = seen()
            room.fill(table, rows[table])
            for number, term in enumerate(made.columns.values()):
                assert (table, item) in term.origins or after[number] == before[number], (table, item, term.text)


# -- who may read what -----------------------------------------------------------------------------------------------


def test_a_department_reads_its_own_tables_and_changes_nothing(room: Room) -> None:
    room.fill("house", [("a", "3206", 2)])
    with closing(Workroom(room.settings)) as asking:
        with asking.moment(OWNER, 5) as moment:
            assert moment is not None and moment.rows("select id from of_civil.g_b2", 9) == (["id"], [("a",)])
            assert set(moment.places(["a1", "b2", "zz"])) == {"a1", "b2"}
            described = moment.describe("select id, size, size * 1.5 as more, now() as at from of_civil.g_b2")
            assert {one.name: one.type for one in described.values()} == {
                "id": "text", "size": "bigint", "more": "numeric", "at": "timestamp with time zone",
            }  # fmt: skip
        with asking.moment("nobody", 5) as moment:
            assert moment is None
        # whatever got past the reading of a view, the database refuses
        for statement in (
            "select id from of_tax.g_c3",
            "select 1 from pg_authid",
            "delete from of_civil.g_b2 returning id",
            "insert into of_civil.g_b2 values ('x') returning id",
            "select pg_read_file('/etc/hostname')",
            "select lo_create(0)",
        ):
            with asking.moment(OWNER, 5) as moment, pytest.raises(ViewFailed):
                assert moment is not None
                moment.rows(f"with x as ({statement}) select * from x", 9)
        with asking.moment(OWNER, 0.2) as moment, pytest.raises(ViewFailed, match="longer than"):
            assert moment is not None
            moment.rows("select pg_sleep(5)", 9)
    reader = psycopg.connect(workroom.address(room.settings, workroom.READER), autocommit=True)
    with closing(reader), pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("select id from of_civil.g_b2")
    # nobody else comes in at all
    stranger = workroom.address(room.settings, workroom.READER).replace(workroom.READER, "catalog")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(stranger)


def test_a_failing_view_says_why_and_quotes_no_row(room: Room) -> None:
    room.fill("house", [("王小明", "3206", 0)])
    failures = {
        "select 1 / size as n from of_civil.g_b2": "divides by zero",
        "select id::bigint as n from of_civil.g_b2": "casts a value",
        "select size, count(*) as n from of_civil.g_b2": "must appear in the GROUP BY clause",
    }
    with closing(Workroom(room.settings)) as asking:
        for statement, why in failures.items():
            with asking.moment(OWNER, 5) as moment, pytest.raises(ViewFailed, match=why) as failed:
                assert moment is not None
                moment.rows(statement, 9)
            assert "王" not in failed.value.words + failed.value.words.zh


def test_what_a_grant_has_left_goes_with_it(room: Room) -> None:
    room.keeper.execute("create table of_tax.g_d4 (id text)")
    room.keeper.execute("insert into of_tax.tongshu_offsets values ('d4', 0, 5, 0, false)")
    assert sweep(room.settings, {"a1", "b2", "c3"}) == ["d4"]
    assert room.keeper.execute("select to_regclass('of_tax.g_d4'), to_regclass('of_tax.g_c3') is null").fetchone() == (
        None,
        False,
    )
    assert sweep(room.settings, {"a1", "b2", "c3"}) == []


# -- how a product is handled ----------------------------------------------------------------------------------------

SENSITIVITIES = (Sensitivity.OPEN, Sensitivity.INTERNAL, Sensitivity.PERSONAL, Sensitivity.SECRET)


def resource(code: str, sensitivities: Sequence[Sensitivity], **more: Any) -> Terms:
    items = [
        Item(name=f"i{n}", title="项", type=ItemType.STRING, column=f"i{n}", sensitivity=one)
        for n, one in enumerate(sensitivities)
    ]
    return Terms(
        code=code,
        title="资源",
        abstract="资源",
        department="d",
        update_cycle=UpdateCycle.REAL_TIME,
        items=items,
        **more,
    )


HANDLING = st.fixed_dictionaries(
    {
        "sharing_type": st.sampled_from([SharingType.UNCONDITIONAL, SharingType.CONDITIONAL]),
        "grade": st.sampled_from([Grade.GENERAL, Grade.IMPORTANT]),
        "grade_level": st.one_of(st.none(), st.integers(1, 3)),
        "openness": st.builds(Openness, open=st.booleans()),
    }
)
OF = st.lists(st.sampled_from(SENSITIVITIES), min_size=3, max_size=3)


ORIGINS = st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from(["i0", "i1", "i2"])))


@given(HANDLING, HANDLING, HANDLING, OF, OF, OF, st.lists(ORIGINS, min_size=3, max_size=3))
def test_a_product_is_handled_as_strictly_as_all_that_it_comes_from(
    own: Any, a: Any, b: Any, of_own: Any, of_a: Any, of_b: Any, origins: Any
) -> None:
    terms_, inputs = resource("p", of_own, **own), {"a": resource("a", of_a, **a), "b": resource("b", of_b, **b)}
    columns = {f"i{n}": found for n, found in enumerate(origins)}
    told = {one.pointer for one in product.handling_defects(terms_, columns, inputs)}
    order = {one: n for n, one in enumerate(SENSITIVITIES)}

    def graver(one: Any) -> tuple[bool, int]:
        return one["grade"] is Grade.IMPORTANT, one["grade_level"] or 0

    wanted = {"/grade"} if max(graver(a), graver(b)) > graver(own) else set()
    if own["sharing_type"] is SharingType.UNCONDITIONAL and SharingType.CONDITIONAL in (
        a["sharing_type"],
        b["sharing_type"],
    ):
        wanted.add("/sharing_type")
    if own["openness"].open and not (a["openness"].open and b["openness"].open):
        wanted.add("/openness/open")
    given_ = {"a": of_a, "b": of_b}
    wanted |= {
        f"/items/{n}/sensitivity"
        for n, found in enumerate(origins)
        if any(order[given_[name][int(item[1])]] > order[of_own[n]] for name, item in found)
    }
    assert told == wanted
