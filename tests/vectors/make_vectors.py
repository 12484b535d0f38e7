"""Makes the vector files of the formats of core and of sealed data: ``python -m tests.vectors.make_vectors``.

They are the same in every run: keys and entropy follow from names, signatures are deterministic. What a case must end
in is written down with it, not computed; the tests compare.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.vectors import (
    cases_approval,
    cases_cbor,
    cases_contact,
    cases_document,
    cases_equivocation,
    cases_gathering,
    cases_packet,
    cases_provider,
    cases_record,
    cases_request,
    cases_sealed,
    cases_sealed_data,
    cases_ssh,
    cases_ssh_security_keys,
    cases_wallet_index,
)

HERE = Path(__file__).parent

MAKERS: dict[str, Callable[[], dict[str, object]]] = {
    "cbor.json": cases_cbor.make,
    "packet.json": cases_packet.make,
    "document.json": cases_document.make,
    "record.json": cases_record.make,
    "approval.json": cases_approval.make,
    "equivocation.json": cases_equivocation.make,
    "sealed.json": cases_sealed.make,
    "sealed-data.json": cases_sealed_data.make,
    "contact.json": cases_contact.make,
    "request.json": cases_request.make,
    "gathering.json": cases_gathering.make,
    "provider.json": cases_provider.make,
    "ssh.json": cases_ssh.make,
    "ssh-security-key.json": cases_ssh_security_keys.make,
    "wallet-index.json": cases_wallet_index.make,
}
"""What makes each file."""


def text_of(name: str) -> str:
    """Return what the file `name` must hold."""
    return json.dumps(MAKERS[name](), ensure_ascii=False, indent=1) + "\n"


def main() -> None:
    """Write all files."""
    for name in MAKERS:
        (HERE / name).write_text(text_of(name), encoding="utf-8")


if __name__ == "__main__":
    main()
