"""The command line: parse, call one function of wallet or node, render."""
