"""One module for each table that Great Expectations guards; found by expectations.registry.

What does not belong here: rules that dbt tests own (keys, nulls, relationships, accepted values
of modelled tables), and code that runs suites.
"""
