"""Kernels over documents: the compiled ones give what the reference defines."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chi2

from harmonium import kernels
from harmonium.kernels import documents as module
from harmonium.rng import Purpose, Stream


def ragged(n: int, longest: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(0, longest, (n,), generator=generator)
    return torch.cat((torch.zeros(1, dtype=torch.int64), lengths.cumsum(0)))


def drawn(dtype: torch.dtype, n_words: int = 200) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(1)
    ends = ragged(40, 30)
    logits = 2 * torch.randn(40, n_words, generator=generator).to(dtype)
    bias = torch.randn(n_words, generator=generator).to(dtype)
    words, log_sums = kernels.draw_words(logits.clone(), bias, ends, Stream(3, Purpose.SAMPLE))
    return ends, logits, bias, words, log_sums


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_compiled_kernels_are_the_reference(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = torch.Generator().manual_seed(2)
    weights, bias = (
        torch.randn(*shape, generator=generator).to(dtype) for shape in ((200, 7), (7,))
    )

    def everything() -> tuple[torch.Tensor, ...]:
        ends, *_, words, log_sums = drawn(dtype)
        counts = (words % 4 + 1).int()
        inputs = kernels.document_inputs(ends, words, counts, weights, bias)
        out = kernels.add_documents_(torch.ones_like(weights), ends, words, counts, inputs, 0.5)
        return words, log_sums, inputs, out

    compiled = everything()
    monkeypatch.setattr(module, "_backend", lambda *tensors: None)
    for one, other in zip(compiled, everything(), strict=True):
        if dtype == torch.float64 or not one.is_floating_point():
            torch.testing.assert_close(one, other)
        else:
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def test_sums_are_those_of_dense_products() -> None:
    ends, *_, words, _ = drawn(torch.float64)
    counts = (words % 3 + 1).int()
    dense = torch.zeros(40, 200).double()
    rows = torch.arange(40).repeat_interleave(ends.diff())
    dense.index_put_((rows, words.long()), counts.double(), accumulate=True)
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(200, 5, generator=generator).double()
    bias = torch.randn(5, generator=generator).double()
    inputs = kernels.document_inputs(ends, words, counts, weights, bias)
    torch.testing.assert_close(inputs, dense @ weights + dense.sum(1, keepdim=True) * bias)
    out = kernels.add_documents_(torch.zeros(200, 5).double(), ends, words, counts, inputs, -2.0)
    torch.testing.assert_close(out, -2 * dense.T @ inputs)


def test_words_are_drawn_by_their_probabilities() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(1, 150, generator=generator)
    n = 100_000
    words, log_sums = kernels.draw_words(
        logits.clone(), torch.zeros(150), torch.tensor([0, n]), Stream(1, Purpose.SAMPLE)
    )
    p = logits[0].double().softmax(0)
    counts = torch.bincount(words, minlength=150)
    assert ((counts - n * p) ** 2 / (n * p)).sum().item() < chi2.ppf(1 - 1e-6, 149)
    assert log_sums.item() == pytest.approx(logits.double().logsumexp(1).item(), abs=1e-5)


def test_the_first_words_do_not_depend_on_the_length() -> None:
    logits, bias = torch.zeros(2, 90), torch.zeros(90)
    short, long = (
        kernels.draw_words(logits.clone(), bias, torch.tensor(ends), Stream(1, Purpose.SAMPLE))[0]
        for ends in ([0, 5, 8], [0, 9, 20])
    )
    assert short[:5].tolist() == long[:5].tolist()
    assert short[5:].tolist() == long[9:12].tolist()


def test_what_does_not_fit_is_refused() -> None:
    words = torch.zeros(3, dtype=torch.int32)
    with pytest.raises(ValueError, match="end at entry 4, with 3 words and 3 counts"):
        kernels.document_inputs(
            torch.tensor([0, 4]), words, words, torch.zeros(2, 2), torch.zeros(2)
        )
    with pytest.raises(ValueError, match=r"ends have shape \(2,\); pass \(3,\)"):
        kernels.draw_words(
            torch.zeros(2, 4), torch.zeros(4), torch.tensor([0, 1]), Stream(0, Purpose.SAMPLE)
        )
