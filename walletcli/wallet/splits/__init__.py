"""Splits: finding and proving that a key has signed two states with one `seq`, and healing one's own."""
