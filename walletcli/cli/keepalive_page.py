"""What was done to keep records alive, as a person reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from walletcli.wallet.keepalive.run import KeepReport


def kept_fields(report: KeepReport) -> list[tuple[str, str]]:
    """Return how many visits there were and what was found, then each that came to something."""
    from walletcli.client.keeping import Outcome

    failed = report.count(Outcome.FAILED, Outcome.LIMITED)
    counted = f"{len(report.visits)} looked after, {report.count(Outcome.RESTORED)} brought back, {failed} failed"
    rest = [f"{report.left} left for another run"] if report.left else []
    rest += [f"{report.not_due} not due yet"] if report.not_due else []
    fields = [("kept alive", "; ".join([counted, *rest]))]
    for task, visit in report.visits:
        where, name = task.relay.to_text(), task.name
        if visit.outcome is Outcome.RESTORED:
            fields.append(("brought back", f"{name}, to {where}"))
        elif visit.outcome is Outcome.NEWER:
            fields.append(("newer", f"{name}: {where} has seq {visit.seq}, which is remembered now"))
        elif visit.outcome is Outcome.SPLIT:
            fields.append(("split", f"{name}: {where} has another state with the same seq; see: record prove"))
        elif visit.outcome is not Outcome.KEPT:
            why = visit.error.message if visit.error is not None else "a newer packet that cannot be followed"
            fields.append((visit.outcome.value, f"{name}: {why}"))
    return fields
