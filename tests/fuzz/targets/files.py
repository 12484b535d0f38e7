"""What comes from elsewhere in other people's forms: configuration, certificates, dates; and sealed sections."""

from __future__ import annotations

import base64

from tests.fuzz.target import Target
from tests.vectors.cases_ssh_security_keys import sk_key
from walletcli.errors import WalletError
from walletcli.net import tls
from walletcli.node.config import TEMPLATE, Config
from walletcli.node.wire import http_date, parse_http_date
from walletcli.wallet.state.approvers import Credential
from walletcli.wallet.state.sections import OwnerSection
from walletcli.wallet.state.ssh_credentials import SshCredential


def check_config(data: bytes) -> bool:
    """A configuration is taken or refused."""
    try:
        Config.from_text(data.decode("utf-8", "replace"))
    except WalletError:
        return False
    return True


def check_certificate(data: bytes) -> bool:
    """The key of a certificate has a pin, or the certificate is refused."""
    try:
        pin = tls.spki_pin(data)
    except WalletError:
        return False
    assert len(pin) == 32
    return True


def check_section(data: bytes) -> bool:
    """One encoding per section."""
    try:
        section = OwnerSection.from_bytes(data)
    except WalletError:
        return False
    assert section.to_bytes() == data
    return True


def check_date(data: bytes) -> bool:
    """A date of HTTP is a second, or it is none."""
    second = parse_http_date(data)
    if second is None:
        return False
    if 0 <= second <= 253_402_300_799:
        assert parse_http_date(http_date(second)) == second
    return True


CERTIFICATE = base64.b64decode(
    "MIIBMjCB2KADAgECAhQtjKcDb18BIdGSkkf5gf22/6Y2ozAKBggqhkjOPQQDAjAPMQ0wCwYDVQQDDARub2RlMCAXDTIwMDEwMTAw"
    "MDAwMFoYDzIwOTkxMjMxMjM1OTU5WjAPMQ0wCwYDVQQDDARub2RlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEMrqRLAbYlvBL"
    "azGg0S7sKpdwewhYTDRJujceE/KlwbImKUlmq66laAli5IthRX5JO+JirPZ9CPE2LWEExR4UvqMQMA4wDAYDVR0TAQH/BAIwADAK"
    "BggqhkjOPQQDAgNJADBGAiEAuwESSHJS4EKxZTM4xncbH8ZG3dU6+1KlIs/AUGOH0qMCIQCJ3fSQ0Q+06B3WkrYmXx1auxhtFqQN"
    "RFvyGpBYXRtQ2g=="
)
"""A node's certificate."""

FULL_CONFIG = """\
addresses = ["192.0.2.1:7411", "[2001:db8::1]:7411"]
sources = ["https://relay.example"]
[operator]
addresses = ["192.0.2.0/24"]
[limits]
connections = 5
writes_per_second = 0.5
[storage]
max_mib = 10
"""

TARGETS = [
    Target("node-config", check_config, lambda: [TEMPLATE.encode(), FULL_CONFIG.encode(), b""]),
    Target("certificate", check_certificate, lambda: [CERTIFICATE], 1024),
    Target(
        "owner-section",
        check_section,
        lambda: [
            OwnerSection("", {}).to_bytes(),
            OwnerSection("label", {"name": "Ada", "url": "x"}).to_bytes(),
            OwnerSection("", {}, (Credential(bytes(32), b"id", "blue"),)).to_bytes(),
            OwnerSection("", {}, (), (SshCredential(sk_key(), True, b"id", "blue"),)).to_bytes(),
        ],
        2048,
    ),
    Target(
        "http-date",
        check_date,
        lambda: [
            http_date(0),
            http_date(1_700_000_000),
            b"Sunday, 06-Nov-94 08:49:37 GMT",
            b"Sun Nov  6 08:49:37 1994",
        ],
        64,
    ),
]
