"""One line of a drill: what would come back of an identity, or what would be lost, why, and what helps.

Spec: docs/spec/recovery.md, "Drill".
"""

from __future__ import annotations

from dataclasses import dataclass

from walletcli.core.identity_id import IdentityId
from walletcli.errors import WalletError
from walletcli.wallet.recovery.journal import Item, Missing
from walletcli.wallet.state.view import IdentityView


@dataclass(frozen=True, slots=True)
class Told:
    """One line of a drill.

    Attributes:
        identity: whose.
        what: the item, or why it would not come back.
        hint: what to do against the loss, or empty.
    """

    identity: IdentityView
    what: Item | Missing
    hint: str = ""

    @classmethod
    def lost(cls, identity: IdentityView, kind: str, error: WalletError, name: str = "", place: str = "") -> Told:
        """Return that something would be lost, because of `error`."""
        return cls(identity, Missing.of(kind, error, name, place), error.hint or "")

    @property
    def code(self) -> str:
        """Why it would be lost, or empty if it would not."""
        return self.what.code if isinstance(self.what, Missing) else ""

    @property
    def message(self) -> str:
        """The same for a reader."""
        return self.what.message if isinstance(self.what, Missing) else ""

    def to_json(self) -> dict[str, object]:
        """Return did, label, the item; of one that would be lost also what helps."""
        row = {"did": IdentityId(self.identity.public_key).did, "label": self.identity.label, **self.what.to_json()}
        return {**row, "hint": self.hint or None} if isinstance(self.what, Missing) else row
