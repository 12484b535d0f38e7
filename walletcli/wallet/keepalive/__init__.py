"""Keeps the records of contacts alive from this device, so that no provider has to, and none learns of the contacts."""
