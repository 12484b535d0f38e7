"""Secrets at rest: one sealed file, its unlock slots, and the operating system's keyring."""
