"""Readers: files -> one Arrow table of text columns, with row numbers, offsets and what failed.

What does NOT belong here: mapping, casts and checks (`compile`), the quarantine (`batch`).
"""
