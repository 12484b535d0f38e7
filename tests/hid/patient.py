"""The program, with more patience than it has: in the guest, everything takes as long as a busy host wants."""

from __future__ import annotations

import runpy

from walletcli.signers.devices import channel, ledger, security_key, trezor
from walletcli.wallet.access import unlock

LIMIT_S = 600.0

unlock.START_TIMEOUT_S = LIMIT_S
for module in (channel, ledger, security_key, trezor):
    for name in {"ANSWER_LIMIT_S", "TOUCH_LIMIT_S", "OWNER_LIMIT_S"} & vars(module).keys():
        setattr(module, name, LIMIT_S)
runpy.run_module("walletcli", run_name="__main__", alter_sys=True)
