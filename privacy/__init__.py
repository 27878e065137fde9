"""What keeps people's data to those who need it: keys, tokens, the vault, masking, rotation.

What does NOT belong here: any other package of ours (each may import this one), Dagster, dbt, the
environment (settings come as arguments), which columns are personal (contracts say so).
"""
