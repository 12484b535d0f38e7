"""What a node does as a provider: grants, logins, sealed blobs, and how long it keeps them."""
