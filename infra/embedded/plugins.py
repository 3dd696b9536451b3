"""Connect's plugins alone, as the lock has them: `python -m infra.embedded.plugins FOLDER`.

The image of Connect is built with it, so that containers run the very jars that the embedded exchange does.
"""

import sys
from pathlib import Path

from rich.console import Console

from infra.embedded.jars import ToolchainProblem
from infra.embedded.toolchain import bring_plugins


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m infra.embedded.plugins FOLDER", file=sys.stderr)
        return 2
    folder = Path(arguments[0]).absolute()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        bring_plugins(folder, Console(stderr=True))
    except ToolchainProblem as problem:
        print(problem, file=sys.stderr)
        return 1
    except OSError as problem:
        print(f"{problem.filename or folder} cannot be written: {problem.strerror}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
