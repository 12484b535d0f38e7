"""The wallet index: what is written into it, when and where, and what a restore reads from it."""
