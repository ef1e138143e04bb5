import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_contract.reasons import Reason
from flow_contract.templates import GpuRequest
from party_agent.gpus import GpuAllocator, GpuInventory
from party_agent.runtime.port import RuntimeRefused

FOUR = GpuInventory(ids=("0", "1", "2", "3"))


def allocator_of(*asks):
    allocator = GpuAllocator(FOUR)
    for order, request in enumerate(asks):
        allocator.enqueue(f"run{order}", order, request)
    allocator.grant()
    return allocator


def test_ids_are_granted_explicitly():
    allocator = allocator_of(GpuRequest(count=2), GpuRequest(device_ids=("3",)))
    assert allocator.held("run0") == ("0", "1")
    assert allocator.held("run1") == ("3",)


def test_a_small_request_does_not_overtake_a_large_one():
    allocator = allocator_of(GpuRequest(count=3), GpuRequest(count=2), GpuRequest(count=1))
    assert [allocator.held(f"run{n}") for n in range(3)] == [("0", "1", "2"), (), ()]
    assert allocator.waiting() == ["run1", "run2"]


def test_the_queue_is_served_in_the_order_of_starts_not_of_arrival():
    allocator = GpuAllocator(FOUR)
    allocator.enqueue("late", 9, GpuRequest(count=4))
    allocator.enqueue("early", 2, GpuRequest(count=4))
    assert allocator.grant() == ["early"]


def test_who_waits_is_told_why():
    allocator = allocator_of(
        GpuRequest(count=3), GpuRequest(count=2), GpuRequest(device_ids=("1",))
    )
    assert allocator.why_waiting("run1") == "waiting for 2 GPUs; 1 of 4 free"
    assert (
        allocator.why_waiting("run2") == "waiting for GPU 1; 1 of 4 free, 1 run ahead in the queue"
    )
    assert allocator.why_waiting("run0") == ""


def test_released_ids_go_to_the_head_of_the_queue():
    allocator = allocator_of(GpuRequest(count=3), GpuRequest(count=2), GpuRequest(count=2))
    allocator.release("run0")
    assert allocator.grant() == ["run1", "run2"]
    assert allocator.held("run1") == ("0", "1")


def test_who_gives_up_lets_the_next_one_through():
    allocator = allocator_of(GpuRequest(count=3), GpuRequest(count=4), GpuRequest(count=1))
    allocator.release("run1")
    assert allocator.grant() == ["run2"]


def test_a_second_request_of_the_same_run_changes_nothing():
    allocator = allocator_of(GpuRequest(count=2))
    allocator.enqueue("run0", 0, GpuRequest(count=2))
    assert allocator.grant() == []


def test_what_was_held_before_a_restart_stays_held():
    allocator = GpuAllocator(FOUR)
    allocator.restore("old", ("0", "1", "2"))
    allocator.enqueue("new", 1, GpuRequest(count=2))
    assert allocator.grant() == []
    allocator.release("old")
    assert allocator.grant() == ["new"]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (GpuRequest(count=5), "5 GPUs asked for, the site has 4"),
        (GpuRequest(device_ids=("7",)), "no GPU 7"),
        (GpuRequest(device_ids=("0", "GPU-a", "9")), "no GPU GPU-a, 9"),
    ],
)
def test_what_the_site_can_never_give_is_refused_at_once(request_, words):
    with pytest.raises(RuntimeRefused, match=words) as refusal:
        GpuAllocator(FOUR).enqueue("run", 1, request_)
    assert refusal.value.reason is Reason.GPU_UNAVAILABLE


def test_a_site_without_gpus_refuses():
    with pytest.raises(RuntimeRefused, match="1 GPU asked for, the site has 0"):
        GpuAllocator(GpuInventory()).enqueue("run", 1, GpuRequest(count=1))


def test_an_index_names_the_same_gpu_as_its_uuid():
    inventory = GpuInventory(ids=("GPU-a", "GPU-b"), aliases={"0": "GPU-a", "1": "GPU-b"})
    allocator = GpuAllocator(inventory)
    allocator.enqueue("run", 1, GpuRequest(device_ids=("1",)))
    allocator.grant()
    assert allocator.held("run") == ("GPU-b",)
    with pytest.raises(RuntimeRefused, match="the same GPU"):
        allocator.enqueue("twice", 2, GpuRequest(device_ids=("0", "GPU-a")))


requests = st.one_of(
    st.builds(GpuRequest, count=st.integers(1, 4)),
    st.builds(
        GpuRequest,
        device_ids=st.lists(st.sampled_from(FOUR.ids), min_size=1, unique=True).map(tuple),
    ),
)
moves = st.lists(
    st.one_of(st.tuples(st.just("ask"), st.integers(0, 50), requests), st.integers(0, 20)),
    max_size=40,
)


@given(moves)
def test_no_gpu_is_held_twice_and_nobody_overtakes(script):
    allocator = GpuAllocator(FOUR)
    orders = {}
    for number, move in enumerate(script):
        if isinstance(move, tuple):
            _, order, request = move
            orders[f"run{number}"] = (order, f"run{number}")
            allocator.enqueue(f"run{number}", order, request)
        elif orders:
            allocator.release(sorted(orders)[move % len(orders)])
        before = allocator.waiting()
        served = allocator.grant()
        held = [gpu for run in orders for gpu in allocator.held(run)]
        assert len(held) == len(set(held))
        assert set(held) <= set(FOUR.ids)
        assert served == before[: len(served)]
        assert [orders[run] for run in before] == sorted(orders[run] for run in before)


@given(st.lists(requests, max_size=20))
def test_everybody_is_served_in_the_end(asks):
    allocator = allocator_of(*asks)
    for number, request in enumerate(asks):
        assert len(allocator.held(f"run{number}")) == request.size
        allocator.release(f"run{number}")
        allocator.grant()
    assert allocator.waiting() == []
