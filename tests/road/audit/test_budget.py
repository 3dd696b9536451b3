"""When what was delivered is not sealed in time, deliveries must wait; once it is, they may go on."""

from __future__ import annotations

import os
import signal
import time

from cli.exchange import Exchange
from infra.embedded.supervisor import read_status
from services.sync.relay.budget import SealingBudget
from tests.road.town import Town, eventually


def test_deliveries_wait_for_the_log_and_go_on_by_themselves(exchange: Exchange, town: Town) -> None:
    here = exchange.settings.model_copy(update={"audit_budget_seconds": 2.0})
    table = town.table({"id": "text"})
    reader = town.reader(town.live_grant(table, ["id"]))
    told = read_status(exchange.home) or {"parts": []}
    audit = next(part["pid"] for part in told["parts"] if part["name"] == "audit")
    budget = SealingBudget(here, exchange.registry)
    budget.start()
    try:
        eventually(budget.exceeded, lambda reason: reason is None, "all that was delivered being sealed")
        os.kill(audit, signal.SIGSTOP)
        try:
            table.run("insert into {t} values ('a')")
            reader.await_records(1)
            # a relay that is started only now knows of it all the same
            late = SealingBudget(here, exchange.registry)
            late.start()
            reason = eventually(late.exceeded, bool, "sealing being behind", 10)
            assert reason is not None and "more than its 2 s" in reason
            time.sleep(0.5)
        finally:
            os.kill(audit, signal.SIGCONT)
        eventually(late.exceeded, lambda reason: reason is None, "sealing having caught up")
        late.stop()
    finally:
        budget.stop()
        reader.close()
