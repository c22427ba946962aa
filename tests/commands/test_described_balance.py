"""What `describe` makes of `balance` and `hash-type`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from calorimeter.cli import calorimeter
from calorimeter.core import deployment as deployments


@pytest.mark.parametrize(
    ("balance", "hash_type"),
    [
        ("source", "map-based sdbm avalanche"),
        ("url_param user", "consistent djb2"),
        ("hdr(x-key)", "map-based"),
    ],
)
def test_arguments_are_kept(balance: str, hash_type: str, tmp_path: Path) -> None:
    """Where a client goes depends on them."""
    file, described = tmp_path / "haproxy.cfg", tmp_path / "deployment.toml"
    section = " mode http\n balance {}\n{} server a 127.0.0.1:1{}\n server b 127.0.0.1:2{}\n"
    words = f" hash-type {hash_type}\n"
    file.write_text(
        "".join(
            f"listen {name}\n bind 127.0.0.1:{port}\n" + section.format(balance, words, port, port)
            for name, port in (("heat_api", 8004), ("heat_api_cfn", 8000))
        )
    )
    CliRunner().invoke(calorimeter, ["describe", "--proxy", str(file), "-o", str(described)])
    expect = deployments.read(described).expect
    assert (expect.balance, expect.hash_type) == (balance, hash_type)
