import multiprocessing
import queue
import sys
import threading
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import encoding_sum

from sightline.kernels import parallel, team


@pytest.fixture(params=["pool", "team"])
def use_threads(request, monkeypatch):
    """Set the number of threads so that the pool gets the work, or PyTorch's own threads."""
    if request.param == "pool":
        return parallel.set_thread_count
    if not team.can_run():
        pytest.skip("this build of PyTorch has no OpenMP threads that can be called")

    def nothing_for_the_pool():
        pytest.fail("the work went to the pool")

    def use(count):
        parallel.set_thread_count(count)
        torch.set_num_threads(count)
        monkeypatch.setattr(parallel, "_executor", nothing_for_the_pool)

    return use


@settings(max_examples=200, deadline=None)
@given(total=st.integers(0, 5000), parts=st.integers(1, 40), multiple=st.integers(1, 300))
def test_ranges_cover_everything_exactly_once(total, parts, multiple):
    ranges = parallel.split(total, parts, multiple)
    assert [k for a, b in ranges for k in range(a, b)] == list(range(total))
    assert len(ranges) <= parts
    assert all(b > a for a, b in ranges)
    assert all(a % multiple == 0 for a, _ in ranges)


def test_ranges_are_even():
    assert parallel.split(10, 3) == [(0, 3), (3, 6), (6, 10)]
    assert parallel.split(1000, 3, 128) == [(0, 256), (256, 640), (640, 1000)]
    assert parallel.split(5, 2, 8) == [(0, 5)]
    assert parallel.split(0, 4) == []


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("total", [0, 1, 99, 100, 1003])
def test_work_is_shared_out_exactly_once(use_threads, threads, total):
    use_threads(threads)
    seen, lock = [], threading.Lock()

    def work(first, start, stop):
        with lock:
            seen.append((first, start, stop))

    parallel.over_ranges(work, total, "argument", multiple=10, least=50)
    assert all(first == "argument" for first, _, _ in seen)
    covered = sorted(k for _, a, b in seen for k in range(a, b))
    assert covered == list(range(total))
    # At least 50 items for a thread, give or take a block.
    assert len(seen) == min(1, total) if total < 100 else len(seen) == min(threads, total // 50)


def test_the_number_of_threads_can_be_set_and_put_back(monkeypatch):
    monkeypatch.setenv("SIGHTLINE_THREADS", "3")
    assert parallel.thread_count() == 3
    parallel.set_thread_count(5)
    assert parallel.thread_count() == 5
    parallel.set_thread_count(None)
    assert parallel.thread_count() == 3


def test_no_tasks():
    parallel.run([])


def test_tasks_run_at_the_same_time(use_threads):
    barrier = threading.Barrier(2, timeout=20)
    use_threads(2)
    parallel.run([barrier.wait, barrier.wait])


@pytest.mark.parametrize("failing", [0, 1])
def test_an_error_is_raised_after_all_parts_that_were_begun_have_ended(use_threads, failing):
    ended = threading.Event()
    begun = threading.Barrier(2, timeout=20)
    use_threads(2)

    def fail():
        begun.wait()
        raise ArithmeticError("one part")

    def slow():
        begun.wait()
        time.sleep(0.1)
        ended.set()

    tasks = [slow, slow]
    tasks[failing] = fail
    with pytest.raises(ArithmeticError, match="one part"):
        parallel.run(tasks)
    assert ended.is_set()
    # The threads go on working.
    done = []
    parallel.run([lambda: done.append(1), lambda: done.append(2)])
    assert sorted(done) == [1, 2]


def test_two_threads_may_call_kernels_at_once(use_threads):
    use_threads(3)
    expected = [encoding_sum(seed) for seed in range(6)]
    found: list[list[float]] = [[], []]
    barrier = threading.Barrier(2, timeout=20)

    def work(place):
        barrier.wait()
        for _ in range(5):
            found[place] += [encoding_sum(seed) for seed in range(6)]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [expected * 5] * 2


def _send_sum(results) -> None:
    parallel.set_thread_count(2)
    results.put(encoding_sum(5))


def sum_from_process(method: str) -> float:
    context = multiprocessing.get_context(method)
    results = context.Queue()
    process = context.Process(target=_send_sum, args=(results,))
    process.start()
    try:
        return results.get(timeout=60)
    except queue.Empty:
        pytest.fail(f"a process started by {method} gave nothing (exit code {process.exitcode})")
    finally:
        process.join(10)
        if process.is_alive():
            process.kill()


def test_a_spawned_process_computes_the_same():
    assert sum_from_process("spawn") == encoding_sum(5)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forks processes that have threads")
@pytest.mark.filterwarnings("ignore:.*multi-threaded")
@pytest.mark.parametrize("torch_threads", [1, 2])
def test_a_forked_process_computes_the_same(torch_threads):
    # The pool's threads exist here, or PyTorch's, and not in the child.
    parallel.set_thread_count(2)
    torch.set_num_threads(torch_threads)
    expected = encoding_sum(5)
    assert sum_from_process("fork") == expected


def fail_on_threads(count):
    with parallel.torch_on_one_thread(count):
        assert torch.get_num_threads() == count
        raise ArithmeticError


def test_pytorch_keeps_to_the_given_threads_meanwhile():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with parallel.torch_on_one_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
        with pytest.raises(ArithmeticError):
            fail_on_threads(3)
        assert torch.get_num_threads() == 2
        with parallel.torch_on_one_thread(None):
            assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
