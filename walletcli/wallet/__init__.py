"""The stories: create, publish, resolve and the rest, as functions without a terminal."""
