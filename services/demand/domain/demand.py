"""The life of a demand (需求), as one table: what may be done where, by whom, what it needs, what follows from it.

The road is: draft → submitted → accepted → in review → approved → provisioning → delivering → evaluated → closed. What
is unconditional is granted by rule in the moment it is submitted; in an emergency data flows first, papers follow.
A demand is returned for supplement once, with all that it lacks told at once, and its clocks pause meanwhile. A refusal
gives its reason and legal basis, and may be disputed: between the parties, before the data authority, before the
government.

The API offers what this table allows, the drawing in docs/demand-states.md is made from it, the tests walk it.
Sources: Order 809 (returning once and completely, reasons of a refusal, disputes climb); clocks are data of the place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from services.demand.domain.clock import Clock


class State(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    RETURNED = "returned"
    IN_REVIEW = "in_review"
    APPROVED = "approved"
    REFUSED = "refused"
    DISPUTED = "disputed"
    PROVISIONING = "provisioning"
    DELIVERING = "delivering"
    EVALUATED = "evaluated"
    CLOSED = "closed"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


ENDED = frozenset({State.CLOSED, State.WITHDRAWN, State.EXPIRED})
GRANTED = frozenset({State.PROVISIONING, State.DELIVERING, State.EVALUATED})
EDITABLE = frozenset({State.DRAFT, State.RETURNED})


class Action(StrEnum):
    SUBMIT = "submit"
    ACCEPT = "accept"
    MATCH = "match"
    CATALOGUE = "catalogue"
    RETURN = "return"
    SUPPLEMENT = "supplement"
    APPROVE = "approve"
    REFUSE = "refuse"
    DISPUTE = "dispute"
    ESCALATE = "escalate"
    OVERTURN = "overturn"
    UPHOLD = "uphold"
    HAND_IN = "hand_in"
    CONFIRM = "confirm"
    EVALUATE = "evaluate"
    CLOSE = "close"
    REVOKE = "revoke"
    WITHDRAW = "withdraw"
    # what the exchange does by itself
    GRANT_BY_RULE = "grant_by_rule"
    GRANT_AT_ONCE = "grant_at_once"
    FORWARD = "forward"
    PROVISION = "provision"
    DELIVER = "deliver"
    REOPEN = "reopen"
    LOSE = "lose"
    LAPSE = "lapse"
    END = "end"


class By(StrEnum):
    """Whose step it is."""

    APPLICANT = "applicant"  # the department that needs the data
    SUPPLIER = "supplier"  # the department that holds it
    AUTHORITY = "authority"  # the data authority
    RULE = "rule"  # the exchange itself, by rule or by fact


class Path(StrEnum):
    """How a demand is decided."""

    RULE = "rule"  # unconditional: granted by rule in the same second
    DECISION = "decision"  # conditional: the supplier decides; important data by two approvals
    EMERGENCY = "emergency"  # data flows at once, the papers follow


class Level(StrEnum):
    """Before whom a dispute is: it climbs."""

    NONE = "none"
    PARTIES = "parties"
    AUTHORITY = "authority"
    GOVERNMENT = "government"


class Papers(StrEnum):
    """How far the papers of an emergency are."""

    NONE = "none"
    DUE = "due"
    HANDED_IN = "handed_in"
    SETTLED = "settled"


class Need(StrEnum):
    """What a step must be given."""

    REASON = "reason"
    LEGAL_BASIS = "legal_basis"
    DEFECTS = "defects"
    SUPPLIER = "supplier"
    RESOURCE = "resource"
    RATING = "rating"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a demand stands: all that decides which steps there are.

    `supplied` says whether a supplying department is known, `named` whether a resource is; `interrupted` is where a
    supplement leads back to; `returned` that the one return there may be was used; `approvals` are the persons who have
    approved so far, of `needed`; `ruled` that a dispute was decided for the applicant, so that it is refused no more.
    """

    state: State = State.DRAFT
    path: Path = Path.DECISION
    supplied: bool = True
    named: bool = True
    interrupted: State | None = None
    returned: bool = False
    approvals: tuple[str, ...] = ()
    needed: int = 1
    level: Level = Level.NONE
    ruled: bool = False
    papers: Papers = Papers.NONE


