"""Stands for a child of the agent that hangs: it takes its input and then waits to be ended."""

import signal
import sys

if __name__ == "__main__":
    sys.stdin.read()
    signal.pause()
