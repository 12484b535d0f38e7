"""An identity's sealed data: items in pieces under an index, at its provider and in its exit kit, kept in step."""
