"""The node in the DHT: what it accepts goes there, what it lacks is looked for there, and what it keeps stays there."""
