"""The audit log's tree, tiles, proofs and signatures, and that nothing can be changed in it unseen.

A log is sealed by the code that seals; what is checked is the verifier that auditors carry away, which shares only the
tree's right edge with it. The root is told by RFC 6962's own words.
"""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.audit import native
from services.audit.domain.entry import varint
from services.audit.domain.note import cosign, log_key, sign
from services.audit.domain.proof import Prover
from services.audit.tiles import TileStore, joined, reference_joined
from services.audit.verifier import (
    COSIGNATURE,
    SM3_SUFFIX,
    WIDTH,
    Checkpoint,
    Edge,
    Fault,
    Hashing,
    Key,
    NotSigned,
    Walk,
    check_excerpt,
    check_folder,
    digest_of,
    file_reader,
    hashing_of,
    is_consistent,
    is_signed_with_sm2,
    leaf_hashes,
    main,
    open_note,
    parse_key,
    root_from_inclusion,
    split,
    tile_path,
)

ORIGIN = "example.org/log"
KEY, OTHER, WITNESS = (Ed25519PrivateKey.from_private_bytes(bytes([one]) * 32) for one in range(3))
WITNESS_KEY = Key("witness.example/w", COSIGNATURE, WITNESS.public_key().public_bytes_raw())


def rfc_6962_root(leaves: list[bytes], new: Any = sha256) -> bytes:
    """MTH of RFC 6962, section 2.1, letter by letter; `leaves` are hashed already."""
    if not leaves:
        return bytes(new(b"").digest())
    if len(leaves) == 1:
        return leaves[0]
    split_at = 1
    while split_at * 2 < len(leaves):
        split_at *= 2
    left, right = rfc_6962_root(leaves[:split_at], new), rfc_6962_root(leaves[split_at:], new)
    return bytes(new(b"\x01" + left + right).digest())


def entry(number: int, content: str = "") -> bytes:
    return b"\x00\x00\x00\x00\x07" + varint(number) + f"{content or number * 7}".encode()


# sizes around which tiles begin, fill up and give rise to the next level
sizes = st.one_of(st.integers(1, 40), st.sampled_from([255, 256, 257, 511, 512, 513, 700]), st.integers(1, 700))


@cache
def leaves_of(count: int) -> list[bytes]:
    return each(leaf_hashes([entry(number) for number in range(count)]))


def each(hashes: bytes) -> list[bytes]:
    return [hashes[at : at + 32] for at in range(0, len(hashes), 32)]


# what this machine hashes logs with, and what the auditors carry away
both = st.sampled_from([native.hashing_of, hashing_of])


# -- the tree ----------------------------------------------------------------------------------------------------------


@given(sizes, st.lists(st.integers(1, 400), max_size=6), st.sampled_from([ORIGIN, ORIGIN + SM3_SUFFIX]), both)
def test_a_tree_that_grows_in_steps_has_the_root_of_rfc_6962(
    count: int, steps: list[int], origin: str, how: Callable[[str], Hashing]
) -> None:
    new, hashing = digest_of(origin), how(origin)
    grown = hashing.leaves([entry(number) for number in range(count)])
    leaves = [new(b"\x00" + entry(number)).digest() for number in range(count)]
    edge, at = Edge(hashing), 0
    tiles: dict[tuple[int, int], bytes] = {}
    for step in [*steps, count]:
        for level, index, tile in edge.append(grown[at * 32 : (at + step) * 32]):
            assert (level, index) not in tiles and len(tile) == 32 * WIDTH
            tiles[level, index] = tile
        at = min(at + step, count)
        assert edge.root() == rfc_6962_root(leaves[:at], new)
    full = count // WIDTH
    assert tiles == {(0, n): b"".join(leaves[n * WIDTH : (n + 1) * WIDTH]) for n in range(full)}


