"""Identities that a wallet comes to hold: new ones, and those whose records were found.

Spec: docs/spec/agent.md, "Changes"; docs/spec/wallet-state.md, "A newer record".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from walletcli.core import x25519
from walletcli.core.ed25519 import SigningKey
from walletcli.core.record import Record
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.errors import FormatError, VerificationError
from walletcli.wallet.access.root import RECOVERY_GENERATION, Root
from walletcli.wallet.state import naming, sections, transitions
from walletcli.wallet.state.changes import AddIdentity, Adopt, TakeFound
from walletcli.wallet.state.continuing import Found
from walletcli.wallet.state.draft import verified_record
from walletcli.wallet.state.view import IdentityView
from walletcli.wallet.state.wallet_state import DEVICE_SEED_BYTES, DeviceSecrets, WalletState

Entropy = Callable[[int], bytes]
"""Gives as many random bytes as asked."""


def added(state: WalletState, root: Root, index: int, change: AddIdentity, entropy: Entropy) -> WalletState:
    """Return the state with a new identity, under the label that is wanted or one like it."""
    label = naming.free_label(state.public, change.label, None)
    view, secrets = _new(root, label, index, change.day, entropy, unseen=state.public.restored)
    return transitions.add_identity(state, view, secrets)


def _new(
    root: Root, label: str, index: int, day: int, entropy: Entropy, *, unseen: bool
) -> tuple[IdentityView, DeviceSecrets]:
    """Return an identity that has nothing yet, with new device keys."""
    secrets = DeviceSecrets(Secret(entropy(DEVICE_SEED_BYTES)), Secret(entropy(DEVICE_SEED_BYTES)))
    view = IdentityView(
        index=index,
        public_key=root.keys(index, 1)[0],
        label=label,
        created_day=day,
        device_signing_key=SigningKey(secrets.signing).public_key,
        device_sealing_key=x25519.public_key(secrets.sealing),
        recovery_key=root.recovery_key(index),
        recovery_generation=RECOVERY_GENERATION,
        profile={},
        sealed_profile={},
        retired=None,
        changed=True,
        unseen=unseen,
        record=None,
        stored=None,
        contacted=(),
        accepted_links=(),
        path=root.path(index),
    )
    return view, secrets


def taken_all(state: WalletState, root: Root, changes: Sequence[TakeFound], entropy: Entropy) -> WalletState:
    """Hold identities whose records were found, under their owner's labels, or continue from those records."""
    labels = naming.labels_of(state.public)
    new: dict[int, tuple[IdentityView, DeviceSecrets]] = {}
    left = []
    for change in changes:
        if change.index in state.devices or change.index in new:
            left.append(change)
            continue
        record = verified_record(change.record)
        section = _section_as_root(root, change.index, record)
        label = naming.free_label_for(labels, section, change.index)
        labels.add(label.casefold())
        view, secrets = _new(root, label, change.index, change.day, entropy, unseen=state.public.restored)
        new[change.index] = transitions.taken(view, change, Found(record, section, None)), secrets
    state = transitions.add_identities(state, list(new.values())) if new else state
    for change in left:
        state = _taken_again(state, root, change)
    return state


def _taken_again(state: WalletState, root: Root, change: TakeFound) -> WalletState:
    own = state.public.by_index(change.index).record
    base = _section_as_root(root, change.index, Record.from_bytes(own)) if own is not None else None
    record = Record.from_bytes(change.record)
    return transitions.take_found(state, change, Found(record, _section_as_root(root, change.index, record), base))


def _section_as_root(root: Root, index: int, record: Record) -> sections.OwnerSection | None:
    context = sections.context(record.packet.public_key)
    return _owner_section(record, lambda sealed: root.unseal(index, sealed, context))


def found_by(state: WalletState, root: Root | None, change: Adopt) -> Found | None:
    """Open the owner's sections of a record from the network and of the wallet's own last one."""
    if change.record is None:
        return None
    identity = state.public.by_index(change.index)
    context = sections.context(identity.public_key)

    def opened_here(sealed: bytes) -> bytes:
        return opened(state, root, identity, sealed, context)

    record = Record.from_bytes(change.record)
    own = Record.from_bytes(identity.record) if identity.record is not None else None
    base = _owner_section(own, opened_here) if own is not None else None
    return Found(record, _owner_section(record, opened_here), base)


def opened(state: WalletState, root: Root | None, identity: IdentityView, sealed: bytes, context: bytes) -> bytes:
    """Open what is sealed to this device, or to the recovery recipient of an identity that is held.

    Raises:
        VerificationError: ``sealed.not-for-you``, ``sealed.damaged``.
        FormatError: ``sealed.malformed``.
    """
    try:
        return unseal(sealed, state.devices[identity.index].sealing, context)
    except VerificationError as error:
        if error.code != "sealed.not-for-you":
            raise
    if root is not None:
        return root.unseal(identity.index, sealed, context, identity.recovery_generation)
    raise VerificationError(
        "sealed.not-for-you",
        "it is not sealed to this device",
        "if this device is new, let one that can read it go first, with: walletcli sync; then try again",
    )


def _owner_section(found: Record, open_section: Callable[[bytes], bytes]) -> sections.OwnerSection | None:
    """Return the owner's section of a record's document, or None if there is none that `open_section` opens."""
    for section in found.document.sections if found.document is not None else ():
        try:
            content = open_section(section)
        except (FormatError, VerificationError):  # somebody else's, or nonsense
            continue
        return sections.OwnerSection.from_bytes(content)
    return None
