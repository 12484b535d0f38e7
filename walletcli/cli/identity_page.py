"""How one identity is shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from walletcli.cli.output import pairs, safe

if TYPE_CHECKING:
    from walletcli.wallet.state.view import IdentityView


def document(view: IdentityView) -> dict[str, object]:
    """Return the identity for programs."""
    from walletcli.core.fingerprint import fingerprint

    return {**view.to_json(), "fingerprint": list(fingerprint(view.public_key))}


def lines(view: IdentityView, *, qr: bool = False) -> list[str]:
    """Return the identity for people: ids, profile, state, fingerprint, and a QR code on demand."""
    from walletcli.core.fingerprint import fingerprint

    summary = view.summary()
    fields = [
        ("label", view.label),
        ("did", summary.did),
        ("did:dht", summary.did_dht),
        ("pk", summary.pk),
        ("path", summary.path),
        *(("alias", alias) for alias in summary.aliases),
        ("state", _state(view)),
        *((f"{name} (public)", value) for name, value in sorted(view.profile.items())),
        *((f"{name} (sealed)", value) for name, value in sorted(view.sealed_profile.items())),
    ]
    page = [*pairs(fields), "", *(safe(line) for line in fingerprint(view.public_key))]
    if qr:
        from walletcli.cli import qr as codes

        page += ["", *codes.lines(summary.did)]
    return page


def _state(view: IdentityView) -> str:
    summary = view.summary()
    state = "retired" if summary.retired else "published" if summary.published else "not published"
    return f"{state}, with changes that are not published" if view.changed and view.record is not None else state
