"""Tells in plain language what stands in an owner's sealed sections, and what a request asks where no root can look.

Spec: docs/spec/request.md, "What is shown".
"""

from __future__ import annotations

from collections.abc import Sequence

from walletcli.core.approver_items import ApproveItem, OfferItem
from walletcli.core.identity_id import IdentityId
from walletcli.core.request_items import CreateItem, EnrolItem, Item, PublishItem
from walletcli.errors import WalletError
from walletcli.signers.requests import PacketRequest, date_of, describe_delegation, plain_line
from walletcli.signers.statement_requests import StatementRequest
from walletcli.wallet.airgap.review import KINDS, ItemReview, error_parts
from walletcli.wallet.state.sections import OwnerSection


def describe_owner_sections(
    section: OwnerSection | None, before: OwnerSection | None, shared: Sequence[str]
) -> list[str]:
    """Return what the owner's section says and how it differs from the one before; values stay sealed.

    Args:
        section: of the new record, or None if none opens.
        before: of the record before.
        shared: names of attributes that contacts may read.
    """
    if section is None:
        return []
    old = before if before is not None else section
    lines = [f"label {section.label}" + (f" (before: {old.label})" if old.label != section.label else "")]
    for name, value in sorted(section.attributes.items()):
        known = old.attributes.get(name)
        lines.append(f"sealed {name}" + ("" if known == value else " (changed)" if known is not None else " (new)"))
    lines += [f"removes sealed {name}" for name in sorted(old.attributes.keys() - section.attributes.keys())]
    lines += [f"lets some contacts read {name}" for name in shared]
    return [plain_line(line) for line in lines]


def read_only_review(number: int, item: Item, label: str | None) -> ItemReview:
    """Return what an item asks for, on a machine without the root keys.

    Args:
        number: of the item.
        item: what is asked.
        label: this wallet's name for its identity, or None.
    """
    identity = getattr(item, "identity", None)
    index = getattr(item, "index", None)
    try:
        lines, error = _lines(item), None
    except WalletError as found:
        lines, error = [], error_parts(found)
    shown = item.label if isinstance(item, CreateItem) else label
    return ItemReview(number, KINDS[item.KIND], identity, index, shown, tuple(lines), error=error)


def approval_lines(item: ApproveItem, today: int | None = None) -> list[str]:
    """Return what approvers are asked to approve.

    Args:
        item: what is asked.
        today: days since 1970-01-01, to say whether providers' grants verify; None: that is left out.

    Raises:
        SignerError: ``request.*`` if the document does not follow the record that it is said to follow.
        FormatError, VerificationError: as `verify_export`.
    """
    group = item.approvers
    asked = f"{group.threshold} of {len(group.approvers)} approvers must approve; {len(item.keys)} of them are asked"
    export = item.opened_export()
    if export is None:
        assert item.document is not None
        lines = PacketRequest(item.identity, item.document, item.record.document).describe(today)
    else:
        lines = [f"the contact list of {IdentityId(item.identity).did}", f"made on {date_of(export.day)}"]
        lines += [f"contact {entry.name}, {IdentityId(entry.key).did}" for entry in export.entries]
        lines.append(f"{len(export.entries)} contact(s)")
    return [plain_line(line) for line in (*lines, asked)]


def _lines(item: Item) -> list[str]:
    if isinstance(item, PublishItem):
        return PacketRequest(item.identity, item.document, item.record.document).describe()
    if isinstance(item, ApproveItem):
        return approval_lines(item)
    if isinstance(item, CreateItem):
        lines = [f"create an identity, label {item.label}", f"seq {item.seq}"]
        lines += [f"public {name} = {value}" for name, value in sorted(item.public.items())]
        lines += [f"sealed {name}" for name in sorted(item.sealed)]
        lines.append(describe_delegation(item.device))
    elif isinstance(item, EnrolItem):
        lines = [f"publish as {IdentityId(item.identity).did}", f"seq {item.seq}"]
        lines += [
            f"replaces the record with seq {item.record.packet.seq}",
            f"ADDS the {describe_delegation(item.device)}",
        ]
    elif isinstance(item, OfferItem):
        lines = [f"a security key of yours would approve what moves {IdentityId(item.identity).did}"]
        lines.append("its approvals would ask for " + ("its PIN and a touch" if item.verify else "a touch"))
    else:
        lines = StatementRequest.of(item.identity, item.typ, item.payload).describe()
    return [plain_line(line) for line in lines]
