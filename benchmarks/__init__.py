"""Benchmarks: speed and memory as ratios against something in the same run. Tests stay out."""
