"""Behavioural segments whose labels stay the same from run to run.

What does not belong here: rule-based segments such as RFM cells (the warehouse has them).
"""
