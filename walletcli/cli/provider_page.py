"""How providers, bindings and exit kits are shown to people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from walletcli.cli.output import pairs, warn
from walletcli.cli.sizes import size_text
from walletcli.cli.times import date_text

if TYPE_CHECKING:
    from walletcli.client.copying import CopyReport
    from walletcli.client.host_answers import HostStatus
    from walletcli.wallet.providers.bind import Bound
    from walletcli.wallet.providers.exit_kits import KitState
    from walletcli.wallet.providers.export import Exported
    from walletcli.wallet.providers.overview import ProviderOverview, ProviderView
    from walletcli.wallet.providers.unbind import Unbound

MAX_NAMED = 10
"""How many blobs are named one by one; --json names all."""

Row = tuple[str, str]


def warn_of_clear_text(*addresses: str | None) -> None:
    """Warn of each address whose traffic everybody on the way can read; what is no address is left out."""
    from walletcli.cli import relay

    relay.warn_of_clear_text([address for address in addresses if address is not None and "://" in address])


def warn_of_few_sources(bound: Bound) -> None:
    """Warn if a provider is new and too few independent sources have answered about it."""
    from walletcli.client.independence import WANTED_SOURCES

    count = bound.independent
    if count is not None and count < WANTED_SOURCES:
        sources = "source has" if count == 1 else "sources have"
        warn(
            f"the provider is new to this wallet; {count} independent {sources} answered about it, and "
            f"{WANTED_SOURCES} are wanted before new trust starts"
        )


def bound_lines(bound: Bound) -> list[str]:
    """Return what a bind has led to."""
    rows = [("record", "new, signed now" if bound.new else "unchanged: it was bound already")]
    rows += [("stored on", relay) for relay in bound.stored.relays]
    rows += [("not on", f"{failure.address}: {failure.message}") for failure in bound.stored.failed]
    return pairs([*_overview_rows(bound.overview), *rows])


def overview_lines(found: ProviderOverview) -> list[str]:
    """Return all providers and exit kits of an identity."""
    return pairs(_overview_rows(found))


def list_lines(found: Sequence[ProviderOverview]) -> list[str]:
    """Return the bindings of several identities, from what the wallet knows."""
    if not any(overview.providers for overview in found):
        return ["no providers"]
    lines: list[str] = []
    for overview in found:
        lines += [*([""] if lines else []), *pairs(_overview_rows(overview, asked=False))]
    return lines


def unbound_lines(left: Unbound) -> list[str]:
    """Return what leaving has led to, and what stays there."""
    rows = [("identity", left.identity.label), ("left", left.did)]
    if left.stored is not None:
        rows += [("stored on", relay) for relay in left.stored.relays]
    if left.forgotten:
        rows.append(("keeps", "nothing: it says that it has deleted everything"))
    elif left.host is not None:
        rows.append(("keeps", _kept(left.host)))
    if left.error is not None:
        rows.append(("not told", f"{left.error.message}; it learns of it when it sees your newest record"))
    return pairs(rows)


def exported_lines(exported: Exported) -> list[str]:
    """Return what an export has brought."""
    report = exported.report
    rows = [("directory", exported.directory), ("from", report.source), *_report_rows(report)]
    return pairs(rows)


def _overview_rows(found: ProviderOverview, *, asked: bool = True) -> list[Row]:
    rows = [("identity", found.identity.label)]
    if not found.providers:
        rows.append(("provider", "none"))
    for view in found.providers:
        rows += _provider_rows(view)
    for kit in found.kits:
        rows += _kit_rows(kit)
    if asked and not found.kits:
        rows.append(
            (
                "exit kit",
                "none, as you decided"
                if found.kit_decided
                else "none: decide with provider bind, and --kit or --no-kit",
            )
        )
    return rows


def _provider_rows(view: ProviderView) -> list[Row]:
    from walletcli.wallet.providers.book import Role

    rows = [("provider" if view.role is Role.MAIN else "kit provider", view.did or "a binding that cannot be read")]
    if view.address is not None:
        rows.append(("address", view.address))
    rows.append(("binding", _binding(view)))
    if view.binding is not None and view.binding.signer is not None:
        rows.append(("signed by", f"its key {view.binding.signer.hex()[:16]}… and, in your record, your root key"))
    if view.host is not None:
        rows.append(("it says", _kept(view.host)))
        if view.counts_the_grant is False:
            rows.append(("warning", "it does not go by the grant in your record: publish again"))
    if view.error is not None and (view.binding is None or view.binding.is_valid):
        rows.append(("not asked", f"{view.error.message} ({view.error.code})"))
    return rows


def _binding(view: ProviderView) -> str:
    binding = view.binding
    if view.left_day is not None and binding is None:
        return f"left on {date_text(view.left_day)}"
    if binding is None or binding.error is not None:
        return f"does not hold: {binding.error.message} ({binding.state})" if binding and binding.error else "none"
    assert binding.grant is not None
    until = f"valid before {date_text(binding.grant.not_after_day)}"
    terms = (
        f"{size_text(binding.grant.terms.quota_bytes)}, kept {binding.grant.terms.retention_days} days after you leave"
    )
    return f"{'decided, not published; ' if view.pending else ''}{until}; {terms}"


def _kept(host: HostStatus) -> str:
    what = f"{host.blobs} blobs, {size_text(host.used_bytes)}"
    if host.leaving_day is not None:
        return f"{what}, deleted on {date_text(host.leaving_day)}"
    return what


def _kit_rows(kit: KitState) -> list[Row]:
    rows = [("exit kit", kit.place)]
    if kit.day is not None:
        rows.append(("refreshed", date_text(kit.day)))
    if kit.error is not None:
        return [*rows, ("kit state", f"cannot be used: {kit.error.message} ({kit.error.code})")]
    if kit.complete is None:
        return [*rows, ("kit state", "cannot be compared, as the provider was not asked")]
    if kit.complete:
        return [*rows, ("kit state", "has everything")]
    rows.append(("kit state", f"lacks {len(kit.missing)} blobs" if kit.missing else "is empty"))
    return rows + [("lacks", f"{item.blob_id.hex()} version {item.version}") for item in kit.missing[:MAX_NAMED]]


def _report_rows(report: CopyReport) -> list[Row]:
    rows = [("copied", f"{len(report.copied)} blobs, {size_text(report.copied_bytes)}")]
    if report.same:
        rows.append(("already there", f"{len(report.same)} blobs"))
    for fault in report.failed[:MAX_NAMED]:
        name = fault.blob_id.hex() if fault.blob_id is not None else fault.name
        rows.append(("not usable", f"{name}: {fault.error.message} ({fault.error.code})"))
    rows += [("missing", f"{item.blob_id.hex()} version {item.version}") for item in report.missing[:MAX_NAMED]]
    if report.stopped is not None:
        rows.append(("stopped", f"{report.stopped.message} ({report.stopped.code})"))
    return rows
