"""Pure and deterministic: keys, formats and their checks, without I/O, clock or randomness."""
