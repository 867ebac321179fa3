"""Answers: what a run tells when it is asked, one module a question.

Each is a function of an `Asked` run and of its options (`options`), and returns a frozen object
with arrays, numbers and paths. `Run` has them as methods and the command line as commands, which
words them. Nothing is printed here, and nothing heavy is imported by this file.
"""
