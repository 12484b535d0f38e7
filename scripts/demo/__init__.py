"""The demonstration: the four stories for real, on this machine, in a temporary directory."""
