"""What a reader of Markdown needs of its tables."""

from __future__ import annotations

import re
from itertools import groupby

DELIMITER = re.compile(r"\|(\s*:?-+:?\s*\|)+")


def broken_tables(text: str) -> list[str]:
    """Lines of tables that no table is made of: each is a heading, a delimiter and rows without a gap.

    A row behind a blank line begins a table of its own, which has no delimiter; so does a delimiter.
    """
    broken = []
    for of_table, lines in groupby(text.splitlines(), lambda line: line.startswith("|")):
        table = list(lines)
        if not of_table:
            continue
        delimiters = [number for number, line in enumerate(table) if DELIMITER.fullmatch(line)]
        widths = {len(re.findall(r"(?<!\\)\|", line)) for line in table}
        if delimiters != [1] or len(widths) != 1:
            broken.append(table[0])
    return broken
