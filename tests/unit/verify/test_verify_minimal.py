"""The search for culprits, against oracles that know them."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buildtool.verify.minimal import culprits


def test_a_single_culprit_among_sixteen_takes_few_questions() -> None:
    asked: list[tuple[int, ...]] = []

    def differs(some: Sequence[int]) -> bool:
        asked.append(tuple(some))
        return 11 in some

    assert culprits(range(16), differs) == [(11,)]
    assert len(asked) <= 10


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(
            st.just(n),
            st.lists(st.sets(st.integers(0, n - 1), min_size=1, max_size=3), min_size=1, max_size=3),
        )
    )
)
def test_every_set_found_is_minimal_and_what_is_left_is_innocent(case: tuple[int, list[set[int]]]) -> None:
    count, guilty = case
    asked: list[tuple[int, ...]] = []

    def differs(some: Sequence[int]) -> bool:
        asked.append(tuple(some))
        return any(g <= set(some) for g in guilty)

    found = culprits(range(count), differs)
    assert found
    for one in found:
        assert any(g == set(one) for g in guilty), "it is one of the sets, no part and no more of it"
    left = set(range(count)).difference(*map(set, found))
    assert not any(g <= left for g in guilty)
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_all_together(count: int) -> None:
    assert culprits(range(count), lambda some: len(some) == count) == [tuple(range(count))]
