"""Providers of an identity: binding, leaving, moving, and the exit kit that makes that possible."""
