"""Ways to damage a Parquet file that is still one: other types, extreme values, bombs, foreign schemas.

Each of `WAYS` takes the file and a source of randomness, and says what it did.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

NUMBERS = (0, 1, -1, 2**15 - 1, -(2**15), 2**31 - 1, 2**62, 2**63 - 1, -(2**63), 9_300_000_000_000_000_000)
TEXTS = (
    *(
        "",
        "a",
        "../x",
        "\x00",
        "\x1b[31m",
        "a\nb",
        "x" * 5000,
        "<b>",
        "=1+1",
        "rest",
        "dropped",
        "\u202e",
        "a b",
    ),
    *("warm_up", "clean_up", "list", "999.999.999.999", "::1", "fe80::1%eth0", "127.0.0.1"),
)
BOMB_ROWS = 30_000_000
"""Rows of a file of some KB that would take GB of memory."""

TYPES = (
    *(pa.int8(), pa.int64(), pa.uint64(), pa.float64(), pa.string(), pa.binary(), pa.bool_(), pa.date32()),
    *(pa.timestamp("ns"), pa.timestamp("s", "Europe/Berlin"), pa.decimal128(38, 2), pa.large_string()),
    *(
        pa.list_(pa.int64()),
        pa.struct([("a", pa.int64())]),
        pa.null(),
        pa.dictionary(pa.int8(), pa.string()),
    ),
)


def _written(path: Path, table: pa.Table, **options: Any) -> None:
    pq.write_table(table, path, **options)


def _column_gone(path: Path, random: Random) -> str:
    table = pq.read_table(path)
    name = random.choice(table.column_names)
    _written(path, table.drop_columns([name]))
    return name


def _column_of_another_type(path: Path, random: Random) -> str:
    table = pq.read_table(path)
    at = random.randrange(table.num_columns)
    kind = random.choice(TYPES)
    try:
        column = table.column(at).cast(kind)
    except (pa.ArrowException, ValueError):
        column = pa.nulls(table.num_rows, kind) if not pa.types.is_dictionary(kind) else table.column(at)
    field = pa.field(table.schema.names[at], column.type)
    _written(path, table.set_column(at, field, column))
    return f"{field.name}: {kind}"


def _nulls(path: Path, random: Random) -> str:
    table = pq.read_table(path)
    at = random.randrange(table.num_columns)
    column, keep = table.column(at), random.choice([0.0, 0.5, 0.999])
    mask = pa.array([random.random() < keep for _ in range(table.num_rows)], pa.bool_())
    _written(
        path, table.set_column(at, table.field(at), pc.if_else(mask, column, pa.scalar(None, column.type)))
    )
    return f"{table.schema.names[at]}, {keep} kept"


def _values(path: Path, random: Random) -> str:
    """One value, some or all of a column replaced by an extreme one."""
    table = pq.read_table(path)
    at = random.randrange(table.num_columns)
    field, rows = table.field(at), table.column(at).to_pylist()
    text = not pa.types.is_integer(field.type)
    given: Any = random.choice(TEXTS) if text else _fitting(field.type, random)
    share = random.choice([0.0, 0.3, 1.0])
    one = random.randrange(len(rows)) if rows else 0
    rows = [given if n == one or random.random() < share else row for n, row in enumerate(rows)]
    _written(path, table.set_column(at, field, pa.array(rows, field.type)))
    return f"{field.name} = {given!r:.30}, share {share}"


def _fitting(kind: pa.DataType, random: Random) -> int:
    bits, signed = kind.bit_width, pa.types.is_signed_integer(kind)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return min(max(random.choice(NUMBERS), low), high)


def _other_metadata(path: Path, random: Random) -> str:
    table = pq.read_table(path)
    key = random.choice(["calorimeter.schema", "calorimeter.version", "none"])
    value = random.choice(["sample", "ledger", "action", "2", "", "\x1b[31m", "x" * 100])
    about = {} if key == "none" else {**(table.schema.metadata or {}), key.encode(): value.encode()}
    _written(path, table.replace_schema_metadata(about))
    return f"{key} = {value!r:.20}"


def _no_rows(path: Path, _: Random) -> None:
    _written(path, pq.read_table(path).slice(0, 0))


def _one_row(path: Path, _: Random) -> None:
    _written(path, pq.read_table(path).slice(0, 1))


def _bomb(path: Path, random: Random) -> str:
    """One row millions of times: some KB on the disk, GB in memory."""
    table = pq.read_table(path).slice(0, 1)
    if not table.num_rows:
        return "of nothing"
    rows = random.choice([2_000_000, BOMB_ROWS])
    part = pa.concat_tables([table] * 64).combine_chunks()
    while part.num_rows < 1_000_000:
        part = pa.concat_tables([part, part]).combine_chunks()
    part = part.slice(0, 1_000_000)
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(rows // part.num_rows):
            writer.write_table(part, row_group_size=part.num_rows)
    return f"{rows:,} rows"


def _long_texts(path: Path, random: Random) -> str:
    """A string of many MB in each of some rows: it compresses to nothing."""
    table = pq.read_table(path)
    texts = [n for n, field in enumerate(table.schema) if not pa.types.is_integer(field.type)]
    at = random.choice(texts or [0])
    field = table.field(at)
    rows = ["x" * (64 * 2**20 + n) if n < 4 else "a" for n in range(table.num_rows)]
    _written(path, table.set_column(at, field, pa.array(rows, field.type)), compression="zstd")
    return field.name


def _many_groups(path: Path, _: Random) -> None:
    _written(path, pq.read_table(path), row_group_size=1)


def _many_names(path: Path, random: Random) -> str:
    """A different text in every row of a column of names."""
    table = pq.read_table(path)
    names = [n for n, field in enumerate(table.schema) if pa.types.is_dictionary(field.type)]
    at = random.choice(names)
    field = table.field(at)
    rows = [f"n{number}" for number in range(table.num_rows)]
    _written(path, table.set_column(at, field, pa.array(rows).cast(field.type)))
    return field.name


def _more_columns(path: Path, random: Random) -> str:
    table = pq.read_table(path)
    name = random.choice(["x", "", "api", "\x1b[31m", "scheduled_ns"])
    _written(path, table.append_column(name, pa.nulls(table.num_rows, pa.int64())))
    return repr(name)


def _other_order(path: Path, random: Random) -> None:
    table = pq.read_table(path)
    names = list(table.column_names)
    random.shuffle(names)
    _written(path, table.select(names))


def _pages_flipped(path: Path, random: Random) -> str:
    """Bytes of the pages changed; the footer stays whole."""
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    count = random.choice([1, 4, 40])
    for _ in range(count):
        content[random.randrange(4, max(5, len(content) - footer - 8))] = random.randrange(256)
    path.write_bytes(content)
    return f"{count} bytes"


def _footer_flipped(path: Path, random: Random) -> str:
    """Bytes of the footer changed; the pages stay whole."""
    content = bytearray(path.read_bytes())
    footer = int.from_bytes(content[-8:-4], "little")
    count = random.choice([1, 2, 8])
    for _ in range(count):
        content[random.randrange(max(0, len(content) - footer - 8), len(content) - 8)] = random.randrange(
            256
        )
    path.write_bytes(content)
    return f"{count} bytes"


_WAYS: tuple[Callable[[Path, Random], str | None], ...] = (
    *(_column_gone, _column_of_another_type, _column_of_another_type, _nulls, _values, _values, _values),
    *(_other_metadata, _no_rows, _one_row, _bomb, _long_texts, _many_groups, _many_names, _more_columns),
    *(_other_order, _pages_flipped, _pages_flipped, _footer_flipped, _footer_flipped),
)


def _safely(way: Callable[[Path, Random], str | None]) -> Callable[[Path, Random], str | None]:
    def damage(path: Path, random: Random) -> str | None:
        try:
            return way(path, random)
        except (pa.ArrowException, IndexError, KeyError, TypeError) as problem:
            raise ValueError("the file was damaged already") from problem

    damage.__name__ = way.__name__
    return damage


WAYS = tuple(map(_safely, _WAYS))
