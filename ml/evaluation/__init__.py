"""Evaluation: metrics, truth and the report. Training and features do not belong here."""
