"""The replicated softmax against its definition, by enumeration of texts and hidden states."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import chi2

from harmonium import kernels, likelihood
from harmonium.rng import Purpose, Stream
from harmonium.topics import (
    Documents,
    ReplicatedSoftmax,
    annealed_log_z,
    completion,
    exact_log_z,
    perplexity,
)
from harmonium.topics.chains import HiddenChains
from harmonium.units import Multinomial
from topics.tiny import hidden_states, log_p, log_weights, log_z, some_documents, texts, tiny


@pytest.mark.parametrize("length", [1, 2, 4])
def test_weights_and_log_z(length: int) -> None:
    model = tiny()
    counts = texts(4, length)
    found = model.log_weight(Documents.of(counts))
    torch.testing.assert_close(found, log_weights(model, counts).logsumexp(1).detach())
    exact = exact_log_z(model, torch.tensor([length]))
    assert exact.is_exact
    assert exact.at(length)[0].value == pytest.approx(log_z(model, length).item(), abs=1e-10)
    torch.testing.assert_close(found.logsumexp(0), log_z(model, length).detach())


@pytest.mark.parametrize("length", [1, 3])
def test_the_rbm_of_a_length_is_the_same_model(length: int) -> None:
    model = tiny()
    rbm = model.of_length(length)
    states = rbm.visible.states
    assert states is not None
    z = log_z(model, length).item()
    assert likelihood.exact_log_z(rbm).value == pytest.approx(z, abs=1e-10)
    # counts have the probability of all texts with them
    together = -rbm.free_energy(states)
    assert together.logsumexp(0).item() == pytest.approx(z, abs=1e-10)
    of_counts = {tuple(row): 0.0 for row in states.tolist()}
    for row, p in zip(texts(4, length), log_p(model, texts(4, length)).exp(), strict=True):
        of_counts[tuple(row.tolist())] += p.item()
    torch.testing.assert_close(
        (together - z).exp(), torch.tensor(list(of_counts.values())).double()
    )


def test_means_and_the_next_word() -> None:
    model, documents = tiny(), some_documents(8)
    h = hidden_states(3)
    for row in range(len(documents)):
        one = documents.take(torch.tensor([row]))
        counts = one.as_sparse().to_dense().double()
        p = log_weights(model, counts)[0].softmax(0)
        torch.testing.assert_close(model.mean_h(one)[0], (p @ h).detach())
        longer = counts + torch.eye(4).double()  # each word in turn as the next
        expected = log_weights(model, longer).logsumexp(1).log_softmax(0)
        torch.testing.assert_close(model.next_word_log_probability(one)[0], expected.detach())


def test_perplexity_is_that_of_the_paper() -> None:
    model, documents = tiny(), some_documents(20)
    counts = documents.as_sparse().to_dense().double()
    expected = (-(log_p(model, counts) / counts.sum(1)).mean()).exp().item()
    found = perplexity(model, documents).result()
    assert found.is_exact and found.lower == found.upper == pytest.approx(expected, abs=1e-9)
    assert found.log_likelihood == pytest.approx(log_p(model, counts).mean().item())
    assert (found.n_documents, found.n_words) == (20, documents.n_words)


def test_annealing_over_the_length_errs_on_both_sides() -> None:
    model = tiny(scale=0.7)
    lengths = torch.tensor([1, 2, 3, 8, 60, 90])
    exact = exact_log_z(model, lengths)
    found = annealed_log_z(model, lengths, n_chains=1000, seed=3).result()
    assert found.lengths.tolist() == lengths.tolist()
    for truth, below, above in zip(exact.below, found.below, found.above, strict=True):
        assert (below.value, above.value) == pytest.approx((truth.value, truth.value), abs=0.2)
        assert below.value <= truth.value + 4 * below.std_error + 1e-9
        assert above.value >= truth.value - 4 * above.std_error - 1e-9
    assert found.below[0].errs == "exact"


def test_annealing_over_the_length_agrees_with_annealing_from_the_base_rates() -> None:
    model, documents = tiny(6, 4, scale=0.8), some_documents(60, 6)
    rbm = model.of_length(7)
    mean = 7 * documents.frequencies
    states = torch.cat([mean[None], mean[None]])
    path = likelihood.AnnealingPath.adaptive(rbm, states, 200, seed=1)
    other = likelihood.annealed_importance_sampling(path, 400, seed=1).result()
    found, _ = annealed_log_z(model, torch.tensor([7]), 400, seed=1).result().at(7)
    error = (other.std_error**2 + found.std_error**2) ** 0.5
    assert abs(other.value - found.value) < 4 * error
    assert other.value == pytest.approx(log_z(model, 7).item(), abs=4 * other.std_error)


def test_a_wrong_log_z_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chains that start as if all words were alike would be off by more than the tolerance."""
    model = tiny(scale=0.7)
    right = annealed_log_z(model, torch.tensor([8]), n_chains=1000, seed=3).result().at(8)[0]
    monkeypatch.setattr(ReplicatedSoftmax, "log_softmax_sum", lambda self, h: torch.zeros(len(h)))
    wrong = annealed_log_z(model, torch.tensor([8]), n_chains=1000, seed=3).result().at(8)[0]
    assert abs(wrong.value - right.value) > 1


