import threading

import torch

from sightline.kernels.buffers import ZeroedBuffers


def test_a_buffer_comes_back():
    buffers, like = ZeroedBuffers(), torch.ones(3, 4)
    first = buffers.take(like)
    assert first.shape == (3, 4)
    assert not first.any()
    place = first.data_ptr()
    buffers.give_back(first)
    assert buffers.take(like).data_ptr() == place
    # It was given out: the next one is new.
    assert buffers.take(like).data_ptr() != place


def test_only_a_buffer_of_the_same_kind_comes_back():
    buffers = ZeroedBuffers()
    kept = torch.zeros(3, 4)
    buffers.give_back(kept)
    for like in (torch.ones(4, 3), torch.ones(12), torch.ones(3, 4, dtype=torch.float64)):
        taken = buffers.take(like)
        assert (taken.shape, taken.dtype) == (like.shape, like.dtype)
        assert taken.data_ptr() != kept.data_ptr()
    assert buffers.take(torch.ones(3, 4)) is kept


def test_buffers_are_contiguous():
    assert ZeroedBuffers().take(torch.ones(3, 4).T).is_contiguous()


def test_only_so_many_are_kept():
    buffers = ZeroedBuffers(keep=2)
    given = [torch.zeros(5) for _ in range(3)]
    for tensor in given:
        buffers.give_back(tensor)
    taken = [buffers.take(torch.ones(5)) for _ in range(3)]
    assert sum(any(t is g for g in given) for t in taken) == 2
    assert not any(t is given[0] for t in taken)


def test_threads_never_share_a_buffer():
    buffers, like = ZeroedBuffers(), torch.ones(64)
    wrong = []

    def work(value):
        for _ in range(300):
            mine = buffers.take(like)
            if mine.any():
                wrong.append(value)
            mine.fill_(value)
            if not (mine == value).all():
                wrong.append(value)
            mine.zero_()
            buffers.give_back(mine)

    threads = [threading.Thread(target=work, args=(value,)) for value in (1.0, 2.0, 3.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
