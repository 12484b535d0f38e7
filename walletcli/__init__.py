"""walletcli: a cold wallet for identities that nobody can tie together."""

__version__ = "0.1.0"
