"""The node: takes packets and documents in, keeps them, and gives them out."""
