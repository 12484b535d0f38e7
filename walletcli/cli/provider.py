"""``walletcli provider``: who keeps an identity's data, and how to leave."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from walletcli.cli.commands import Noun
from walletcli.cli.invocation import Invocation, pass_invocation
from walletcli.cli.secret_files import SECRET_FILE, SecretFile
from walletcli.cli.sizes import SIZE
from walletcli.errors import UsageError

if TYPE_CHECKING:
    from walletcli.errors import WalletError

_who = click.argument("who", metavar="ID")
_accept_link = click.option(
    "--accept-link", is_flag=True, help="Go ahead where that ties identities together; remembered."
)
_relays = click.option(
    "--relay", "relays", metavar="URL", multiple=True, help="Store the record here, not on your list of relays."
)
_quota = click.option("--quota", "quota_bytes", type=SIZE, help="Room to ask for, such as 500M; all that is offered.")
_invitation = click.option(
    "--invitation-file", type=SECRET_FILE, help="Read the invitation of a closed provider from this file."
)
_invitation_prompt = click.option("--invitation-prompt", is_flag=True, help="Ask for the invitation on the terminal.")


@click.group(cls=Noun)
def provider() -> None:
    """Choose who keeps an identity's data, and move."""


@provider.command(
    "bind", unlocks=True, resumes=True, example="walletcli provider bind alice walletcli://… --kit /media/stick/alice"
)
@_who
@click.argument("address")
@click.option("--kit", metavar="PLACE", help="Keep a second copy there: a directory, or a second provider's address.")
@click.option("--no-kit", is_flag=True, help="Keep no second copy: what only a dead provider has is lost.")
@_quota
@_invitation
@_invitation_prompt
@_relays
@_accept_link
@pass_invocation
def bind(
    invocation: Invocation, who: str, address: str, kit: str | None, no_kit: bool, quota_bytes: int | None,
    invitation_file: SecretFile | None, invitation_prompt: bool, relays: tuple[str, ...], accept_link: bool,
) -> None:  # fmt: skip
    """Bind an identity to a provider, publish that, and make its exit kit."""
    from walletcli.cli import provider_page
    from walletcli.cli.unlocking import read_invitation
    from walletcli.wallet.providers.bind import BindWish, bind_provider

    provider_page.warn_of_clear_text(address, kit, *relays)
    token = read_invitation(invocation, invitation_file, prompt=invitation_prompt)
    wish = BindWish(address, kit, no_kit, quota_bytes, token, accept_link, relays)
    with invocation.session() as session:
        bound = bind_provider(session, who, wish, offline=invocation.offline, progress=invocation.step)
    provider_page.warn_of_few_sources(bound)
    invocation.answer(bound.to_json(), provider_page.bound_lines(bound))
    _raise(bound.shortfall)


@provider.command("status", unlocks=True, example="walletcli provider status alice")
@_who
@pass_invocation
def status(invocation: Invocation, who: str) -> None:
    """Ask an identity's providers what they keep, and look at its exit kit."""
    from walletcli.cli import provider_page
    from walletcli.wallet.providers.overview import provider_status

    with invocation.session() as session:
        found = provider_status(session, who, offline=invocation.offline, progress=invocation.step)
    invocation.answer(found.to_json(), provider_page.overview_lines(found))


@provider.command("list", unlocks=True, example="walletcli provider list")
@click.argument("who", metavar="[ID]", required=False)
@pass_invocation
def list_(invocation: Invocation, who: str | None) -> None:
    """List the bindings of one identity or of all, without asking anybody."""
    from walletcli.cli import provider_page
    from walletcli.wallet.providers.overview import list_providers

    with invocation.session() as session:
        found = list_providers(session, who)
    invocation.answer({"identities": [item.to_json() for item in found]}, provider_page.list_lines(found))


@provider.command(
    "unbind", unlocks=True, resumes=True, example="walletcli provider unbind alice did:key:z6Mk… --forget"
)
@_who
@click.argument("which", metavar="PROVIDER")
@click.option("--forget", is_flag=True, help="Have it delete everything that it keeps, at once.")
@click.option("--without-copy", is_flag=True, help="Go ahead though some data is nowhere else.")
@_relays
@_accept_link
@pass_invocation
def unbind(
    invocation: Invocation, who: str, which: str, forget: bool, without_copy: bool, relays: tuple[str, ...],
    accept_link: bool,
) -> None:  # fmt: skip
    """Leave a provider; PROVIDER is its id or its address."""
    from walletcli.cli import provider_page
    from walletcli.wallet.providers.unbind import unbind_provider

    with invocation.session() as session:
        left = unbind_provider(
            session, who, which, forget=forget, without_copy=without_copy, accept_link=accept_link,
            relays=relays, offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
    invocation.answer(left.to_json(), provider_page.unbound_lines(left))
    _raise(left.shortfall)


@provider.command("export", unlocks=True, resumes=True, example="walletcli provider export alice alice-data")
@_who
@click.argument("directory", metavar="DIR")
@click.option("--from", "which", metavar="PROVIDER", help="Its id or its address; the main provider if not given.")
@_accept_link
@pass_invocation
def export(invocation: Invocation, who: str, directory: str, which: str | None, accept_link: bool) -> None:
    """Copy everything that a provider holds into a directory, as an exit kit."""
    from walletcli.cli import provider_page
    from walletcli.wallet.providers.export import export_data

    with invocation.session() as session:
        exported = export_data(
            session, who, directory, provider=which, accept_link=accept_link,
            offline=invocation.offline, progress=invocation.step,
        )  # fmt: skip
    invocation.answer(exported.to_json(), provider_page.exported_lines(exported))
    _raise(exported.shortfall)


@provider.command("migrate", unlocks=True, resumes=True, example="walletcli provider migrate alice walletcli://…")
@_who
@click.argument("address", metavar="[ADDRESS]", required=False)
@click.option("--from", "old", metavar="PROVIDER", help="Which one is left; the main provider if not given.")
@_quota
@_invitation
@_invitation_prompt
@_relays
@_accept_link
@click.option("--abort", is_flag=True, help="Give it up, as long as nobody else has been told.")
@pass_invocation
def migrate(
    invocation: Invocation, who: str, address: str | None, old: str | None, quota_bytes: int | None,
    invitation_file: SecretFile | None, invitation_prompt: bool, relays: tuple[str, ...], accept_link: bool,
    abort: bool,
) -> None:  # fmt: skip
    """Move to another provider, whether the old one helps or not; without ADDRESS, go on with a move under way."""
    from walletcli.cli import migration_page
    from walletcli.cli.unlocking import read_invitation
    from walletcli.wallet.providers.migrate import MigrateWish

    if abort and address is not None:
        raise UsageError("migration.abort-address", "what is given up goes nowhere", "leave out the address")
    token = read_invitation(invocation, invitation_file, prompt=invitation_prompt)
    wish = MigrateWish(address, old, quota_bytes, token, accept_link, relays)
    result = migration_page.aborted(invocation, who, relays) if abort else migration_page.moved(invocation, who, wish)
    _raise(result.shortfall)


def _raise(shortfall: WalletError | None) -> None:
    """Tell what is missing after the result was given: on stderr and in the exit code."""
    if shortfall is not None:
        raise shortfall
