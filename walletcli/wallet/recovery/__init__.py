"""What is left when something is lost: restore from the words, devices, and the drill that rehearses both losses."""