@given(sizes, both, st.data())
def test_proofs_from_tiles_hold_and_nothing_else_does(
    count: int, how: Callable[[str], Hashing], data: st.DataObject
) -> None:
    leaves = leaves_of(700)[:count]
    edge, tiles = Edge(hashing_of(ORIGIN)), dict[tuple[int, int], bytes]()
    tiles |= {(level, index): tile for level, index, tile in edge.append(b"".join(leaves))}
    tiles |= {(level, index): tile for level, index, tile in edge.partial()}
    prover = Prover(lambda level, index: tiles[level, index], how(ORIGIN))
    size = data.draw(st.integers(1, count))
    index = data.draw(st.integers(0, size - 1))
    root = rfc_6962_root(leaves[:size])
    assert prover.root(size) == root
    proof = prover.inclusion(index, size)
    assert root_from_inclusion(index, size, leaves[index], proof) == root
    other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index)) if size > 1 else None
    if other is not None:
        assert root_from_inclusion(other, size, leaves[index], proof) != root
        place = data.draw(st.integers(0, len(proof) - 1))
        forged = [*proof[:place], bytes(32), *proof[place + 1 :]]
        assert root_from_inclusion(index, size, leaves[index], forged) != root
    assert root_from_inclusion(index, size, leaves[index], [*proof, root]) is None
    assert not proof or root_from_inclusion(index, size, leaves[index], proof[:-1]) is None
    assert root_from_inclusion(size, size, leaves[index], proof) is None
    grown = data.draw(st.integers(size, count))
    path, later = prover.consistency(size, grown), rfc_6962_root(leaves[:grown])
    assert is_consistent(size, grown, root, later, path)
    assert not is_consistent(size, grown, bytes(32), later, path)
    assert not is_consistent(size, grown, root, bytes(32), path)
    assert not is_consistent(size, grown, root, later, [*path, root])
    with pytest.raises(ValueError, match="no entry"):
        prover.inclusion(size, size)


# -- notes -------------------------------------------------------------------------------------------------------------


@given(st.integers(0, 2**60), st.binary(min_size=32, max_size=32), st.data())
def test_a_checkpoint_holds_for_its_key_and_no_changed_letter(size: int, root: bytes, data: st.DataObject) -> None:
    key, told = log_key(ORIGIN, KEY), Checkpoint(ORIGIN, size, root)
    note = sign(told, KEY)
    assert open_note(note, key).checkpoint == told
    place = data.draw(st.integers(0, len(note.split("\n\n")[0]) - 1))
    changed = note[:place] + ("A" if note[place] != "A" else "B") + note[place + 1 :]
    with pytest.raises(NotSigned):
        open_note(changed, key)
    with pytest.raises(NotSigned):
        open_note(note, log_key(ORIGIN, OTHER))
    assert parse_key(key.text()) == key


