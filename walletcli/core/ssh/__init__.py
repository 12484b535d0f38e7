"""SSH's formats, pure: keys, what an SSH key signs, signature files, agent messages, allowed signers."""
