"""Models of purchasing as such: how often, how long, how much.

What does not belong here: anything that needs labels, or a decision on what ships.
"""
