"""Offline signing: what an online wallet asks for, and what the wallet with the root keys answers."""