def test_a_mode_of_few_states_that_long_documents_fall_into_is_found() -> None:
    """From about four words on, nearly all of the probability is where all units are on."""
    model = tiny(50, 10, scale=0.1)
    with torch.no_grad():
        model.weights[0] += 0.6
    lengths = torch.tensor([3, 10, 40])
    found = annealed_log_z(model, lengths, n_chains=100, n_steps=200, seed=1).result()
    exact = exact_log_z(model, lengths)
    for truth, below, above in zip(exact.below, found.below, found.above, strict=True):
        assert below.warning is None and above.warning is None
        assert below.value == pytest.approx(truth.value, abs=4 * below.std_error)
        assert above.value == pytest.approx(truth.value, abs=4 * above.std_error)


@pytest.mark.parametrize("length", [0.0, 3.0, 4.5])
def test_hidden_chains_do_not_drift(length: float) -> None:
    """From exact hidden states, two sweeps at a length leave the distribution as it is."""
    model, n = tiny(), 20_000
    states = hidden_states(3)
    p = (length * model.log_softmax_sum(states)).softmax(0)
    chains = HiddenChains(model, n, Stream(4, Purpose.CHAINS))
    generator = torch.Generator().manual_seed(0)
    chains.hidden = states[torch.multinomial(p, n, replacement=True, generator=generator)]
    before = chains.hidden.clone()
    for _ in range(2):
        chains.sweep_(length)
    assert (chains.hidden != before).any(0).all()
    counts = torch.bincount(
        (chains.hidden @ torch.tensor([4.0, 2.0, 1.0]).double()).long(), minlength=8
    )
    statistic = ((counts - n * p) ** 2 / (n * p)).sum().item()
    assert statistic < chi2.ppf(1 - 1e-6, 7)


def test_gibbs_sweeps_do_not_drift() -> None:
    """From exact hidden states, two sweeps at a length leave the distribution as it is."""
    model, length, n = tiny(), 3, 20_000
    p = log_weights(model, texts(4, length)).logsumexp(0).softmax(0).detach()
    generator = torch.Generator().manual_seed(0)
    states = hidden_states(3)
    hidden = states[torch.multinomial(p, n, replacement=True, generator=generator)]
    stream, ends = Stream(4, Purpose.CHAINS), torch.arange(n + 1) * length
    for _ in range(2):
        words, _ = model.sample_words(hidden, ends, stream)
        inputs = kernels.document_inputs(
            ends, words, torch.ones_like(words), model.weights.detach(), model.hidden_bias.detach()
        )
        hidden = kernels.binary_(inputs, torch.zeros(3).double(), stream)
    place = (hidden @ torch.tensor([4.0, 2.0, 1.0]).double()).long()
    counts = torch.bincount(place, minlength=8)
    statistic = ((counts - n * p) ** 2 / (n * p)).sum().item()
    assert statistic < chi2.ppf(1 - 1e-6, 7)


