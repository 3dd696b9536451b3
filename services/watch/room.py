"""What the watch's routes need, and what a caller may see of the picture."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from services.core.identity import Role, Viewer
from services.core.problems import Problem
from services.core.settings import Settings
from services.core.words import Words
from services.watch.domain.alert import Cause
from services.watch.domain.book import Standing
from services.watch.domain.history import Point
from services.watch.domain.hops import Row
from services.watch.domain.lag import Rules
from services.watch.domain.places import Place
from services.watch.events import Publisher
from services.watch.picture import Board, GroupOnTopic, Picture, Topic

_WATCHERS = frozenset({Role.ADMINISTRATOR, Role.AUDITOR, Role.OPS})


@dataclass(frozen=True, slots=True)
class Room:
    """`curve` gives the points of a group from a time on, `wrong` what is wrong as a picture is looked at."""

    board: Board
    curve: Callable[[str, float], Sequence[Point]]
    rules: Rules
    sample_seconds: float
    session: Callable[[], Session]
    publisher: Publisher
    settings: Settings
    wrong: Callable[[Picture], Iterable[Cause]]

    def picture(self) -> Picture:
        """The newest; raises a 503 problem before the first sample."""
        picture = self.board.picture()
        if picture is None:
            raise Problem(
                503,
                "not-seen-yet",
                Words("Nothing is seen yet", "尚无监测数据"),
                Words("The first sample is being taken.", "正在进行首次采样。"),
                headers={"Retry-After": "2"},
            )
        return picture


def watches_all(viewer: Viewer) -> bool:
    """Whether `viewer` sees the whole exchange, and not only a department's part."""
    return bool(viewer.roles & _WATCHERS)


@dataclass(frozen=True, slots=True)
class Sight:
    """A picture as `viewer` may see it: all of it, or what concerns the viewer's own department."""

    picture: Picture
    viewer: Viewer

    @property
    def sees_all(self) -> bool:
        return watches_all(self.viewer)

    def _mine(self, department: str | None) -> bool:
        return self.sees_all or (department is not None and department == self.viewer.department)

    def place_of(self, one: Standing) -> Place:
        """Whose a group is."""
        if one.group.kind == "table":
            return self.picture.places.grant(one.group.name.removeprefix("table/"))
        return Place("group", self.picture.places.department_of_group(one.group.name))

    def standings(self) -> list[Standing]:
        return [one for one in self.picture.standings if self._mine(self.place_of(one).department)]

    def topics(self) -> list[Topic]:
        return [one for one in self.picture.topics if self._mine(one.place.department)]

    def readers(self, topic: Topic) -> list[GroupOnTopic]:
        """The groups on a topic that may be seen."""
        names = {one.group.name for one in self.standings()}
        return [one for one in topic.groups if one.name in names]

    def rows(self) -> Mapping[str, Sequence[Row]]:
        return {hop: [row for row in rows if self._mine(row.department)] for hop, rows in self.picture.rows.items()}

    def connectors(self) -> list[str]:
        places = self.picture.places
        return sorted(name for name in self.picture.connectors if self._mine(places.connector(name).department))
