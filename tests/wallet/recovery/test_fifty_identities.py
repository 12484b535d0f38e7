"""Device loss with 50 identities, 500 contacts, three providers, one of them dead: the report is exact to the item."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import NodeProcess
from tests.wallet.recovery.machine import Machine
from tests.wallet.recovery.parts import Lost, go
from walletcli.wallet.access.session import Session
from walletcli.wallet.contacts.book import ContactBook, read_book
from walletcli.wallet.identities import retire_identity
from walletcli.wallet.publish import publish_identity
from walletcli.wallet.recovery.report import Report

IDENTITIES = 50
FRIENDS = 10
DEAD = 2
"""Number of the provider that dies."""

Item = tuple[str, str, str, int | None]
"""Kind, name, where it comes from, and how many."""


@dataclass
class Truth:
    """What there is of an identity, and what must come of it."""

    label: str
    did: str
    provider: NodeProcess | None
    kit: str | None
    book: ContactBook
    files: dict[str, int]
    is_retired: bool = False
    items: set[Item] = field(default_factory=set)
    missing: set[tuple[str, str, str, str]] = field(default_factory=set)


def settings_of(number: int, nodes: list[NodeProcess]) -> tuple[NodeProcess | None, bool, dict[str, int]]:
    """Return provider, whether there is an exit kit, and files: every combination occurs."""
    provider = None if number % 10 == 9 else nodes[number % 3]
    files = {f"file {n}": 100 + number + n for n in range(number % 3)} if provider is not None else {}
    return provider, number % 4 < 2, files


def build(machine: Machine, session: Session, nodes: list[NodeProcess]) -> list[Truth]:
    truths = []
    for number in range(IDENTITIES):
        provider, has_kit, files = settings_of(number, nodes)
        label = f"name {number}"
        view = machine.create(
            session, label, provider.address if provider is not None else None,
            kit=has_kit, friends=FRIENDS, relations=number % 4, files=files, sealed={"phone": str(number)},
        )  # fmt: skip
        kit = str(machine.kit(label)) if has_kit and provider is not None else None
        truths.append(Truth(label, view.summary().did, provider, kit, machine.book(session, label), files))
    retired = truths[19]
    retire_identity(session, retired.label)
    publish_identity(session, retired.label, accept_link=True)
    retired.is_retired = True
    return truths


def expect(truth: Truth, dead: NodeProcess) -> None:
    """Say what must come back of an identity, and what not."""
    provider = truth.provider if not truth.is_retired else None  # a record that ends an identity binds it to nobody
    if provider is None:
        return
    is_dead = provider is dead
    place = truth.kit if is_dead else provider.address
    if place is not None:
        relations = sum(contact.relation is not None for contact in truth.book)
        truth.items |= {
            ("contacts", "", place, FRIENDS),
            ("relations", "", place, relations),
            ("settings", "", place, None),
            *(("file", name, place, size) for name, size in truth.files.items()),
        }
        if truth.kit is not None:
            truth.items.add(("kit", truth.kit, place, None))
    if is_dead:
        truth.missing.add(("provider", provider.did, provider.address, "host.unreachable"))
        if place is None:
            truth.missing |= {
                (kind, "", provider.address, "host.unreachable") for kind in ("contacts", "settings", "files")
            }


@pytest.mark.timeout(600)
def test_the_report_is_exact_to_the_item(tmp_path: Path, node_factory: Callable[..., NodeProcess]) -> None:
    nodes = [hosting(node_factory, tmp_path, f"provider {number}") for number in range(3)]
    machine = Machine(tmp_path, [node.url for node in nodes])
    with machine.open() as session:
        truths = build(machine, session, nodes)
    machine.lose()
    nodes[DEAD].kill()
    for truth in truths:
        expect(truth, nodes[DEAD])
    living = [node.url for number, node in enumerate(nodes) if number != DEAD]
    wish = {"kits": [str(tmp_path / "kits")], "accept_link": True, "gap": 5}
    with Lost(tmp_path).begin(*(node.url for node in nodes), **wish) as session:
        report = go(session, timeout_s=2.0)
        check_items(report, truths, nodes[DEAD])
        assert {found.entry.waits[0] for found in report.restored if found.view.retired is None} == {"recovery.sources"}
        check_nothing_was_signed(report)

        report = go(session, timeout_s=2.0, sources=2)
        check_items(report, truths, nodes[DEAD])
        assert [found.entry.waits for found in report.restored if found.entry.waits] == []
        check_new_records(report, living)
        check_books(session, truths)


def hosting(node_factory: Callable[..., NodeProcess], directory: Path, name: str) -> NodeProcess:
    """Start a node that hosts anybody, as a process of its own."""
    first = node_factory(name, "--no-limits")
    first.stop()
    (directory / name / "node.toml").write_text('[hosting]\npolicy = "open"\n')
    return node_factory(name, "--no-limits")


def check_items(report: Report, truths: list[Truth], dead: NodeProcess) -> None:
    assert [found.view.label for found in report.restored] == [truth.label for truth in truths]
    for found, truth in zip(report.restored, truths, strict=True):
        assert found.did == truth.did
        assert (found.view.retired is not None) == truth.is_retired, truth.label
        assert found.view.sealed_profile == {"phone": truth.label.removeprefix("name ")}
        back = {(item.kind, item.name, item.place, item.count) for item in found.entry.items}
        told = {item for item in back if item[0] not in ("record", "label", "profile", "binding")}
        assert told == truth.items, truth.label
        bound = {item[1] for item in back if item[0] == "binding"}
        provider = truth.provider if not truth.is_retired else None
        assert bound == ({provider.did} if provider is not None else set()), truth.label
    missing = {
        (found.identity.label if found.identity is not None else "", found.missing.kind, found.missing.name,
         found.missing.place, found.missing.code)
        for found in report.not_found
    }  # fmt: skip
    expected = {(truth.label, *item) for truth in truths for item in truth.missing}
    assert missing == expected | {("", "relay", "", dead.url, "relay.unreachable")}


def check_nothing_was_signed(report: Report) -> None:
    for found in report.restored:
        assert found.revoked == ()
        assert found.view.stored is None
        assert found.view.unseen


def check_new_records(report: Report, living: list[str]) -> None:
    for found in report.restored:
        if found.view.retired is not None:
            continue
        assert len(found.revoked) == 1, found.view.label
        assert found.view.stored is not None
        assert set(living) <= set(found.view.stored.relays)


def check_books(session: Session, truths: list[Truth]) -> None:
    for index, truth in enumerate(truths):
        book = read_book(session, index)
        has_book = any(item[0] == "contacts" for item in truth.items)
        assert book == (truth.book if has_book else ContactBook()), truth.label
