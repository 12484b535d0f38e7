"""Whether a wallet without root keys may go on from a record that came as a file, in the place of a lost response.

Spec: docs/spec/request.md, "A lost response"; docs/spec/approval.md, "Following".
"""

from __future__ import annotations

import time

from walletcli.client.approved import check_remembered
from walletcli.client.splits import refuse_split
from walletcli.core.record import Record
from walletcli.wallet.access.session import Session
from walletcli.wallet.memory import WalletMemory
from walletcli.wallet.state.draft import today
from walletcli.wallet.state.view import IdentityView


def check_record_file(session: Session, held: IdentityView, record: Record) -> None:
    """Hold a record to what the wallet remembers of its identity, as if a relay had shown it.

    Args:
        session: the open wallet; a split that is met is remembered there.
        held: the identity, as the wallet has it.
        record: verified, and of that identity.

    Raises:
        VerificationError: ``record.equivocation``; ``approval.missing``, unless the owner has said that the approvers
            cannot approve any more.
    """
    memory = WalletMemory(session.snapshot().wallet)
    seen = memory.get(held.public_key)
    if seen is None or seen.seq > record.packet.seq:
        return
    with memory.keeping_splits(session):
        refuse_split(record, memory, repr(held.label))
    if held.approvers is None or not held.approvers.lost:
        check_remembered(memory, record, today(time.time()))