# the example of GB/T 32918.5, annex A
SM2_SECRET = bytes.fromhex("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
SM2_PUBLIC = bytes.fromhex(
    "0409f9df311e5421a150dd7d161e4bc5c672179fad1833fc076bb08ff356f35020"
    "ccea490ce26775a52dc6ea718cc1aa600aed05fbf35e084a6632f6072da9ad13"
)
SM2_SIGNATURE = bytes.fromhex(
    "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"
    "b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"
)


def test_a_signature_of_sm2_is_that_of_the_standard() -> None:
    assert is_signed_with_sm2(SM2_PUBLIC, SM2_SIGNATURE, b"message digest")
    for place in (0, 31, 32, 63):
        wrong = SM2_SIGNATURE[:place] + bytes([SM2_SIGNATURE[place] ^ 1]) + SM2_SIGNATURE[place + 1 :]
        assert not is_signed_with_sm2(SM2_PUBLIC, wrong, b"message digest")
    assert not is_signed_with_sm2(SM2_PUBLIC, SM2_SIGNATURE, b"message digesT")
    assert not is_signed_with_sm2(SM2_PUBLIC, bytes(64), b"message digest")
    assert not is_signed_with_sm2(SM2_PUBLIC[:-1] + b"\x14", SM2_SIGNATURE, b"message digest")


@pytest.mark.skipif(not native.is_here(), reason="no Rust toolchain has built what signs with SM2")
@given(st.integers(0, 2**60), st.binary(min_size=32, max_size=32), st.data())
@settings(max_examples=20, deadline=None)
def test_a_checkpoint_that_sm2_signed_holds_for_its_key_alone(size: int, root: bytes, data: st.DataObject) -> None:
    private, origin = native.sm2_key(SM2_SECRET), ORIGIN + SM3_SUFFIX
    key, told = log_key(origin, private), Checkpoint(origin, size, root)
    assert key.public.endswith(SM2_PUBLIC) and parse_key(key.text()) == key
    note = sign(told, private)
    assert open_note(note, key).checkpoint == told
    place = data.draw(st.integers(0, len(note.split("\n\n")[0]) - 1))
    changed = note[:place] + ("A" if note[place] != "A" else "B") + note[place + 1 :]
    for wrong, by in (
        (changed, key),
        (note, log_key(origin, native.sm2_key(bytes(31) + b"\x07"))),
        (note, log_key(origin, KEY)),
    ):
        with pytest.raises(NotSigned):
            open_note(wrong, by)
    with pytest.raises(NotSigned):
        parse_key(key.text().replace(key.id().hex(), "00000000"))


@given(st.integers(0, 2**62))
def test_a_witness_s_cosignature_is_told_and_its_forgery_refused(seconds: int) -> None:
    told, key = Checkpoint(ORIGIN, 7, bytes(32)), log_key(ORIGIN, KEY)
    note = sign(told, KEY) + cosign(told, WITNESS_KEY.name, WITNESS, seconds)
    assert open_note(note, key, [WITNESS_KEY]).witnesses == {WITNESS_KEY.name: seconds}
    assert open_note(note, key).witnesses == {}, "a witness that nobody trusts is passed over"
    elsewhere = sign(told, KEY) + cosign(replace(told, size=8), WITNESS_KEY.name, WITNESS, seconds)
    with pytest.raises(NotSigned, match="witness"):
        open_note(elsewhere, key, [WITNESS_KEY])
    with pytest.raises(NotSigned):
        open_note(told.text() + "\n" + cosign(told, WITNESS_KEY.name, WITNESS, seconds), key, [WITNESS_KEY])


def test_a_checkpoint_reads_as_the_example_of_the_specification() -> None:
    """The note of C2SP tlog-cosignature."""
    note = (
        "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE"
        "+xeMcTOAYQ8=\n"
    )
    text, _, _ = note.rpartition("\n\n")
    root = base64.b64decode("CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=")
    assert Checkpoint("example.com/behind-the-sofa", 20852163, root).text() == text + "\n"


@pytest.mark.parametrize(
    ("path", "index", "width"), [("tile/0/x001/x234/067", 1234067, 256), ("tile/0/273.p/112", 273, 112)]
)
def test_paths_are_those_of_the_specification(path: str, index: int, width: int) -> None:
    assert tile_path(0, index, width) == path


# -- the folder --------------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.booleans(), st.data())
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
def test_a_store_that_was_cut_off_goes_on_from_where_it_is_safe(
    steps: list[int], natively: bool, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if not natively:
            patch.setattr(native, "engine", None)
        hashing = native.hashing_of(ORIGIN)
        store, at, kept = TileStore(Path(folder), hashing), 0, 0
        assert store.open() == 0
        for step in steps:
            entries = [entry(number) for number in range(at, at + step)]
            store.append(entries, leaf_hashes(entries))
            at += step
            if data.draw(st.booleans()):
                store.settle(at)
                kept = at
            if data.draw(
                st.booleans()
            ):  # what was grown and never written is forgotten; what is not settled is read again
                store.grow([entry(at)], leaf_hashes([entry(at)]))
                store = TileStore(Path(folder), hashing)
                assert store.open() == kept == store.size
                again = [entry(number) for number in range(kept, at)]
                store.append(again, leaf_hashes(again))
            assert store.root() == rfc_6962_root(leaves_of(2_000)[:at])
        size = data.draw(st.integers(1, at))
        width = size % WIDTH or WIDTH
        first = size - width
        bundle = store.read(tile_path("entries", first // WIDTH, width))
        assert bundle is not None and split(bundle) == [entry(number) for number in range(first, size)]
        assert store.read(tile_path(0, first // WIDTH, width)) == b"".join(leaves_of(2_000)[first:size])
        assert store.read(tile_path(0, at // WIDTH, at % WIDTH + 1)) is None


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=20), st.integers(0, 2**62), st.binary(max_size=40))
def test_bundles_and_numbers_are_read_alike(entries: list[bytes], first: int, raw: bytes) -> None:
    plain, quick = hashing_of(ORIGIN), native.hashing_of(ORIGIN)
    bundle = joined(entries)
    assert bundle == reference_joined(entries) and plain.split(bundle) == quick.split(bundle) == entries
    whole = [b"\x00\x00\x00\x00\x07" + varint(number) + raw for number in range(first, first + len(entries))]
    odd = [*whole[:-1], b"\x00\x00\x00\x00\x07" + raw]
    assert plain.numbered(whole, first) and quick.numbered(whole, first)
    assert plain.numbered(odd, first) == quick.numbered(odd, first)
    try:
        expected = plain.split(raw)
    except ValueError:
        with pytest.raises(ValueError, match="cut off"):
            quick.split(raw)
    else:
        assert quick.split(raw) == expected


# -- tampering ---------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Export:
    """A log as it is handed out, in memory: files by their path, and the notes in the order of their signing."""

    files: dict[str, bytes]
    notes: list[str]

    def faults(self) -> list[Fault]:
        plain, quick = (self._faults(hashing) for hashing in (hashing_of(ORIGIN), native.hashing_of(ORIGIN)))
        assert plain == quick, "two ways to hash, and two verdicts"
        return plain

    def _faults(self, hashing: Hashing) -> list[Fault]:
        walk = Walk(self.files.get, log_key(ORIGIN, KEY), self.notes, hashing=hashing)
        for _ in walk.run():
            pass
        return walk.faults

    def bundle(self, number: int) -> tuple[str, list[bytes]]:
        """The bundle that holds an entry."""
        prefix = tile_path("entries", number // WIDTH)
        path = next(one for one in self.files if one == prefix or one.startswith(prefix + ".p/"))
        return path, split(self.files[path])


def sealed(entries: list[bytes], stops: list[int], key: Ed25519PrivateKey = KEY) -> Export:
    edge, files = Edge(hashing_of(ORIGIN)), dict[str, bytes]()
    notes = []
    for first, last in pairwise([0, *stops]):
        for level, index, tile in edge.append(leaf_hashes(entries[first:last])):
            files[tile_path(level, index)] = tile
        notes.append(sign(Checkpoint(ORIGIN, last, edge.root()), key))
    for level, index, tile in edge.partial():
        files[tile_path(level, index, len(tile) // 32)] = tile
    for first in range(0, len(entries), WIDTH):
        bundle = entries[first : first + WIDTH]
        files[tile_path("entries", first // WIDTH, len(bundle))] = joined(bundle)
    return Export(files, notes)


@st.composite
def exports(draw: st.DrawFn, least: int = 3) -> tuple[Export, int]:
    count = draw(st.one_of(st.integers(least, 30), st.sampled_from([256, 257, 300]), st.integers(least, 300)))
    stops = draw(st.sets(st.integers(1, count - 1), max_size=4))
    return sealed([entry(number) for number in range(count)], [*sorted(stops), count]), count


@given(exports())
@settings(max_examples=100)
def test_what_nobody_touched_holds(made: tuple[Export, int]) -> None:
    assert made[0].faults() == []


Tamper = Callable[[st.DataObject, Export, int], tuple[str, str]]


def flip(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    number = data.draw(st.integers(0, count - 1))
    path, entries = log.bundle(number)
    content = bytearray(entries[number % WIDTH])
    content[data.draw(st.integers(5 + len(varint(number)), len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    entries[number % WIDTH] = bytes(content)
    log.files[path] = joined(entries)
    return "entry", f"entry {number}"


def flip_a_leaf(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    number = data.draw(st.integers(0, count - 1))
    prefix = tile_path(0, number // WIDTH)
    path = next(one for one in log.files if one == prefix or one.startswith(prefix + ".p/"))
    content = bytearray(log.files[path])
    content[number % WIDTH * 32] ^= 1
    log.files[path] = bytes(content)
    return "tile", prefix


def flip_a_node(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    above = [path for path in log.files if path.startswith("tile/1/")]
    if not above:
        return flip_a_leaf(data, log, count)
    content = bytearray(log.files[above[0]])
    content[data.draw(st.integers(0, len(content) - 1))] ^= 1
    log.files[above[0]] = bytes(content)
    return "tile", above[0]


def drop(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    number = data.draw(st.integers(0, count - 1))
    path, entries = log.bundle(number)
    log.files[path] = joined([*entries[: number % WIDTH], *entries[number % WIDTH + 1 :]])
    return "truncated", path


def insert(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    number = data.draw(st.integers(0, count - 1))
    path, entries = log.bundle(number)
    log.files[path] = joined([*entries[: number % WIDTH], entry(number, "slipped in"), *entries[number % WIDTH :]])
    return "inserted", path


def reorder(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    number = data.draw(st.integers(0, count - 2).filter(lambda one: one % WIDTH != WIDTH - 1))
    path, entries = log.bundle(number)
    at = number % WIDTH
    entries[at], entries[at + 1] = entries[at + 1], entries[at]
    log.files[path] = joined(entries)
    return "sequence", f"entry {number}"


def cut_short(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    path, _ = log.bundle(count - 1)
    log.files[path] = log.files[path][: -data.draw(st.integers(1, 3))]
    return "malformed", path


def delete_a_file(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    path = data.draw(st.sampled_from(sorted(log.files)))
    del log.files[path]
    return "missing", path


def roll_back(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    size = data.draw(st.integers(1, count - 1))
    root = rfc_6962_root(leaves_of(700)[:size])
    log.notes.append(sign(Checkpoint(ORIGIN, size, root), KEY))
    return "rollback", f"checkpoint {len(log.notes) - 1}"


def fork(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    """The owner of the key signs another history of the same length."""
    number = data.draw(st.integers(0, count - 1))
    other = sealed([entry(one, "another story" if one == number else "") for one in range(count)], [count])
    log.notes.append(other.notes[0])
    return "fork", f"checkpoint {len(log.notes) - 1}"


def rewrite(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    """Entries and tiles are made anew, consistently: only what was signed before stands against it."""
    number = data.draw(st.integers(0, count - 1))
    other = sealed([entry(one, "another story" if one == number else "") for one in range(count)], [count])
    log.files = other.files
    stops = [open_note(note, log_key(ORIGIN, KEY)).checkpoint.size for note in log.notes]
    return "root", f"checkpoint of {next(size for size in stops if size > number)}"


def sign_again(data: st.DataObject, log: Export, count: int) -> tuple[str, str]:
    """A whole other history under another key of the same name."""
    number = data.draw(st.integers(0, count - 1))
    other = sealed([entry(one, "another story" if one == number else "") for one in range(count)], [count], OTHER)
    log.files, log.notes = other.files, other.notes
    return "signature", "checkpoint 0"


TAMPERINGS = [flip, flip_a_leaf, flip_a_node, drop, insert, reorder, cut_short, delete_a_file, roll_back, fork, rewrite,
              sign_again]  # fmt: skip


@given(exports(), st.sampled_from(TAMPERINGS), st.data())
@settings(max_examples=1_200, suppress_health_check=[HealthCheck.too_slow])
def test_every_tampering_is_found_and_named(made: tuple[Export, int], tamper: Tamper, data: st.DataObject) -> None:
    log, count = made
    kind, where = tamper(data, log, count)
    named = [(fault.kind, fault.where) for fault in log.faults()]
    assert any(found == kind and place.startswith(where) for found, place in named), f"{kind} at {where}: {named}"


# -- what is carried away ----------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An exported log of 300 entries, as `./tongshu audit export` lays it out."""
    log = sealed([entry(number) for number in range(300)], [10, 256, 300])
    for path, content in log.files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    (tmp_path / "checkpoint").write_text(log.notes[-1])
    (tmp_path / "checkpoints").write_text("".join(json.dumps(note) + "\n" for note in log.notes))
    (tmp_path / "key").write_text(log_key(ORIGIN, KEY).text() + "\n")
    yield tmp_path
    shutil.rmtree(tmp_path)


def test_the_verifier_answers_yes_no_and_wrong_use(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    key = log_key(ORIGIN, KEY).text()
    assert main([str(folder), "--key", key]) == 0
    assert "300 entries, 3 checkpoints" in capsys.readouterr().out
    assert main([str(folder)]) == 0
    assert "believed" in capsys.readouterr().err
    assert main([str(folder), "--key", log_key(ORIGIN, OTHER).text()]) == 1
    assert main([str(folder / "nowhere"), "--key", key]) == 2
    path = folder / tile_path("entries", 1, 44)
    path.write_bytes(path.read_bytes().replace(b"2093", b"2094"))
    capsys.readouterr()
    assert main([str(folder), "--key", key]) == 1
    assert "entry 299: it is not the one that was sealed" in capsys.readouterr().out
    faults, _ = check_folder(folder, parse_key(key))
    assert [fault.kind for fault in faults] == ["entry"]


def test_an_excerpt_proves_each_of_its_entries(folder: Path) -> None:
    read = file_reader(folder)

    def tile(level: int, index: int) -> bytes:
        found = read(tile_path(level, index)) or read(tile_path(level, index, (300 // WIDTH**level) % WIDTH))
        assert found is not None
        return found

    prover, record = (
        Prover(tile, hashing_of(ORIGIN)),
        {"key": base64.b64encode(b"k").decode(), "value": base64.b64encode(b"v").decode()},
    )
    excerpt = {
        "checkpoint": (folder / "checkpoint").read_text(),
        "entries": [
            {
                "index": number,
                "entry": base64.b64encode(entry(number)).decode(),
                "proof": [base64.b64encode(one).decode() for one in prover.inclusion(number, 300)],
            }
            for number in (0, 255, 299)
        ],
    }
    key = log_key(ORIGIN, KEY)
    assert list(check_excerpt(excerpt, key)) == []
    excerpt["entries"][1]["record"] = record  # type: ignore[index]
    assert [fault.kind for fault in check_excerpt(excerpt, key)] == ["record"]
    excerpt["entries"][1]["index"] = 254  # type: ignore[index]
    assert {fault.kind for fault in check_excerpt(excerpt, key)} == {"sequence", "proof", "record"}
    assert [fault.kind for fault in check_excerpt({}, key)] == ["malformed"]
