"""The udev rule by which a Linux system gives security keys, Ledgers, and Trezors that are HID devices, to its users.

Systems with systemd 244 or later have one like it; others, and users without a seat (ssh, containers), need this one.
"""

from __future__ import annotations

from typing import Final

RULES_PATH: Final = "/etc/udev/rules.d/70-walletcli.rules"
"""Where the rule belongs: after the rules that recognise devices, before those that set permissions of seats (73)."""

RULES: Final = """\
# walletcli: security keys (FIDO2), Ledgers and HID Trezors belong to whoever sits at this machine, and to plugdev.
ACTION=="remove", GOTO="walletcli_end"
KERNEL!="hidraw*", GOTO="walletcli_end"
SUBSYSTEM=="hidraw", ENV{ID_SECURITY_TOKEN}!="1", IMPORT{program}="fido_id"
SUBSYSTEM=="hidraw", ENV{ID_SECURITY_TOKEN}=="1", MODE="0660", GROUP="plugdev", TAG+="uaccess"
SUBSYSTEM=="hidraw", KERNELS=="0003:534C:0001.*", MODE="0660", GROUP="plugdev", TAG+="uaccess"
SUBSYSTEM=="hidraw", KERNELS=="0003:2C97:*", MODE="0660", GROUP="plugdev", TAG+="uaccess"
LABEL="walletcli_end"
"""
"""The rule; `fido_id` is systemd's, and reads what a device is from its HID report descriptor."""
