"""``walletcli data``: the files that an identity keeps sealed at its provider."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.output import note, pairs, safe, table, warn
from walletcli.cli.sizes import size_text
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from walletcli.client.manifests import ItemFault
    from walletcli.wallet.sealed.access import KitRefresh
    from walletcli.wallet.sealed.file_results import ItemList
    from walletcli.wallet.sealed.index import Item

STDOUT = "-"
"""What stands for standard output in place of a file."""


@click.group(cls=Noun)
def data() -> None:
    """Keep files sealed at an identity's provider."""


@data.command("put", unlocks=True, resumes=True, example="walletcli data put alice passport.pdf")
@click.argument("who", metavar="ID")
@click.argument("file", metavar="FILE")
@click.option("--name", metavar="NAME", help="What it is called there; the file's own name if not given.")
@click.option("--replace", is_flag=True, help="Replace what is kept under this name.")
@click.option("--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered.")
@pass_invocation
def put(invocation: Invocation, who: str, file: str, name: str | None, replace: bool, accept_link: bool) -> None:
    """Seal a file and store it; an interrupted upload goes on."""
    from walletcli.wallet.sealed.data import put_file

    with invocation.session() as session:
        stored = put_file(
            session, who, file, name=name, replace=replace, accept_link=accept_link,
            offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
    _warn_of_kits(stored.kits)
    state = "stored" if stored.new else "was there already"
    fields = [("name", stored.item.name), ("size", size_text(stored.item.length_bytes)), (state, stored.provider)]
    if stored.resumed:
        fields.append(("went on after", f"{stored.resumed} of {len(stored.item.pieces)} pieces"))
    fields += [("exit kit", kit.place) for kit in stored.kits if kit.complete]
    invocation.answer(stored.to_json(), pairs(fields))


@data.command("list", unlocks=True, example="walletcli data list alice")
@click.argument("who", metavar="ID")
@pass_invocation
def list_(invocation: Invocation, who: str) -> None:
    """List what an identity keeps."""
    from walletcli.wallet.sealed.data import list_data

    with invocation.session() as session:
        found = list_data(session, who, offline=invocation.offline, progress=invocation.step)
    _warn_of_faults(found.faults)
    if found.source is None and not invocation.json:
        note("This is what was there when the wallet looked last.")
    invocation.answer(found.to_json(), _list_lines(found))


@data.command("get", unlocks=True, example="walletcli data get alice passport.pdf --out copy.pdf")
@click.argument("who", metavar="ID")
@click.argument("name")
@click.option("--out", metavar="FILE", help="Write it to this new file ('-': standard output); else to NAME here.")
@click.option("--replace", is_flag=True, help="Replace a file that is there.")
@pass_invocation
def get(invocation: Invocation, who: str, name: str, out: str | None, replace: bool) -> None:
    """Fetch a file, from the provider or else from the exit kit."""
    from walletcli.wallet.files import NewFile
    from walletcli.wallet.sealed.data import get_file
    from walletcli.wallet.sealed.index import check_name

    target = _stdout(invocation) if out == STDOUT else None
    path = out if out is not None else check_name(name)
    with invocation.session() as session:
        if target is not None:
            found = get_file(session, who, name, target, offline=invocation.offline, progress=invocation.step)
            target.flush()
        else:
            with NewFile(path, replace=replace) as file:
                found = get_file(session, who, name, file, offline=invocation.offline, progress=invocation.step)
                file.commit()
    _warn_of_faults(found.faults)
    if target is None:
        fields = [("file", path), ("size", size_text(found.item.length_bytes)), ("from", found.source)]
        invocation.answer({**found.to_json(), "file": path}, pairs(fields))


@data.command("remove", unlocks=True, example="walletcli data remove alice passport.pdf")
@click.argument("who", metavar="ID")
@click.argument("name")
@pass_invocation
def remove(invocation: Invocation, who: str, name: str) -> None:
    """Remove a file, or an upload of it that was interrupted."""
    from walletcli.wallet.sealed.data import remove_file

    with invocation.session() as session:
        removed = remove_file(session, who, name, offline=invocation.offline, progress=invocation.step)
    _warn_of_kits(removed.kits)
    what = "Removed" if removed.item else "Gave up the upload of"
    invocation.answer(removed.to_json(), [f"{what} {safe(removed.name)}."])


class _Stdout:
    """Standard output of a pipe; what was written to it cannot be taken back."""

    def __init__(self) -> None:
        self._started = False

    def write(self, data: bytes) -> None:
        self._started = True
        sys.stdout.buffer.write(data)

    def restart(self) -> None:
        if self._started:
            raise UsageError(
                "data.output-replaced",
                "another device replaced the file while it was read; what was written so far is of the old one",
                "run the command again",
            )

    def flush(self) -> None:
        sys.stdout.buffer.flush()


def _stdout(invocation: Invocation) -> _Stdout:
    if invocation.json:
        raise UsageError("data.output-taken", "--json and --out - both want standard output", "name a file with --out")
    if sys.stdout.isatty():
        raise UsageError("data.output-terminal", "a file is not written to a terminal", "name a file with --out")
    return _Stdout()


def _list_lines(found: ItemList) -> list[str]:
    from walletcli.cli.times import instant_text
    from walletcli.wallet.sealed.index import Kind

    def row(item: Item) -> tuple[str, str, str]:
        return item.name, size_text(item.length_bytes), instant_text(item.stored_s)

    index = found.seen.index
    rows = [row(item) for item in index.of_kind(Kind.FILE)]
    rows += [(plan.name, size_text(plan.length_bytes), "interrupted: put it again") for plan in found.unfinished]
    lines = table([("NAME", "SIZE", "STORED"), *rows]) if rows else ["no files"]
    own = [row(item) for item in index.of_kind(Kind.SYSTEM)]
    return [*lines, *(["", "Kept by the wallet:", *table(own)] if own else [])]


def _warn_of_kits(kits: Iterable[KitRefresh]) -> None:
    for kit in kits:
        if not kit.complete:
            why = kit.error.message if kit.error is not None else "something is missing"
            warn(f"the exit kit {kit.place} is not up to date: {why}")


def _warn_of_faults(faults: Iterable[ItemFault]) -> None:
    for text in dict.fromkeys(f"{fault.name}: {fault.error.message}" for fault in faults):
        warn(text)
