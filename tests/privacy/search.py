"""The search that erasing uses too (privacy/search.py), under the name that tests import.

What does not belong here: anything else.
"""

from privacy.search import Leak, Search, needles

__all__ = ["Leak", "Search", "needles"]
