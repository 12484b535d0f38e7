"""What an identity knows of others: the contact book, and all that is done with it."""
