"""Workbooks for Excel that are safe to open: every cell is text and stays text, whatever it begins with.

Nothing that somebody wrote is ever run as a formula. A file of the same content has the same bytes: no clock and no
compression, which differs between versions of zlib, goes into it.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable, Sequence
from datetime import datetime

from openpyxl import Workbook
from openpyxl.cell import Cell, WriteOnlyCell
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter
from openpyxl.worksheet._write_only import WriteOnlyWorksheet

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
MAX_ROWS = 1_048_576
MAX_CELL = 32_767
_CUT = "…（已截断）"
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
# characters that XML 1.0 cannot hold
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_BOLD = Font(bold=True)
_CENTRE = Alignment(horizontal="center", vertical="center", wrap_text=True)
EPOCH = datetime(1980, 1, 1)  # noqa: DTZ001 what zip and openpyxl take
_MODIFIED = re.compile(rb"(<dcterms:modified[^>]*>)[^<]*(</dcterms:modified>)")

Row = Sequence[str | None]


def add_sheet(book: Workbook, title: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """A sheet with a head of `columns` that stays in sight, and the rows."""
    sheet = book.create_sheet(title)
    for column in range(1, len(columns) + 1):
        sheet.column_dimensions[get_column_letter(column)].width = 18
    sheet.freeze_panes = "A2"
    sheet.append([head_cell(sheet, text) for text in columns])
    for row in rows:
        sheet.append([text_cell(sheet, text) for text in row])


def cell_text(text: str) -> str:
    """`text` as a cell can hold it: what XML cannot is replaced, what is too long is cut and says so."""
    # in XML every line end is a line feed
    legal = _ILLEGAL.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
    return legal if len(legal) <= MAX_CELL else legal[: MAX_CELL - len(_CUT)] + _CUT


def text_cell(sheet: WriteOnlyWorksheet, text: str | None) -> Cell | None:
    """A cell that is text whatever it begins with; None where there is nothing to say."""
    if not text:
        return None
    cell = WriteOnlyCell(sheet, cell_text(text))
    cell.data_type = "s"
    if text.startswith(_FORMULA):
        # so that it stays text after somebody edits the cell, too
        cell.quotePrefix = True
    return cell


def head_cell(sheet: WriteOnlyWorksheet, text: str | None) -> Cell | None:
    """A cell of the head of a sheet."""
    if text is None:
        return None
    cell = WriteOnlyCell(sheet, text)
    cell.font, cell.alignment = _BOLD, _CENTRE
    return cell


def timeless(data: bytes) -> bytes:
    """The same file without the moment it was written at: in its entries' times and in its properties."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as source, zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as target:
        # readers look for the list of parts first
        for name in sorted(source.namelist(), key=lambda name: (name != "[Content_Types].xml", name)):
            part = source.read(name)
            if name == "docProps/core.xml":
                part = _MODIFIED.sub(rb"\g<1>1980-01-01T00:00:00Z\g<2>", part)
            target.writestr(zipfile.ZipInfo(name, date_time=EPOCH.timetuple()[:6]), part)
    return out.getvalue()