class Case(StrEnum):
    """When a step is there, where its state alone does not say."""

    ALWAYS = "always"
    UNCONDITIONAL = "unconditional"
    EMERGENCY = "emergency"
    ORDINARY = "not by rule, no emergency"
    SUPPLIER_KNOWN = "supplier known"
    SUPPLIER_UNKNOWN = "supplier not known"
    RESOURCE_UNKNOWN = "resource not named"
    NOT_RETURNED = "never returned before"
    BEFORE_ACCEPTANCE = "returned before acceptance"
    IN_REVIEW = "returned in review"
    ONLY_APPROVAL = "one approval needed"
    FIRST_OF_TWO = "first of two approvals"
    SECOND_OF_TWO = "second of two approvals"
    NOT_RULED = "no ruling for the applicant"
    MAY_CLIMB = "not yet before the government"
    AT_PARTIES = "before the parties"
    AT_AUTHORITY = "before the data authority"
    AT_GOVERNMENT = "before the government"
    ABOVE_PARTIES = "before authority or government"
    PAPERS_DUE = "papers due"
    PAPERS_HANDED_IN = "papers handed in"
    PAPERS_CAME_AND_MAY_BE_REFUSED = "papers due or handed in"


_HOLDS: Mapping[Case, Callable[[Standing], bool]] = {
    Case.ALWAYS: lambda one: True,
    Case.UNCONDITIONAL: lambda one: one.path is Path.RULE,
    Case.EMERGENCY: lambda one: one.path is Path.EMERGENCY,
    Case.ORDINARY: lambda one: one.path is Path.DECISION,
    Case.SUPPLIER_KNOWN: lambda one: one.supplied,
    Case.SUPPLIER_UNKNOWN: lambda one: not one.supplied,
    Case.RESOURCE_UNKNOWN: lambda one: not one.named,
    Case.NOT_RETURNED: lambda one: not one.returned,
    Case.BEFORE_ACCEPTANCE: lambda one: one.interrupted is State.SUBMITTED,
    Case.IN_REVIEW: lambda one: one.interrupted is State.IN_REVIEW,
    Case.ONLY_APPROVAL: lambda one: one.named and one.needed == 1,
    Case.FIRST_OF_TWO: lambda one: one.named and one.needed == 2 and not one.approvals,
    Case.SECOND_OF_TWO: lambda one: one.named and one.needed == 2 and len(one.approvals) == 1,
    Case.NOT_RULED: lambda one: not one.ruled,
    Case.MAY_CLIMB: lambda one: one.level is not Level.GOVERNMENT,
    Case.AT_PARTIES: lambda one: one.level is Level.PARTIES,
    Case.AT_AUTHORITY: lambda one: one.level is Level.AUTHORITY,
    Case.AT_GOVERNMENT: lambda one: one.level is Level.GOVERNMENT,
    Case.ABOVE_PARTIES: lambda one: one.level in (Level.AUTHORITY, Level.GOVERNMENT),
    Case.PAPERS_DUE: lambda one: one.papers is Papers.DUE,
    Case.PAPERS_HANDED_IN: lambda one: one.papers is Papers.HANDED_IN,
    Case.PAPERS_CAME_AND_MAY_BE_REFUSED: lambda one: one.papers in (Papers.DUE, Papers.HANDED_IN),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """A step.

    `needs` must be given with it; `stops` ends clocks, `starts` begins one (whose it is: `clock.OWNERS`), `pauses` and
    `resumes` are about all others. `tells` are those who get a notice. `at_once` marks steps that the exchange takes by
    itself as soon as they are there; other steps of the rule wait for a fact or a clock.
    """

    source: State
    action: Action
    case: Case
    target: State
    by: frozenset[By]
    event: str
    needs: frozenset[Need] = frozenset()
    starts: Clock | None = None
    stops: frozenset[Clock] = frozenset()
    pauses: bool = False
    resumes: bool = False
    tells: frozenset[By] = frozenset()
    at_once: bool = False


_APPLICANT, _SUPPLIER = frozenset({By.APPLICANT}), frozenset({By.SUPPLIER})
_AUTHORITY, _RULE = frozenset({By.AUTHORITY}), frozenset({By.RULE})
_EVERYBODY = _APPLICANT | _SUPPLIER | _AUTHORITY
_ALL = frozenset(Clock)
_REASON = frozenset({Need.REASON})
_REASONED = frozenset({Need.REASON, Need.LEGAL_BASIS})


def _applying() -> Iterator[Transition]:
    yield Transition(
        source=State.DRAFT, action=Action.SUBMIT, case=Case.ALWAYS, target=State.SUBMITTED, by=_APPLICANT,
        event="demand_submitted", starts=Clock.ACCEPT, tells=_AUTHORITY,
    )  # fmt: skip
    yield Transition(
        source=State.SUBMITTED, action=Action.GRANT_BY_RULE, case=Case.UNCONDITIONAL, target=State.APPROVED, by=_RULE,
        event="demand_approved", starts=Clock.PROVIDE, stops=_ALL, tells=_APPLICANT | _SUPPLIER, at_once=True,
    )  # fmt: skip
    yield Transition(
        source=State.SUBMITTED, action=Action.GRANT_AT_ONCE, case=Case.EMERGENCY, target=State.APPROVED, by=_RULE,
        event="emergency_granted", starts=Clock.PAPERS, stops=_ALL, tells=_EVERYBODY, at_once=True,
    )  # fmt: skip
    yield Transition(
        source=State.SUBMITTED, action=Action.ACCEPT, case=Case.ORDINARY, target=State.ACCEPTED, by=_AUTHORITY,
        event="demand_accepted", starts=Clock.MATCH, stops=frozenset({Clock.ACCEPT}), tells=_APPLICANT,
    )  # fmt: skip
    yield Transition(
        source=State.ACCEPTED, action=Action.FORWARD, case=Case.SUPPLIER_KNOWN, target=State.IN_REVIEW, by=_RULE,
        event="demand_forwarded", starts=Clock.REPLY, stops=frozenset({Clock.MATCH}), tells=_SUPPLIER, at_once=True,
    )  # fmt: skip
    yield Transition(
        source=State.ACCEPTED, action=Action.MATCH, case=Case.SUPPLIER_UNKNOWN, target=State.IN_REVIEW, by=_AUTHORITY,
        event="demand_matched", needs=frozenset({Need.SUPPLIER}), starts=Clock.REPLY, stops=frozenset({Clock.MATCH}),
        tells=_APPLICANT | _SUPPLIER,
    )  # fmt: skip


def _returning() -> Iterator[Transition]:
    for source, whose, back in (
        (State.SUBMITTED, _AUTHORITY, Case.BEFORE_ACCEPTANCE),
        (State.IN_REVIEW, _SUPPLIER, Case.IN_REVIEW),
    ):
        yield Transition(
            source=source, action=Action.RETURN, case=Case.NOT_RETURNED, target=State.RETURNED, by=whose,
            event="demand_returned", needs=frozenset({Need.DEFECTS}), starts=Clock.SUPPLEMENT, pauses=True,
            tells=_APPLICANT,
        )  # fmt: skip
        yield Transition(
            source=State.RETURNED, action=Action.SUPPLEMENT, case=back, target=source, by=_APPLICANT,
            event="demand_supplemented", stops=frozenset({Clock.SUPPLEMENT}), resumes=True, tells=whose,
        )  # fmt: skip


def _deciding() -> Iterator[Transition]:
    yield Transition(
        source=State.IN_REVIEW, action=Action.CATALOGUE, case=Case.RESOURCE_UNKNOWN, target=State.IN_REVIEW,
        by=_SUPPLIER, event="demand_catalogued", needs=frozenset({Need.RESOURCE}), tells=_APPLICANT,
    )  # fmt: skip
    yield Transition(
        source=State.IN_REVIEW, action=Action.APPROVE, case=Case.FIRST_OF_TWO, target=State.IN_REVIEW, by=_SUPPLIER,
        event="demand_approved_once", tells=_SUPPLIER | _AUTHORITY,
    )  # fmt: skip
    for case, whose in ((Case.ONLY_APPROVAL, _SUPPLIER), (Case.SECOND_OF_TWO, _SUPPLIER | _AUTHORITY)):
        yield Transition(
            source=State.IN_REVIEW, action=Action.APPROVE, case=case, target=State.APPROVED, by=whose,
            event="demand_approved", starts=Clock.PROVIDE, stops=frozenset({Clock.REPLY}), tells=_APPLICANT,
        )  # fmt: skip
    yield Transition(
        source=State.ACCEPTED, action=Action.REFUSE, case=Case.SUPPLIER_UNKNOWN, target=State.REFUSED, by=_AUTHORITY,
        event="demand_refused", needs=_REASONED, stops=_ALL, tells=_APPLICANT,
    )  # fmt: skip
    yield Transition(
        source=State.IN_REVIEW, action=Action.REFUSE, case=Case.NOT_RULED, target=State.REFUSED, by=_SUPPLIER,
        event="demand_refused", needs=_REASONED, stops=_ALL, tells=_APPLICANT,
    )  # fmt: skip


def _disputing() -> Iterator[Transition]:
    disputing = frozenset({Clock.DISPUTE})
    yield Transition(
        source=State.REFUSED, action=Action.DISPUTE, case=Case.MAY_CLIMB, target=State.DISPUTED, by=_APPLICANT,
        event="demand_disputed", needs=_REASON, starts=Clock.DISPUTE, tells=_SUPPLIER | _AUTHORITY,
    )  # fmt: skip
    yield Transition(
        source=State.DISPUTED, action=Action.ESCALATE, case=Case.AT_PARTIES, target=State.DISPUTED,
        by=_APPLICANT | _SUPPLIER, event="dispute_escalated", needs=_REASON, starts=Clock.DISPUTE, stops=disputing,
        tells=_EVERYBODY,
    )  # fmt: skip
    yield Transition(
        source=State.DISPUTED, action=Action.OVERTURN, case=Case.AT_PARTIES, target=State.IN_REVIEW, by=_SUPPLIER,
        event="refusal_overturned", needs=_REASON, starts=Clock.REPLY, stops=disputing, tells=_APPLICANT,
    )  # fmt: skip
    yield Transition(
        source=State.DISPUTED, action=Action.OVERTURN, case=Case.ABOVE_PARTIES, target=State.ACCEPTED, by=_AUTHORITY,
        event="refusal_overturned", needs=_REASONED, starts=Clock.MATCH, stops=disputing,
        tells=_APPLICANT | _SUPPLIER,
    )  # fmt: skip
    yield Transition(
        source=State.DISPUTED, action=Action.UPHOLD, case=Case.AT_AUTHORITY, target=State.REFUSED, by=_AUTHORITY,
        event="refusal_upheld", needs=_REASONED, stops=disputing, tells=_APPLICANT | _SUPPLIER,
    )  # fmt: skip
    yield Transition(
        source=State.DISPUTED, action=Action.UPHOLD, case=Case.AT_GOVERNMENT, target=State.CLOSED, by=_AUTHORITY,
        event="refusal_upheld", needs=_REASONED, stops=_ALL, tells=_APPLICANT | _SUPPLIER,
    )  # fmt: skip


def _using() -> Iterator[Transition]:
    yield Transition(
        source=State.APPROVED, action=Action.PROVISION, case=Case.ALWAYS, target=State.PROVISIONING, by=_RULE,
        event="demand_provisioned", tells=_APPLICANT,
    )  # fmt: skip
    yield Transition(
        source=State.PROVISIONING, action=Action.DELIVER, case=Case.ALWAYS, target=State.DELIVERING, by=_RULE,
        event="demand_delivering", stops=frozenset({Clock.PROVIDE}), tells=_APPLICANT,
    )  # fmt: skip
    yield Transition(
        source=State.DELIVERING, action=Action.EVALUATE, case=Case.ALWAYS, target=State.EVALUATED, by=_APPLICANT,
        event="demand_evaluated", needs=frozenset({Need.RATING}), tells=_SUPPLIER,
    )  # fmt: skip
    for source in sorted(GRANTED):
        yield Transition(
            source=source, action=Action.HAND_IN, case=Case.PAPERS_DUE, target=source, by=_APPLICANT,
            event="papers_handed_in", needs=frozenset({Need.LEGAL_BASIS}), starts=Clock.REPLY,
            stops=frozenset({Clock.PAPERS}), tells=_SUPPLIER | _AUTHORITY,
        )  # fmt: skip
        yield Transition(
            source=source, action=Action.CONFIRM, case=Case.PAPERS_HANDED_IN, target=source, by=_SUPPLIER,
            event="papers_confirmed", stops=frozenset({Clock.REPLY}), tells=_APPLICANT,
        )  # fmt: skip
        yield Transition(
            source=source, action=Action.REFUSE, case=Case.PAPERS_CAME_AND_MAY_BE_REFUSED, target=State.REFUSED,
            by=_SUPPLIER, event="demand_refused", needs=_REASONED, stops=_ALL, tells=_APPLICANT | _AUTHORITY,
        )  # fmt: skip


def _ending() -> Iterator[Transition]:
    held = sorted(GRANTED | {State.APPROVED})
    for source in held:
        yield Transition(
            source=source, action=Action.REOPEN, case=Case.ALWAYS, target=State.IN_REVIEW, by=_RULE,
            event="demand_reopened", starts=Clock.REPLY, stops=_ALL, tells=_APPLICANT | _SUPPLIER,
        )  # fmt: skip
        yield Transition(
            source=source, action=Action.REVOKE, case=Case.ALWAYS, target=State.CLOSED, by=_SUPPLIER | _AUTHORITY,
            event="demand_revoked", needs=_REASONED, stops=_ALL, tells=_APPLICANT,
        )  # fmt: skip
        yield Transition(
            source=source, action=Action.END, case=Case.ALWAYS, target=State.CLOSED, by=_RULE,
            event="demand_closed", stops=_ALL, tells=_APPLICANT,
        )  # fmt: skip
    yield Transition(
        source=State.IN_REVIEW, action=Action.REOPEN, case=Case.ALWAYS, target=State.IN_REVIEW, by=_RULE,
        event="demand_reopened", starts=Clock.REPLY, stops=_ALL, tells=_APPLICANT | _SUPPLIER,
    )  # fmt: skip
    for source in (State.IN_REVIEW, *held):
        yield Transition(
            source=source, action=Action.LOSE, case=Case.ALWAYS, target=State.ACCEPTED, by=_RULE,
            event="demand_lost_its_resource", starts=Clock.MATCH, stops=_ALL, tells=_APPLICANT | _AUTHORITY,
        )  # fmt: skip
    for source in (State.DELIVERING, State.EVALUATED, State.REFUSED):
        yield Transition(
            source=source, action=Action.CLOSE, case=Case.ALWAYS, target=State.CLOSED, by=_APPLICANT,
            event="demand_closed", stops=_ALL, tells=_SUPPLIER,
        )  # fmt: skip
    for source in (one for one in State if one not in ENDED):
        yield Transition(
            source=source, action=Action.WITHDRAW, case=Case.ALWAYS, target=State.WITHDRAWN, by=_APPLICANT,
            event="demand_withdrawn", stops=_ALL, tells=_SUPPLIER if source is not State.DRAFT else frozenset(),
        )  # fmt: skip
        if source is not State.DRAFT:
            yield Transition(
                source=source, action=Action.LAPSE, case=Case.ALWAYS, target=State.EXPIRED, by=_RULE,
                event="demand_expired", stops=_ALL, tells=_APPLICANT | _SUPPLIER,
            )  # fmt: skip


TRANSITIONS: tuple[Transition, ...] = (
    *_applying(), *_returning(), *_deciding(), *_disputing(), *_using(), *_ending(),
)  # fmt: skip


def transition(standing: Standing, action: Action) -> Transition | None:
    """The step of `action` from here; None when there is none. There is never more than one."""
    for one in TRANSITIONS:
        if one.source is standing.state and one.action is action and _HOLDS[one.case](standing):
            return one
    return None


def possible(standing: Standing) -> list[Transition]:
    """The steps there are from here, by whoever they are for."""
    return [one for one in TRANSITIONS if one.source is standing.state and _HOLDS[one.case](standing)]


def by_itself(standing: Standing) -> Transition | None:
    """The step that the exchange takes at once from here; None where it takes none."""
    return next((one for one in possible(standing) if one.at_once), None)


def may_approve(standing: Standing, person: str, applicants: Iterable[str]) -> bool:
    """Whether `person` may give the next approval: never one who applied, never one who has approved already."""
    return person not in standing.approvals and person not in set(applicants)


_CLIMBS = {Level.NONE: Level.PARTIES, Level.PARTIES: Level.AUTHORITY, Level.AUTHORITY: Level.GOVERNMENT}


def after(standing: Standing, step: Transition, person: str) -> Standing:
    """Where a demand stands after `person` has taken `step`."""
    moved = replace(standing, state=step.target, interrupted=None)
    match step.action:
        case Action.RETURN:
            return replace(moved, returned=True, interrupted=step.source)
        case Action.SUPPLEMENT:
            return replace(moved, approvals=())
        case Action.APPROVE:
            return replace(moved, approvals=(*standing.approvals, person))
        case Action.MATCH:
            return replace(moved, supplied=True, named=False)
        case Action.CATALOGUE:
            return replace(moved, named=True)
        case Action.GRANT_AT_ONCE:
            return replace(moved, papers=Papers.DUE)
        case Action.HAND_IN:
            return replace(moved, papers=Papers.HANDED_IN)
        case Action.CONFIRM:
            return replace(moved, papers=Papers.SETTLED)
        case Action.REFUSE:
            # an emergency that is refused is an ordinary case from then on
            path = Path.DECISION if standing.path is Path.EMERGENCY else standing.path
            return replace(moved, approvals=(), papers=Papers.NONE, path=path)
        case Action.DISPUTE | Action.ESCALATE:
            # without a supplier there are no two parties who could settle it
            climbed = _CLIMBS[
                standing.level if standing.supplied or standing.level is not Level.NONE else Level.PARTIES
            ]
            return replace(moved, level=climbed)
        case Action.OVERTURN:
            ruled = standing.level is not Level.PARTIES
            level = standing.level if ruled else Level.NONE
            return replace(moved, ruled=ruled, level=level, approvals=())
        case Action.REOPEN:
            return replace(moved, approvals=(), papers=Papers.NONE, path=Path.DECISION)
        case Action.LOSE:
            return replace(
                moved, supplied=False, named=False, approvals=(), papers=Papers.NONE, path=Path.DECISION, ruled=False
            )
    return moved
