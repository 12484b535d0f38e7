"""An identity's SSH key: the agent that serves it, and signatures of files."""
