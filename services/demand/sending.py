"""Notices on their way: a notice as what is posted or mailed to where its department wants it."""

from __future__ import annotations

import json
from collections.abc import Callable

from sqlalchemy.orm import Session

from services.core.sending import Letter, Sender, letter_to
from services.core.settings import Settings
from services.demand import demand_store as store
from services.demand import noticing


def sender(session: Callable[[], Session], settings: Settings) -> Sender[store.Dispatch, store.Subscription]:
    """Sends notices as they are due."""

    def letter(session: Session, dispatch: store.Dispatch, subscription: store.Subscription) -> Letter:
        return letter_of(session.get_one(store.Notice, dispatch.notice), subscription, settings)

    return Sender(session, settings, store.Dispatch, store.Subscription, letter)


def letter_of(notice: store.Notice, subscription: store.Subscription, settings: Settings) -> Letter:
    words = noticing.words(notice)
    told = {
        "id": notice.id, "kind": notice.kind, "role": notice.role, "demand": notice.demand, "subject": notice.subject,
        "department": notice.department, "words": {"en": str(words), "zh": words.zh},
        "facts": notice.facts, "created_at": notice.created_at.isoformat(),
    }  # fmt: skip
    return letter_to(
        subscription,
        settings,
        letter_id=f"notice_{notice.id}_{subscription.id.hex[:8]}",
        subject=words.zh,
        text=f"{words.zh}\n{words}\n",
        body=json.dumps(told, ensure_ascii=False).encode(),
    )
