"""Pure functions from tables to scores, segments and their evaluation.

What does not belong here: orchestration, SQL, reading the environment, files
outside the folder a caller passes in.
"""
