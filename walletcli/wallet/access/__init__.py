"""Who holds the open vault, and how others ask it: the agent, the keeper, their requests."""
