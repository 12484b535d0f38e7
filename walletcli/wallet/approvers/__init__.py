"""Approvers of an identity: security keys that must agree to each of its documents."""
