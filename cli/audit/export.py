"""`./tongshu audit export`: the log as a folder that anybody can verify without us."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import services.audit.verifier
from cli.audit.reading import Log
from services.audit.verifier import WIDTH, tile_path
from services.core.avro import SCHEMAS


class IncompleteLog(Exception):
    """A part of the log that its checkpoint covers is not there."""


def export(log: Log, folder: Path) -> int:
    """Lay out the log up to its present checkpoint in `folder`; gives how many files that took.

    Raises FileExistsError when there is something there already, and IncompleteLog.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise FileExistsError(f"{folder} is not empty")
    files = 0
    for path in _paths(log.head.checkpoint.size):
        content = log.tiles.read(path)
        if content is None:
            raise IncompleteLog(f"{path} is missing; `./tongshu audit verify` tells more")
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
        files += 1
    (folder / "checkpoint").write_text(log.note)
    with (folder / "checkpoints").open("w") as file:
        for note in log.notes():
            file.write(json.dumps(note, ensure_ascii=False) + "\n")
    (folder / "key").write_text("".join(one.text() + "\n" for one in (log.key, *log.witnesses)))
    shutil.copy(services.audit.verifier.__file__, folder / "verify.py")
    shutil.copy(SCHEMAS / "audit.log.avsc", folder / "entry.avsc")
    return files + 5


def _paths(size: int) -> list[str]:
    """The files of a log of `size` entries."""
    found, level, units = [], 0, size
    while units:
        full, rest = divmod(units, WIDTH)
        for kind in (level, "entries") if level == 0 else (level,):
            found += [tile_path(kind, index) for index in range(full)]
            found += [tile_path(kind, full, rest)] if rest else []
        level, units = level + 1, full
    return found
