"""The drawing of a demand's life, docs/demand-states.md, made from the table.

`python -m services.demand.domain.drawing > docs/demand-states.md` writes it anew; a test compares the two.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

from services.demand.domain.clock import DEFAULTS, FATAL, OWNERS
from services.demand.domain.demand import ENDED, TRANSITIONS, Action, By, Case, State, Transition

_HEAD = """# The life of a demand

Made from `services/demand/domain/demand.py` by `python -m services.demand.domain.drawing > docs/demand-states.md`; a
test fails when the two differ. Steps of the rule are taken by the exchange itself: at once, by a fact, or by a clock.
"""
# The same from nearly everywhere: a drawing with all of them shows nothing.
_FROM_MANY = (Action.WITHDRAW, Action.LAPSE, Action.END, Action.REVOKE, Action.REOPEN, Action.LOSE)


def document() -> str:
    """The whole page."""
    return "\n".join([_HEAD, *_diagram(), "", *_many(), "", *_steps(), "", *_clocks(), ""])


def _diagram() -> Iterable[str]:
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {State.DRAFT}"
    seen: set[str] = set()
    for step in TRANSITIONS:
        line = f"    {step.source} --> {step.target}: {_label(step)}"
        if step.action not in _FROM_MANY and line not in seen:
            seen.add(line)
            yield line
    for state in sorted(ENDED):
        yield f"    {state} --> [*]"
    yield "```"


def _label(step: Transition) -> str:
    return f"{step.action} ({', '.join(sorted(step.by))})"


def _many() -> Iterable[str]:
    yield "From several states, not drawn:"
    yield ""
    for action in _FROM_MANY:
        steps = [step for step in TRANSITIONS if step.action is action]
        targets = sorted({step.target for step in steps})
        sources = ", ".join(sorted({step.source for step in steps}))
        yield f"- **{action}** ({', '.join(sorted(steps[0].by))}) → {', '.join(targets)}, from {sources}"


def _steps() -> Iterable[str]:
    yield "| from | step | when | who | needs | to | event | clocks |"
    yield "|---|---|---|---|---|---|---|---|"
    for step in TRANSITIONS:
        cells = (
            step.source, step.action, "" if step.case is Case.ALWAYS else step.case, ", ".join(sorted(step.by)),
            ", ".join(sorted(step.needs)), step.target, f"`{step.event}`", _clock_words(step),
        )  # fmt: skip
        yield "| " + " | ".join(cells) + " |"


def _clock_words(step: Transition) -> str:
    every = len(step.stops) == len(OWNERS)
    words = ["stops all" if every else f"stops {', '.join(sorted(step.stops))}"] if step.stops else []
    words += [f"starts {step.starts}"] if step.starts else []
    words += ["pauses the others"] if step.pauses else []
    words += ["resumes the others"] if step.resumes else []
    return "; ".join(words)


def _clocks() -> Iterable[str]:
    yield "| clock | whose | working days | warned before | runs out | from |"
    yield "|---|---|---|---|---|---|"
    for clock, (days, warned, source) in DEFAULTS.items():
        end = "the demand expires" if clock in FATAL else f"{By(OWNERS[clock])} is urged"
        yield f"| {clock} | {OWNERS[clock]} | {days} | {warned} | {end} | {source} |"


if __name__ == "__main__":
    sys.stdout.write(document())
