"""What a wallet holds and how that changes: values, their encodings, the next document. No I/O."""
