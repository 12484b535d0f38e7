"""The servers of the client's tests serve the dialers' tests as well."""

from tests.client.conftest import serve

__all__ = ["serve"]
