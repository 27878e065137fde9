"""YAML with line numbers: where in the file does a value stand, and is a key written twice?

What does NOT belong here: what the values mean (`loader`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from expectations.contract.errors import ContractError

Key = tuple[str | int, ...]
#: Far beyond any honest contract: 1,000 columns with ten keys each take 30,000 steps of the parser.
MAX_BYTES, MAX_VALUES, MAX_DEPTH = 4 << 20, 200_000, 40


class MarkedYaml:
    """A parsed YAML file that knows the line of each of its values.

    Attributes:
        path: The file.
        data: The value as `yaml.safe_load` gives it (always a mapping).
    """

    def __init__(self, path: Path) -> None:
        """Read `path`.

        Raises:
            ContractError: If the file is missing, is not UTF-8, is not YAML, is not a mapping, or
                has a key twice.
        """
        self.path = path
        self._lines: dict[Key, int] = {}
        self._walked = 0
        try:
            # Looked at before it is read: a pipe has no end, and neither has a device.
            if path.exists() and not path.is_file():
                raise ContractError(path, None, "not a file", "A contract is a file of its own")
            if path.exists() and path.stat().st_size > MAX_BYTES:
                raise ContractError(
                    path, None, f"larger than {MAX_BYTES} bytes", "A contract describes one source"
                )
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            raise ContractError(
                path, None, "there is no such file", "Check the path, or write the file"
            ) from None
        except UnicodeDecodeError as error:
            raise ContractError(
                path, None, f"not UTF-8 (byte {error.start})", "Save the file as UTF-8"
            ) from None
        try:
            self._check_size(text)
            # The parser in C: the folder of contracts is read several times a run.
            loader = yaml.CSafeLoader(text)
            node = loader.get_single_node()
            if node:
                # Before values are made of it: merged keys (`<<`) of merged keys unfold there.
                self._walk(node, ())
            data = loader.construct_document(node) if node else None
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or "cannot be parsed"
            raise ContractError(
                path,
                mark.line + 1 if mark else None,
                f"not valid YAML: {problem}",
                "Check indentation, quotes and colons on this line and the one above it",
            ) from None
        except ContractError:
            raise
        except ValueError as error:  # an impossible date such as 2017-13-45
            raise ContractError(
                path,
                None,
                f"a value cannot be read: {error}",
                "Put the value in quotes, or mend it",
            ) from None
        if not isinstance(data, dict) or not isinstance(node, yaml.MappingNode):
            raise ContractError(
                path, 1, "the file holds no mapping", "Begin with `key: value` lines"
            )
        self.data: dict[str, Any] = data

    def _check_size(self, text: str) -> None:
        """Refuse what is made to exhaust memory or stack; the parser's events cost neither.

        A document nested 100,000 deep ends the process where the tree is built.
        """
        depth = 0
        for steps, event in enumerate(yaml.parse(text, Loader=yaml.CSafeLoader)):
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            mark = event.start_mark
            self._check(steps, depth, mark.line + 1 if mark else 1)

    def _check(self, values: int, depth: int, line: int) -> None:
        for name, found, limit in (("values", values, MAX_VALUES), ("levels", depth, MAX_DEPTH)):
            if found > limit:
                raise ContractError(
                    self.path,
                    line,
                    f"the file has more than {limit} {name}",
                    "A contract describes one source: take out what is not of it, and write "
                    "values out where aliases stand for aliases",
                )

    def _walk(self, node: yaml.Node, key: Key) -> None:
        self._lines.setdefault(key, node.start_mark.line + 1)
        # Again, as aliases of aliases unfold here, and a value may hold itself.
        self._walked += 1
        self._check(self._walked, len(key), node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            for name, value in node.value:
                child = (*key, str(name.value))
                if child in self._lines:
                    raise ContractError(
                        self.path,
                        name.start_mark.line + 1,
                        f"`{name.value}` is written twice (first on line {self._lines[child]})",
                        "Keep one of the two",
                    )
                self._lines[child] = name.start_mark.line + 1
                self._walk(value, child)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._walk(value, (*key, index))

    def line(self, *key: str | int) -> int:
        """The line, from 1, of the value at `key`, or of the nearest value that holds it."""
        for length in range(len(key), -1, -1):
            if key[:length] in self._lines:
                return self._lines[key[:length]]
        return 1

    def error(self, key: Key, reason: str, remedy: str) -> ContractError:
        """A ContractError at the line of `key`; the caller raises it."""
        return ContractError(self.path, self.line(*key), reason, remedy)
