"""The log's tiles and bundles of entries, in a folder that any file server may show (C2SP tlog-tiles).

`audit.log` is what lasts; the folder is made from it and can be made again. So tiles are written without waiting for
the disk, and `settle` says from time to time how far they are safe: whoever opens the folder after a crash goes on from
there. Of a tile that is not full only the newest state lies in the folder: the earlier ones are its beginnings.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from services.audit import native
from services.audit.verifier import WIDTH, Edge, Hashing, tile_path

# the more wait at once, the more a commit of the file system's journal brings to the disk together
_SYNCING_THREADS = 32


class TilesBroken(Exception):
    """The folder does not hold what it must."""


class TileStore:
    """Writes the tiles of one log. One thread grows it; any thread may read."""

    def __init__(self, folder: Path, hashing: Hashing) -> None:
        self.folder, self.hashing = folder, hashing
        self._begin()

    def _begin(self) -> None:
        self._edge = Edge(self.hashing)
        self._bundle: list[bytes] = []
        self._partial: set[str] = set()
        self._unsettled: set[str] = set()
        self._waiting: dict[str, bytes] = {}

    @property
    def size(self) -> int:
        return int(self._edge.size)

    def root(self) -> bytes:
        return self._edge.root()

    def open(self) -> int:
        """Take up the log as it was settled last; gives the offset of the first record that is not in it yet.

        Raises TilesBroken when a file is missing or too short.
        """
        self._begin()
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            told = json.loads((self.folder / "position").read_text())
            size, offset = int(told["size"]), int(told["offset"])
        except FileNotFoundError:
            return 0
        except (ValueError, KeyError, TypeError) as error:
            raise TilesBroken(f"{self.folder / 'position'} is damaged") from error
        levels, width = list[bytes](), size
        while width:
            width, rest = divmod(width, WIDTH)
            raw = self.read(tile_path(len(levels), width, rest)) if rest else b""
            if raw is None:
                raise TilesBroken(f"the last tile of level {len(levels)} is missing or too short")
            levels.append(raw)
        if size % WIDTH:
            bundle = self.read(tile_path("entries", size // WIDTH, size % WIDTH))
            if bundle is None:
                raise TilesBroken("the last bundle of entries is missing or too short")
            self._bundle = self.hashing.split(bundle)
        self._edge = Edge(self.hashing, levels)
        return offset

    def reset(self) -> None:
        """Begin anew, with nothing."""
        for path in (self.folder / "tile", self.folder / "position"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        self._begin()

    def grow(self, entries: Sequence[bytes], leaves: bytes) -> None:
        """Take in entries and their leaf hashes in memory: `write` brings them into the folder, `open` forgets them."""
        first = self._edge.size
        for level, index, tile in self._edge.append(leaves):
            self._waiting[tile_path(level, index)] = tile
        waiting = [*self._bundle, *entries]
        index, full = first // WIDTH, len(waiting) // WIDTH
        for place in range(full):
            bundle = joined(waiting[place * WIDTH : (place + 1) * WIDTH])
            self._waiting[tile_path("entries", index + place)] = bundle
        self._bundle = waiting[full * WIDTH :]

    def write(self) -> None:
        """Write what has grown. Raises OSError; then nothing may be taken in before `open`."""
        self._put(self._waiting)
        self._waiting = {}
        partial = {tile_path(level, index, len(tile) // 32): tile for level, index, tile in self._edge.partial()}
        if self._bundle:
            partial[tile_path("entries", self.size // WIDTH, len(self._bundle))] = joined(self._bundle)
        self._put({path: content for path, content in partial.items() if path not in self._partial})
        kept = {(self.folder / path).parent for path in partial}
        for path in self._partial - partial.keys():
            gone = self.folder / path
            gone.unlink(missing_ok=True)
            self._unsettled.discard(path)
            # the tile is full, and lies beside the folder of its parts
            if gone.parent not in kept:
                with suppress(OSError):
                    gone.parent.rmdir()
        self._partial = set(partial)

    def append(self, entries: Sequence[bytes], leaves: bytes) -> None:
        """Take in entries and write them at once."""
        self.grow(entries, leaves)
        self.write()

    def _put(self, files: Mapping[str, bytes]) -> None:
        self._unsettled.update(files)
        if not native.write(self.folder, files):
            for path, content in files.items():
                self._write(path, content)

    def _write(self, path: str, content: bytes) -> None:
        target = self.folder / path
        made = target.with_name(f"{target.name}.new")
        try:
            file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        except FileNotFoundError:
            target.parent.mkdir(parents=True, exist_ok=True)
            file = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        try:
            os.write(file, content)
        finally:
            os.close(file)
        # a reader finds all of a tile or none of it
        made.replace(target)

    def settle(self, offset: int) -> None:
        """Wait until the disk has everything; from now on the log is taken up here, and `offset` is its next record."""
        self.settling(offset)()

    def settling(self, offset: int) -> Callable[[], None]:
        """What waits so, in whatever thread, while the log grows on; one at a time. What it gives raises OSError."""
        size, unsettled = self.size, self._unsettled
        self._unsettled = set()

        def wait() -> None:
            if not unsettled and (self.folder / "position").exists():
                return
            files = [self.folder / path for path in unsettled]
            paths = [*files, *{path.parent for path in files}]
            if not native.sync(paths, _SYNCING_THREADS):
                with ThreadPoolExecutor(_SYNCING_THREADS) as pool:
                    list(pool.map(_sync, paths))
            self._replace("position", json.dumps({"size": size, "offset": offset}), durable=True)

        return wait

    def publish(self, note: str) -> None:
        """Show `note` as the newest checkpoint; its tiles are there."""
        self._replace("checkpoint", note)

    def _replace(self, name: str, text: str, *, durable: bool = False) -> None:
        made = self.folder / f"{name}.new"
        with made.open("w") as file:
            file.write(text)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        made.replace(self.folder / name)

    def checkpoint(self) -> str | None:
        """The newest checkpoint; None before the first."""
        try:
            return (self.folder / "checkpoint").read_text()
        except FileNotFoundError:
            return None

    def keep_cosigned(self, note: str) -> None:
        """Keep `note` as the newest checkpoint that witnesses have cosigned."""
        self._replace("cosigned", note)

    def cosigned(self) -> str | None:
        """The newest checkpoint that witnesses have cosigned; None before the first."""
        try:
            return (self.folder / "cosigned").read_text()
        except FileNotFoundError:
            return None

    def signed_size(self) -> int:
        """How many entries the newest checkpoint covers; 0 before the first."""
        note = self.checkpoint()
        return int(note.split("\n")[1]) if note else 0

    def whole(self, level: int, index: int) -> bytes:
        """A tile as far as it has come under the newest checkpoint; raises TilesBroken where there is none."""
        width = min(WIDTH, self.signed_size() // WIDTH**level - index * WIDTH)
        found = self.read(tile_path(level, index, width)) if width > 0 else None
        if found is None:
            raise TilesBroken(f"tile {index} of level {level} is missing")
        return found

    def entries(self, first: int, last: int) -> list[bytes]:
        """The entries from `first` up to, not with, `last`; raises TilesBroken when one is missing."""
        found: list[bytes] = []
        for begin in range(first // WIDTH * WIDTH, last, WIDTH):
            bundle = self.read(tile_path("entries", begin // WIDTH, min(WIDTH, last - begin)))
            if bundle is None:
                raise TilesBroken(f"the bundle of entry {begin} is missing")
            found += self.hashing.split(bundle)[max(0, first - begin) :]
        return found

    def read(self, path: str) -> bytes | None:
        """A tile or bundle by its path; a part of one is cut from what it has grown to. None where there is none."""
        whole, _, width = path.partition(".p/")
        found = self._content(path) or (self._content(whole) if width else None)
        if found is None and width:
            grown = (self.folder / f"{whole}.p").glob("[0-9]*")
            larger = [one for one in grown if one.name.isdigit() and int(one.name) > int(width)]
            found = next((content for one in larger if (content := self._content(one))), None)
        if found is None or not width:
            return found
        return beginning(found, int(width), entries=path.startswith("tile/entries/"))

    def _content(self, path: str | Path) -> bytes | None:
        try:
            return (self.folder / path).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None


def _sync(path: Path) -> None:
    try:
        file = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # a part of a tile that has grown meanwhile
        return
    try:
        os.fsync(file)
    finally:
        os.close(file)


def joined(entries: list[bytes]) -> bytes:
    """A bundle: each entry behind its length in two bytes."""
    made = native.joined(entries)
    return made if made is not None else reference_joined(entries)


def reference_joined(entries: Sequence[bytes]) -> bytes:
    return b"".join([part for entry in entries for part in (len(entry).to_bytes(2, "big"), entry)])


def beginning(content: bytes, width: int, *, entries: bool) -> bytes | None:
    """The first `width` of a tile or bundle; None when it holds fewer."""
    if not entries:
        return content[: width * 32] if len(content) >= width * 32 else None
    at = 0
    for _ in range(width):
        if at + 2 > len(content):
            return None
        at += 2 + int.from_bytes(content[at : at + 2], "big")
    return content[:at] if at <= len(content) else None
