"""From the words alone: what is found, how far the search goes, and when something may be signed."""

from __future__ import annotations

from collections.abc import Callable

from tests.wallet.recovery.parts import Lost, Net, device, go, published
from walletcli.wallet.recovery.report import Report

Owner = Callable[..., Lost]


def labels(report: Report) -> list[str]:
    return [item.view.label for item in report.restored]


def test_all_identities_come_back_and_are_taken_up_again(lost: Owner, net: Net) -> None:
    owner = lost()
    net.hold(*(published(owner.tree, index, f"name {index}", {"phone": str(index)}) for index in (0, 1, 5)))
    with owner.begin(*net.urls) as session:
        report = go(session)
        assert report.is_complete, report.to_json()
        assert labels(report) == ["name 0", "name 1", "name 5"]
        assert report.looked_up == 26
        for item in report.restored:
            assert item.view.sealed_profile == {"phone": str(item.view.index)}
            assert item.revoked == (device(item.view.index + 1).signing_key.hex(),)
            document = net.relays[0].record(item.view.public_key).document
            assert document is not None
            assert [d.signing_key for d in document.delegations] == [item.view.device_signing_key]
            assert set(item.view.stored.relays) == set(net.urls)
