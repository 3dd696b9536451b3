"""Notices: who is told what, in words, and how they are kept until somebody has read them.

A notice is written in the transaction that brings it about, with its dispatches to wherever the department wants its
notices sent; sending them is `services/demand/sending.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from services.core.words import Words
from services.demand import demand_store as store
from services.demand.domain.clock import Urged
from services.demand.timekeeping import AUTHORITY

_KINDS: dict[str, Words] = {
    "demand_submitted": Words("was submitted", "已提交"),
    "demand_approved": Words("was approved", "已批准"),
    "demand_approved_once": Words("has one of its two approvals", "已通过第一次审批，尚需第二次审批"),
    "emergency_granted": Words("is an emergency: data flows at once, papers are due", "应急共享已开通，须按期补办手续"),
    "demand_accepted": Words("was accepted for processing", "已受理"),
    "demand_forwarded": Words("is for the supplying department to decide", "已转供给部门审核"),
    "demand_matched": Words("was matched to a supplying department", "已确定供给部门"),
    "demand_returned": Words("was returned for supplement", "须补正"),
    "demand_supplemented": Words("was supplemented", "已补正"),
    "demand_catalogued": Words("has a catalogued resource now", "所需数据已编目"),
    "demand_refused": Words("was refused", "未获批准"),
    "demand_disputed": Words("is disputed", "已提出异议"),
    "dispute_escalated": Words("has its dispute one level higher", "争议已提请上一级协调"),
    "refusal_overturned": Words(
        "is to be decided anew: the refusal does not stand", "原不予共享的决定已撤销，须重新办理"
    ),
    "refusal_upheld": Words("stays refused", "维持不予共享的决定"),
    "demand_provisioned": Words("has its grant", "已授权"),
    "demand_delivering": Words("receives data", "已开始供数"),
    "demand_evaluated": Words("was evaluated by its applicant", "申请部门已评价"),
    "papers_handed_in": Words("has its papers handed in", "已补办应急共享手续"),
    "papers_confirmed": Words("has its papers confirmed", "应急共享手续已确认"),
    "demand_reopened": Words("must be decided anew: the resource changed", "资源发生变化，须重新审批"),
    "demand_lost_its_resource": Words("lost its resource, which was withdrawn", "资源已撤销，须重新对接"),
    "demand_revoked": Words("was revoked", "授权已被收回"),
    "demand_closed": Words("is closed", "已办结"),
    "demand_withdrawn": Words("was withdrawn by its applicant", "申请部门已撤回"),
    "demand_expired": Words("has expired", "已到期终止"),
    "clock_moved": Words("has another day on which it is due: the calendar was edited", "办理期限因日历调整而变更"),
    "clock_warned": Words("must be dealt with soon", "即将到期，请及时办理"),
    "clock_breached": Words("is overdue", "已超期"),
    "objection_raised": Words("is objected to: verify the record and answer", "有数据异议，请核实并答复"),
    "objection_withdrawn": Words("is no longer objected to", "数据异议已撤回"),
    "objection_overdue": Words("has an objection that is overdue", "数据异议答复已超期"),
    "objection_accepted": Words("will be corrected: the objection was accepted", "数据异议已采纳，待更正"),
    "objection_refused": Words("will not be corrected: the objection was refused", "数据异议未被采纳"),
    "objection_closed": Words("was corrected: the objection is closed", "已更正，数据异议已办结"),
    "feedback_asked": Words("waits for your feedback", "请提交应用成效与满意度评价"),
    "clock_urged": Words("is overdue: you are urged to deal with it", "已超期，请督促办理"),
}


def words(notice: store.Notice) -> Words:
    """The notice as a sentence."""
    kind, title = _KINDS[notice.kind], notice.facts.get("title", "")
    clock, due = notice.facts.get("clock"), notice.facts.get("due_on")
    more = Words(f" ({clock}, due {due})", f"（{clock}，期限 {due}）") if clock else Words("")
    return Words(f"“{title}” {kind}{more}", f"“{title}”{kind.zh}{more.zh}")


def tell(
    session: Session,
    demand: store.Demand,
    department: str,
    kind: str,
    now: datetime,
    *,
    role: Urged = Urged.HANDLER,
    facts: Mapping[str, str] | None = None,
) -> store.Notice:
    """Keep a notice for `department` (empty: the data authority), and send it where that wants notices sent.

    What is for the superior of a department is for the data authority, which supervises all.
    """
    to = AUTHORITY if role is Urged.SUPERIOR else department
    notice = store.Notice(
        department=to, role=role, kind=kind, demand=demand.id, created_at=now,
        facts={"title": demand.title, "state": demand.state, **(facts or {})},
    )  # fmt: skip
    return _keep(session, notice, now)


def tell_of(
    session: Session, subject: str, title: str, department: str, kind: str, now: datetime, facts: Mapping[str, str]
) -> store.Notice:
    """Keep a notice for `department` about an objection or a grant, called `title`, and send it likewise."""
    notice = store.Notice(
        department=department, role=Urged.HANDLER, kind=kind, subject=subject, created_at=now,
        facts={"title": title, **facts},
    )  # fmt: skip
    return _keep(session, notice, now)


def _keep(session: Session, notice: store.Notice, now: datetime) -> store.Notice:
    session.add(notice)
    session.flush()
    query = select(store.Subscription.id).where(
        store.Subscription.department == notice.department, store.Subscription.ended_at.is_(None)
    )
    for subscription in session.scalars(query):
        session.add(store.Dispatch(notice=notice.id, subscription=subscription, attempts=0, next_at=now))
    return notice
