"""The configuration files of the parts that are not ours, one copy for the embedded exchange and the containers.

`${UPPER}` in them is a place (an address, a folder), which the way of running decides; `${lower}` is the secret of that
name. The embedded exchange fills them in here, a container by `infra/compose/start.sh`, which keeps the same rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from string import Template

FOLDER = Path(__file__).parent


def filled_in(name: str, places: Mapping[str, str], secret: Callable[[str], str]) -> str:
    """The file `name` with its places and secrets; raises KeyError for a place that was not given."""
    template = Template((FOLDER / name).read_text())
    return template.substitute(
        {word: places[word] if word.isupper() else secret(word) for word in template.get_identifiers()}
    )


def postgres_settings() -> dict[str, str]:
    """What `postgresql.conf` says, by setting."""
    lines = (FOLDER / "postgresql.conf").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {setting.strip(): value.strip() for setting, value in pairs}
