"""Trails: states that share their past, and the stages that are made of them."""

from hypothesis import given
from hypothesis import strategies as st

from buildtool.graph.model import Platform
from buildtool.graph.stage import Stage
from buildtool.graph.trail import Trail


def test_two_states_after_one_do_not_see_each_other() -> None:
    start = Trail(["a"])
    left, right = start.and_then("b"), start.and_then("c")
    assert start.items() == ("a",)
    assert left.items() == ("a", "b")
    assert right.items() == ("a", "c")
    assert left.and_then("d").items() == ("a", "b", "d")


@given(st.lists(st.tuples(st.integers(0, 30), st.integers()), max_size=40))
def test_a_trail_is_a_tuple_that_grows(growth: list[tuple[int, int]]) -> None:
    trails, tuples = [Trail[int]()], [()]
    for place, item in growth:
        at = place % len(trails)
        trails.append(trails[at].and_then(item))
        tuples.append((*tuples[at], item))  # type: ignore[arg-type]
    assert [t.items() for t in trails] == tuples


def test_equality_is_of_items() -> None:
    assert Trail("ab") == Trail("a").and_then("b")
    assert hash(Trail("ab")) == hash(Trail("a").and_then("b"))
    assert Trail("ab") != Trail("ac")


def test_ports_and_volumes_stay_sorted_and_single() -> None:
    stage = Stage.scratch(Platform("linux", "amd64"), 0)
    for port in ("80/tcp", "443/tcp", "80/tcp", "9/udp"):
        stage = stage.expose(port)
    assert stage.expose("1/tcp", "80/tcp").image().config.exposed_ports == (
        "1/tcp",
        "443/tcp",
        "80/tcp",
        "9/udp",
    )
    for path in ("/b", "/a", "/b"):
        stage = stage.volume(path)
    assert stage.image().config.volumes == ("/a", "/b")


def test_stages_that_part_have_their_own_history() -> None:
    stage = Stage.scratch(Platform("linux", "amd64"), 0).user("a")
    one, other = stage.user("b"), stage.user("c")
    assert [h.created_by for h in one.image().history] == ["USER a", "USER b"]
    assert [h.created_by for h in other.image().history] == ["USER a", "USER c"]
