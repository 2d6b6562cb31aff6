"""Random streams and ensembles: addressed by number, independent, the same for any number of threads."""

import signal
import threading
import time
from concurrent.futures import CancelledError

import numpy as np
import pytest
from scipy import stats
from threadpoolctl import threadpool_info, threadpool_limits

from dynamics import ParameterError
from dynamics.memory import check_memory
from dynamics.threads import single_threaded
from simulations._ensemble import check_workers, run_all
from simulations._streams import Source, stream

ADDRESSES = [
    (seed, run, source, *more) for seed in (0, 1) for run in (0, 1) for source in Source for more in ((), (0,), (1,))
]


def test_a_stream_is_the_same_whenever_it_is_made():
    for address in ADDRESSES:
        first, again = (stream(*address).standard_normal(5) for _ in range(2))
        assert first.tobytes() == again.tobytes()


def test_every_address_is_another_stream_and_they_are_uncorrelated():
    """Scalar products of independent unit normals of length N, over sqrt(N), are standard normal to O(1/N).

    Two-sided 1e-6 over all pairs together; two streams that are equal would give sqrt(N) = 63.
    """
    count = 4000
    values = np.stack([stream(*address).standard_normal(count) for address in ADDRESSES])
    products = (values @ values.T)[np.triu_indices(len(values), 1)] / np.sqrt(count)
    assert np.abs(products).max() < stats.norm.isf(1e-6 / (2 * products.size))


def test_stream_is_the_documented_one():
    sequence = np.random.SeedSequence(5, spawn_key=(3, 1, 2))
    expected = np.random.Generator(np.random.PCG64DXSM(sequence)).standard_normal(4)
    assert stream(5, 3, Source.TEACHER, 2).standard_normal(4).tobytes() == expected.tobytes()


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_results_come_in_order_and_bits_do_not_depend_on_the_workers(workers):
    def one(run, stop):
        matrix = stream(0, run, Source.INPUTS).standard_normal((60, 60))
        time.sleep(0.002 * (run % 3))  # so that runs end out of order
        return np.linalg.svd(matrix @ matrix, compute_uv=False)

    results, interrupted = run_all(one, range(3, 12), workers=workers, progress=False, label="")
    expected, _ = run_all(one, range(11, 2, -1), workers=1, progress=False, label="")
    assert not interrupted
    assert [item.tobytes() for item in results] == [item.tobytes() for item in expected[::-1]]


def test_linear_algebra_has_one_thread_in_a_run_and_its_own_afterwards():
    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    with threadpool_limits(2):
        before = threads()
        results, _ = run_all(lambda run, stop: threads(), range(3), workers=2, progress=False, label="")
        assert results == [{1}] * 3
        assert threads() == before == {2}


def test_blocks_that_overlap_in_threads_hold_the_limit_together():
    """B enters while A is inside and leaves after A has left: one thread for B throughout, and two again at the end."""

    def threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    inside, left, seen = threading.Event(), threading.Event(), []

    def late():
        with single_threaded():
            inside.set()
            assert left.wait(30)
            seen.append(threads())

    with threadpool_limits(2):
        other = threading.Thread(target=late)
        with single_threaded(), single_threaded():
            other.start()
            assert inside.wait(30)
        left.set()
        other.join()
        assert seen == [{1}]
        assert threads() == {2}


def test_an_error_in_a_run_surfaces_and_stops_the_rest():
    started = []

    def one(run, stop):
        started.append(run)
        if run == 1:
            raise ParameterError("planted")
        if run > 1:
            stop.wait(30)
        return run

    with pytest.raises(ParameterError, match="planted"):
        run_all(one, range(50), workers=2, progress=False, label="")
    assert max(started) < 5


def test_an_error_surfaces_before_earlier_runs_have_ended():
    started = []

    def one(run, stop):
        started.append(run)
        if run == 0:
            assert stop.wait(30)
        if run == 1:
            raise ParameterError("planted")
        return run

    with pytest.raises(ParameterError, match="planted"):
        run_all(one, range(500), workers=2, progress=False, label="")
    assert max(started) < 50


@pytest.fixture
def ctrl_c():
    """Python's own handler, which background jobs of a shell have not."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_keeps_what_is_finished():
    def one(run, stop):
        if run == 3:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
        if run >= 3:
            assert stop.wait(30)
            raise CancelledError
        return run

    results, interrupted = run_all(one, range(8), workers=1, progress=False, label="")
    assert interrupted
    assert results == [0, 1, 2, None, None, None, None, None]


def test_an_error_beside_the_interruption_is_not_swallowed():
    both = threading.Barrier(2, timeout=30)

    def one(run, stop):
        both.wait()
        if run == 0:
            raise KeyboardInterrupt
        stop.wait(30)
        raise ArithmeticError("planted")

    with pytest.raises(ArithmeticError, match="planted"):
        run_all(one, range(2), workers=2, progress=False, label="")


def test_progress_is_shown_only_on_request(capsys):
    run_all(lambda run, stop: run, range(3), workers=1, progress=False, label="counting")
    assert capsys.readouterr().err == ""
    run_all(lambda run, stop: run, range(3), workers=1, progress=True, label="counting")
    assert "counting: 100%" in capsys.readouterr().err


def test_workers_and_memory_are_checked():
    assert check_workers(None) >= 1
    assert check_workers(3) == 3
    for wrong in (0, -1, 1.5, True, "2", float("nan")):
        with pytest.raises(ParameterError, match="workers must be a whole number, at least 1"):
            check_workers(wrong)
    check_memory(2**30, "all of it")
    with pytest.raises(ParameterError, match=r"runs: this would need 8,589,934,600 bytes, allowed are 8,589,934,592"):
        check_memory(2**30 + 1, "runs")