def test_completion() -> None:
    model, documents = tiny(), some_documents(30)
    known, asked = documents.halves(seed=2)
    found = completion(model, known, asked)
    v, w = (half.as_sparse().to_dense().double() for half in (known, asked))
    there = (v.sum(1) > 0) & (w.sum(1) > 0)
    log_next = torch.stack(
        [log_weights(model, row + torch.eye(4).double()).logsumexp(1).log_softmax(0) for row in v]
    )
    per_word = ((w * log_next).sum(1) / w.sum(1))[there]
    assert found.perplexity == pytest.approx((-per_word.mean()).exp().item())
    assert found.n_documents == int(there.sum()) < 30  # a document of one word has no first half
    with pytest.raises(ValueError, match="pass the same documents"):
        completion(model, known, asked.take(torch.arange(3)))
    with pytest.raises(ValueError, match="no document has both"):
        completion(model, known, known.take(torch.arange(30))._with_counts(0 * known.counts))


def test_multinomial_units() -> None:
    units = Multinomial(3, 4)
    units.bias.data.copy_(torch.tensor([0.5, -1.0, 0.2]))
    states = units.states
    assert states is not None and len(states) == 15 and bool((states.sum(1) == 4).all())
    inputs = torch.tensor([[0.3, 1.0, -0.4]])
    p = (-units.energy(states) + states @ inputs[0]).softmax(0)
    torch.testing.assert_close(p @ states, units.mean(inputs)[0])
    torch.testing.assert_close(p @ states.square() - (p @ states) ** 2, units.var(inputs)[0])
    log = (-units.energy(states) + states @ inputs[0]).logsumexp(0)
    torch.testing.assert_close(log, units.cgf(inputs)[0, 0])
    torch.testing.assert_close(units.mode(inputs)[0], states[p.argmax()])
    n = 20_000
    drawn = units.sample(inputs.expand(n, 3), Stream(0, Purpose.SAMPLE))
    numbers = torch.stack([(drawn == state).all(1).sum() for state in states]).float()
    assert ((numbers - n * p) ** 2 / (n * p)).sum().item() < chi2.ppf(1 - 1e-6, 14)
    assert Multinomial(3072, 50).states is None
    with pytest.raises(ValueError, match="pass counts of documents of 4 words"):
        units.check(torch.tensor([[1.0, 1.0, 1.0]]), "rows")


def test_doubt_in_log_z_is_said_once_and_of_the_worst_length() -> None:
    model = ReplicatedSoftmax(3000, 16)
    model.weights.data.normal_(0, 3, generator=torch.Generator().manual_seed(0))
    counts = torch.randint(0, 2, (4, 3000), generator=torch.Generator().manual_seed(1))
    counts[:, :2000] = 0
    counts[:3, 2500:] = 0
    counts[0, 2100:] = 0
    found = perplexity(model, Documents.of(counts.numpy()), n_chains=10).result()
    [reason] = found.reasons
    assert len(found.log_z.lengths) >= 3 and "words; take more `chains`" in reason
    carried = [of.effective_chains for of in (*found.log_z.below, *found.log_z.above)]
    assert f"only {min(carried):.1f} of 10 chains" in reason and "it takes 20" in reason


def test_ends_that_cross_by_chance_are_told_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harmonium.topics.likelihood.MOST_TERMS", 0)  # so that log Z is estimated
    model = ReplicatedSoftmax(5, 2)
    model.weights.data.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    documents = Documents.of([[2, 0, 1, 0, 3], [0, 1, 1, 2, 0]])
    crossed = 0
    for seed in range(8):
        found = perplexity(model, documents, seed=seed).result()
        below, above = found.log_z.below, found.log_z.above
        crossed += all(a.value > b.value for a, b in zip(below, above, strict=True))
        assert found.lower <= found.upper
    assert crossed
