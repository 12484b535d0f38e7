"""Talks to nodes and relays: resolve, publish."""
