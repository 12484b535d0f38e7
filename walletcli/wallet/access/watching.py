"""Takes over what the machine with the root keys has answered: records, identities, and the devices that waited.

Spec: docs/spec/request.md, "On the watch side"; docs/spec/agent.md, "Changes".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from walletcli.core import x25519
from walletcli.core.document import Document
from walletcli.core.document_parts import Delegation
from walletcli.core.ed25519 import SigningKey
from walletcli.core.keys import Scheme, identity_path
from walletcli.core.record import Record
from walletcli.core.sealed import unseal
from walletcli.core.secret import Secret
from walletcli.core.slip10 import path_to_text
from walletcli.errors import FormatError, InputError, SignerError, VaultError, VerificationError
from walletcli.wallet.state import naming, sections, transitions
from walletcli.wallet.state.changes import KeepDevices, TakeIdentity
from walletcli.wallet.state.sections import OwnerSection
from walletcli.wallet.state.ssh_credentials import of_record, ordered
from walletcli.wallet.state.view import IdentityView, Retired
from walletcli.wallet.state.wallet_state import DEVICE_SEED_BYTES, DeviceSecrets, WalletState

MAX_WAITING_DEVICES = 512
"""Most devices that wait for an answer: as many as requests can ask for."""


def new_devices(state: WalletState, count: int, entropy: Callable[[int], bytes]) -> tuple[WalletState, list[object]]:
    """Draw keys of devices that a request is to ask for.

    Args:
        state: of a watch wallet.
        count: how many.
        entropy: gives as many random bytes as asked.

    Returns:
        The state with their private halves, and `[signing key, sealing key]` of each.

    Raises:
        SignerError: ``request.not-watch`` in a wallet that has its root keys.
        InputError: ``request.too-many``.
    """
    if not state.public.watch:
        raise SignerError(
            "request.not-watch",
            "this wallet has its root keys: it asks nobody",
            "do directly what the request would ask for",
        )
    if count + len(state.waiting) > MAX_WAITING_DEVICES:
        raise InputError(
            "request.too-many",
            "too many devices wait for an answer",
            "see `walletcli request list`, and cancel what is not needed",
        )
    made = [DeviceSecrets(Secret(entropy(DEVICE_SEED_BYTES)), Secret(entropy(DEVICE_SEED_BYTES))) for _ in range(count)]
    waiting = {SigningKey(one.signing).public_key: one for one in made}
    rows: list[object] = [[key, x25519.public_key(one.sealing)] for key, one in waiting.items()]
    return replace(state, waiting={**state.waiting, **waiting}), rows


def keep_devices(state: WalletState, change: KeepDevices) -> WalletState:
    """Return the state in which these devices wait and no others.

    Raises:
        VaultError: ``request.device-gone`` if one of them does not.
    """
    if not set(change.keys) <= state.waiting.keys():
        raise VaultError("request.device-gone", "another process has changed what waits for an answer", "try again")
    return replace(state, waiting={key: state.waiting[key] for key in change.keys})


def take_identity(state: WalletState, change: TakeIdentity) -> WalletState:
    """Return the state of a watch wallet with an identity that the root answered, and whose device waited for it.

    Raises:
        VerificationError: ``response.record``, ``response.foreign``, ``record.*``.
        InputError: ``identity.exists``, ``label.*``.
        SignerError: ``request.not-watch``.
    """
    if not state.public.watch:
        raise SignerError("request.not-watch", "this wallet has its root keys: it takes no answers", "")
    record = Record.from_bytes(change.record)
    secrets = state.waiting.get(change.device)
    document = record.document
    if secrets is None or document is None:
        raise _record("no device of this wallet waits for it")
    device = _delegation_of(document, change.device, x25519.public_key(secrets.sealing))
    section = _opened(document, secrets)
    index = naming.free_index(state.public, change.index)
    if change.wanted is not None and change.wanted != (section.label, tuple(sorted(section.attributes.items()))):
        raise _record("its owner's section says something else")
    label = change.wanted[0] if change.wanted is not None else naming.label_for(state.public, section, index)
    view = IdentityView(
        index=index,
        public_key=document.identity,
        label=naming.free_label(state.public, label, None),
        created_day=change.day,
        device_signing_key=device.signing_key,
        device_sealing_key=device.sealing_key,
        recovery_key=change.recovery_key,
        recovery_generation=change.recovery_generation,
        profile=dict(document.profile),
        sealed_profile=dict(section.attributes),
        retired=Retired(document.retirement.day, document.retirement.reason) if document.retirement else None,
        changed=False,
        unseen=False,
        record=change.record,
        stored=None,
        contacted=change.asked,
        accepted_links=(),
        path=path_to_text(identity_path(Scheme(change.scheme), index)),
        credentials=section.credentials,
        ssh_credentials=ordered(of_record(document, section).values()),
    )
    waiting = {key: keys for key, keys in state.waiting.items() if key != change.device}
    state = replace(_with_origin(state, change), waiting=waiting)
    return transitions.add_identity(state, view, secrets)


def _record(why: str) -> VerificationError:
    return VerificationError("response.record", f"the record in the response is not the one that was asked for: {why}")


def _delegation_of(document: Document, signing_key: bytes, sealing_key: bytes) -> Delegation:
    for item in document.delegations:
        if (item.signing_key, item.sealing_key) == (signing_key, sealing_key):
            return item
    raise _record("it does not delegate to the device")


def _opened(document: Document, secrets: DeviceSecrets) -> OwnerSection:
    for data in document.sections:
        try:
            content = unseal(data, secrets.sealing, sections.context(document.identity))
        except (FormatError, VerificationError):
            continue
        return OwnerSection.from_bytes(content)
    raise _record("the device cannot open the owner's section")


def _with_origin(state: WalletState, change: TakeIdentity) -> WalletState:
    """Remember which words answered first; no others may answer later."""
    public = state.public
    if public.check and (public.check, public.scheme) != (change.check, change.scheme):
        raise VerificationError(
            "response.foreign",
            "the response comes from other words than the ones that answered this wallet before",
            "approve the request with the wallet that answered before, or make another watch wallet for these words",
        )
    return replace(state, public=replace(public, check=change.check, scheme=change.scheme))
