"""Churn: who will not purchase within the horizon.

What does not belong here: building features or labels (the warehouse does), plots.
"""
