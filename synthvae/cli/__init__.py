"""The command line: parse options, call the library, print. Results go to stdout, progress and messages to stderr.

Nothing heavy is imported before a command runs, so that help and completion respond at once. This file imports nothing,
because `interrupts` must be imported first.
"""
