"""The shell: parse, call, print. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported before a command runs, so that help and completion answer at once. This file imports nothing:
`interrupts` must be there before all else.
"""
