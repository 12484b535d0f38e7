"""Goes on from a newer record of an identity that another device of the owner's made, without losing either side.

Spec: docs/spec/wallet-state.md, "A newer record".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from walletcli.core.document import Document
from walletcli.core.record import Record
from walletcli.errors import VerificationError
from walletcli.wallet.state.approvers import joined
from walletcli.wallet.state.kept_splits import still_to_heal
from walletcli.wallet.state.sections import OwnerSection
from walletcli.wallet.state.ssh_credentials import SshCredential, merged, of_record
from walletcli.wallet.state.view import IdentityView, Retired

_Attributes = dict[str, tuple[bool, str]]


@dataclass(frozen=True, slots=True)
class Found:
    """A newer record, and what the owner keeps in it.

    Attributes:
        record: verified.
        section: the owner's section of its document, opened; None if there is none that opens.
        base: that of the wallet's own last record, or None.
    """

    record: Record
    section: OwnerSection | None
    base: OwnerSection | None = None


def continued(identity: IdentityView, found: Found) -> IdentityView:
    """Return the identity with a newer record than its last.

    What this wallet has decided since its own last record stays, and goes on top with the next one. For the rest, what
    the newer record says is taken over: also that something was removed.

    Raises:
        VerificationError: ``record.identity-mismatch``, ``record.pending``.
    """
    document = check_continues(identity, found.record)
    own = Record.from_bytes(identity.record).document if identity.record is not None else None
    base = _attributes(own.profile if own is not None else {}, found.base.attributes if found.base else {})
    mine = _attributes(identity.profile, identity.sealed_profile)
    sealed = found.section.attributes if found.section is not None else identity.sealed_profile
    attributes = _merged(base, mine, _attributes(document.profile, sealed))
    retirement = document.retirement
    return replace(
        identity,
        record=found.record.to_bytes(),
        profile={name: value for name, (is_sealed, value) in attributes.items() if not is_sealed},
        sealed_profile={name: value for name, (is_sealed, value) in attributes.items() if is_sealed},
        retired=Retired(retirement.day, retirement.reason) if retirement is not None else identity.retired,
        stored=None,
        changed=retirement is None and (identity.changed or found.section is None),
        unseen=False,
        healing=still_to_heal(identity.healing, document),
        credentials=joined(identity.credentials, found.section.credentials if found.section is not None else ()),
        ssh_credentials=_ssh_credentials(identity, found, own, document),
    )


def _ssh_credentials(
    identity: IdentityView, found: Found, own: Document | None, document: Document
) -> tuple[SshCredential, ...]:
    """Return the SSH keys on security keys after a newer record: what one side has added, changed or removed."""
    base = of_record(own, found.base, identity.ssh_credentials if found.base is None else ()) if own is not None else {}
    return merged(base, identity.ssh_credentials, of_record(document, found.section, identity.ssh_credentials))


def label_wanted(identity: IdentityView, found: Found) -> str | None:
    """Return the label that another device gave the identity, unless this wallet has changed it as well; or None."""
    if found.section is None or found.base is None or identity.label != found.base.label:
        return None
    return found.section.label if found.section.label != identity.label else None


def check_continues(identity: IdentityView, found: Record) -> Document:
    """Return the document of a record that an identity may continue from.

    Raises:
        VerificationError: ``record.identity-mismatch``, ``record.pending``.
    """
    if found.packet.public_key != identity.public_key:
        raise VerificationError("record.identity-mismatch", "the record is another identity's")
    if found.document is None:
        raise VerificationError(
            "record.pending", "the record's document is not there: nothing can be signed on top of it"
        )
    return found.document


def _attributes(public: Mapping[str, str], sealed: Mapping[str, str]) -> _Attributes:
    """Return attributes by name, each with whether it is sealed; what is public wins."""
    return {name: (True, value) for name, value in sealed.items()} | {
        name: (False, value) for name, value in public.items()
    }


def _merged(base: _Attributes, mine: _Attributes, theirs: _Attributes) -> _Attributes:
    """Return what one side changed; where both did, what this wallet says."""
    names = sorted(mine.keys() | theirs.keys())
    chosen = {name: (theirs if mine.get(name) == base.get(name) else mine).get(name) for name in names}
    return {name: value for name, value in chosen.items() if value is not None}
