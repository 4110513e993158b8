"""What the fuzzer does with each input, without the fuzzer: its seeds, and inputs of any kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.framer import Disagreement, Input, check
from fuzz.seeds import seeds, write_seeds
from vfiipc.codec import Framer, framer


def test_every_seed_passes(tmp_path: Path) -> None:
    assert write_seeds(tmp_path / "seeds") > 400
    for path in (tmp_path / "seeds").iterdir():
        check(path.read_bytes())


@given(data=st.binary(max_size=120))
def test_any_input_passes(data: bytes) -> None:
    check(data)


@given(data=st.binary(min_size=10, max_size=60))
def test_an_input_is_what_it_is_made_of(data: bytes) -> None:
    case = Input.parse(data)
    assert Input.parse(case.build()) == case


def failures() -> int:
    count = 0
    for seed in set(seeds()):
        try:
            check(seed)
        except Disagreement:
            count += 1
    return count


def test_faults_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(framer, "MIN_SIZE", 5)
        assert failures()
    with monkeypatch.context() as patch:
        patch.setattr(Framer, "_revalidate", lambda self: None)
        check_of_a_change = Input(
            False, False, b"\xab" * 4, 9, bytes([0xF8, 2, 6]), b"\xab" * 4 + bytes(3) + b"\x05"
        ).build()
        with pytest.raises(Disagreement):
            check(check_of_a_change)
    check(check_of_a_change)
    assert failures() == 0
