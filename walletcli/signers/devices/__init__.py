"""Devices on USB: security keys over hidapi. Nothing here is imported before a command needs a device."""
