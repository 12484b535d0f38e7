"""Things that sign: each takes a typed request that can be shown, never bare bytes."""
