"""Makes jars.lock anew from jars.toml: `python -m infra.embedded.relock`.

For who maintains the exchange, after changing a wish; needs the network, and a minute.
"""

import sys
import tempfile
import threading
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from jgo.maven import Artifact, MavenContext

from infra.embedded.jars import LOCK, WISHES, Jar, digest
from infra.embedded.maven import download, maven

HEADER = "# Made by `python -m infra.embedded.relock` from jars.toml; do not edit.\n"


def closure(context: MavenContext, wish: dict[str, Any]) -> list[Artifact]:
    """What the wishes of one set need at run time, the wishes first, less what the worker provides."""
    asked = [context.create_dependency(text) for text in wish["wishes"]]
    if not wish.get("transitive", True):
        return [dependency.artifact for dependency in asked]
    first, rest = context.resolver.resolve(asked)
    rest.sort(key=lambda dependency: (dependency.groupId, dependency.artifactId))
    provided = wish.get("provided", [])
    needed = [one for one in rest if one.scope in ("compile", "runtime") and one.groupId not in provided]
    return [one.artifact for one in (*first, *needed)]


def wanted(context: MavenContext, wishes: dict[str, Any]) -> list[Jar]:
    """One entry a file, naming every set that needs it; sizes and digests are not known yet."""
    sets: dict[tuple[str, str, str, str, str], list[str]] = {}
    for name, wish in wishes.items():
        print(f"resolving {name}", file=sys.stderr)
        for artifact in closure(context, wish):
            key = (artifact.groupId, artifact.artifactId, artifact.version, artifact.classifier, artifact.packaging)
            sets.setdefault(key, []).append(name)
    return [Jar(*key, size=0, sha256="", sets=tuple(names)) for key, names in sets.items()]


def measured(jar: Jar, cache: Path) -> Jar:
    path = download(jar, cache, advance=lambda _size: None, stop=threading.Event())
    return replace(jar, size=path.stat().st_size, sha256=digest(path))


def entry(jar: Jar) -> str:
    fields = {name: getattr(jar, name) for name in ("group", "artifact", "version", "classifier", "packaging")}
    lines = [f'{name} = "{value}"' for name, value in fields.items()]
    sets = ", ".join(f'"{name}"' for name in jar.sets)
    return "\n".join(["[[jar]]", *lines, f"size = {jar.size}", f'sha256 = "{jar.sha256}"', f"sets = [{sets}]", ""])


def main() -> None:
    wishes = tomllib.loads(WISHES.read_text())
    with tempfile.TemporaryDirectory() as folder:
        jars = wanted(maven(Path(folder)), wishes)
        print(f"downloading {len(jars)} files", file=sys.stderr)
        with ThreadPoolExecutor(8) as pool:
            jars = list(pool.map(lambda jar: measured(jar, Path(folder)), jars))
    LOCK.write_text(HEADER + "\n" + "\n".join(entry(jar) for jar in jars))
    print(f"{len(jars)} files, {sum(jar.size for jar in jars) / 1e6:.0f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
