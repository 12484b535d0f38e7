"""Dialers and addresses: how bytes reach a node, and for whom."""
