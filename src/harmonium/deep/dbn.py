"""The deep belief network: a stack of RBMs that is read upwards and dreams downwards."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium.arguments import check_type, is_whole, no_tensor
from harmonium.classification import class_log_probabilities
from harmonium.deep.stacks import check_stack, check_upwards, rbms_of
from harmonium.rbm import RBM
from harmonium.rng import Stream
from harmonium.sampling import ChainState, Clamp, Sampler, SamplingSchedule, sample
from harmonium.units import Units


@dataclass(frozen=True)
class Dream:
    """What a deep belief network generates at one moment, one row a chain.

    Attributes
    ----------
    visible : Tensor, shape (n_chains, n_columns)
        Visible states.
    means : Tensor, shape (n_chains, n_columns)
        Means of the visible units given the states above them: smoother to look at.
    chains : ChainState
        The chains of the top RBM as they were then; with ``copies=False`` they move on in place.
    classes : Tensor or None, shape (n_chains,)
        The class that each chain's label units show, int64, where there are any.
    """

    visible: Tensor
    means: Tensor
    chains: ChainState
    classes: Tensor | None = None


class DBN(nn.Module):
    """A stack of RBMs: the top one is undirected, the layers below it are generated downwards.

    ``p(v, h1, ..., hL) = p(v | h1) p(h1 | h2) ... p(h(L-1), hL)`` (Hinton, Osindero and Teh,
    2006): each factor but the last one is the downward conditional of an RBM, with its weights and
    visible parameters, and the last one is the whole top RBM. Upwards, hidden states are inferred
    by the RBMs' upward conditionals, layer by layer, which is an approximation.

    Parameters
    ----------
    rbms
        From the data upwards. The hidden units of each are of the visible units' type and size of
        the next; only the top one may have label units beside them, as
        ``Mixed(units, Categorical(1, n_classes))``. Held, not copied.
    upwards
        RBMs whose weights and hidden parameters lead upwards in place of those of ``rbms``, one
        for each but the top one, where the network is untied.

    Attributes
    ----------
    rbms : nn.ModuleList
        The generative model: of all but the top one, weights and visible parameters.

    Raises
    ------
    ValueError
        If there are none, or they do not fit together, naming the first that does not.
    """

    def __init__(self, rbms: Sequence[RBM], upwards: Sequence[RBM] | None = None) -> None:
        super().__init__()
        check_stack(rbms)
        if not len(rbms):
            raise ValueError("there are no RBMs to stack; pass 1 or more, from the data upwards")
        if upwards is not None:
            check_upwards(rbms, upwards)
        self.rbms = nn.ModuleList(rbms)
        self._upwards = nn.ModuleList(upwards or ())

    @classmethod
    def of(cls, visible: Units | int, *hidden: Units | int, n_classes: int | None = None) -> DBN:
        """A network of these layers, each RBM with its own copies of the units; weights are zero.

        Parameters
        ----------
        visible, *hidden
            The layers, from the data upwards. A whole number stands for so many binary units:
            ``DBN.of(784, 500, 500)``.
        n_classes
            Classes of the label units beside the units that the top RBM sees; None for none.

        Raises
        ------
        ValueError
            If there is no hidden layer, or only one and label units.
        """
        return cls(rbms_of((visible, *hidden), n_classes))

    def __len__(self) -> int:
        """Hidden layers."""
        return len(self.rbms)

    @property
    def stack(self) -> tuple[RBM, ...]:
        """The generative RBMs, from the data upwards; the same objects as in ``rbms``."""
        return tuple(rbm for rbm in self.rbms if isinstance(rbm, RBM))

    @property
    def recognition(self) -> tuple[RBM, ...]:
        """The RBMs whose weights and hidden parameters lead upwards; those of ``rbms`` if tied."""
        if not self.is_untied:
            return self.stack
        return (*(rbm for rbm in self._upwards if isinstance(rbm, RBM)), self.top)

    @property
    def top(self) -> RBM:
        """The undirected RBM at the top."""
        return self.stack[-1]

    @property
    def visible(self) -> Units:
        """The units that see the data."""
        return self.stack[0].visible

    @property
    def is_untied(self) -> bool:
        """Whether ways up and down have weights of their own."""
        return len(self._upwards) > 0

    @property
    def n_features(self) -> int:
        """Columns that the top RBM sees of the layer below it, labels not among them."""
        return self.stack[-2].hidden.n_columns if len(self) > 1 else self.visible.n_columns

    @property
    def n_classes(self) -> int | None:
        """Classes of the label units; None where there are none."""
        return self.top.visible.n_columns - self.n_features or None

    def forward(self, v: Tensor) -> Tensor:
        """Refuse ``dbn(v)``, which could mean several things; always raises a TypeError."""
        raise TypeError(
            "dbn(v) has no meaning of its own; call dbn.mean_up(v), dbn.sample_up(v, stream) or, "
            "with label units, dbn.classify(v)"
        )

    def untie_(self) -> DBN:
        """Give the way upwards weights of its own, equal to the others at first; returns self.

        The top RBM has one set of weights for both directions and is left as it is; a network
        of one RBM has nothing to untie.
        """
        if not self.is_untied:
            self._upwards.extend(copy.deepcopy(rbm) for rbm in self.stack[:-1])
        return self

    # Upwards

    def mean_up(self, v: Tensor, n_layers: int | None = None) -> Tensor:
        """Mean hidden units, each layer's given the means of the one below (a mean field).

        Parameters
        ----------
        v
            Visible states or means, shape (..., visible.n_columns).
        n_layers
            How many layers to go up, all by default; 0 returns ``v``.

        Returns
        -------
        Tensor
            Shape (..., hidden.n_columns) of that layer. Where the top RBM has label units, its
            hidden means are those of all classes, each as probable as it is given ``v``.
        """
        n, labelled = self._count(n_layers), self.n_classes is not None
        for rbm in self.recognition[: n - (labelled and n == len(self))]:
            v = rbm.mean_h_from_v(v)
        if labelled and n == len(self):
            p = self._log_p_of_classes(v).exp()
            by_class = (
                p[..., k, None] * self.top.mean_h_from_v(self._with_class(v, k))
                for k in range(p.shape[-1])
            )
            return functools.reduce(torch.add, by_class)
        return v

    def sample_up(self, v: Tensor, stream: Stream, n_layers: int | None = None) -> Tensor:
        """Hidden states, each layer's drawn given a draw of the one below; else as `mean_up`."""
        n = self._count(n_layers)
        if n == len(self):
            return self.top.sample_h_from_v(self.sample_below_top(v, stream), stream)
        for rbm in self.recognition[:n]:
            v = rbm.sample_h_from_v(v, stream)
        return v

    def sample_below_top(self, v: Tensor, stream: Stream) -> Tensor:
        """States of the top RBM's visible units, drawn upwards from visible states.

        Label units, where there are any, are drawn given the units beside them.
        """
        return self.join_labels(self.sample_up(v, stream, len(self) - 1), stream)

    def join_labels(self, features: Tensor, stream: Stream) -> Tensor:
        """States of the top RBM's visible units: features, and label units drawn given them."""
        if self.n_classes is None:
            return features
        labels = self._labels.sample(self._log_p_of_classes(features), stream)
        return torch.cat((features, labels), -1)

    def class_log_probabilities(self, v: Tensor) -> Tensor:
        """Log-probability of each class given the mean features of rows, nats.

        Exact in the top RBM (`harmonium.classification.class_log_probabilities`).

        Parameters
        ----------
        v
            Visible states or means, shape (..., visible.n_columns).

        Returns
        -------
        Tensor
            Shape (..., n_classes).

        Raises
        ------
        ValueError
            If the network has no label units.
        """
        self._require_labels()
        return self._log_p_of_classes(self.mean_up(v, len(self) - 1))

    def classify(self, v: Tensor) -> Tensor:
        """The most probable class of each row, int64, shape (...); else as its probabilities."""
        return self.class_log_probabilities(v).argmax(-1)

    def free_energy_below_top(self, h: Tensor) -> Tensor:
        """Minus the log of what the top RBM gives to states that it sees, nats, without log Z.

        Its hidden units are summed out, and its label units are, too.

        Parameters
        ----------
        h
            Shape (..., n_features).
        """
        if self.n_classes is None:
            return self.top.free_energy(h)
        # of all classes together, from one of them and its share
        return self.top.free_energy(self._with_class(h, 0)) + self._log_p_of_classes(h)[..., 0]

    def clamp_classes(self, classes: Tensor) -> Clamp:
        """What holds the label units of chains: dreams of chosen classes.

        Parameters
        ----------
        classes
            Class of each chain, int64, shape (n_chains,).

        Raises
        ------
        ValueError
            If the network has no label units, or there are no such classes.
        """
        n_classes = self._require_labels()
        if not isinstance(classes, Tensor):
            raise no_tensor("classes", classes)
        if classes.dim() != 1 or not ((classes >= 0) & (classes < n_classes)).all():
            raise ValueError(
                f"classes are {classes.tolist()}; pass shape (n_chains,), from 0 to {n_classes - 1}"
            )
        like = self.top.weights
        values = like.new_zeros(len(classes), self.top.visible.n_columns)
        values[:, self.n_features :] = functional.one_hot(classes.to(like.device), n_classes)
        mask = torch.arange(self.top.visible.n_columns, device=like.device) >= self.n_features
        return Clamp(mask, values)

    # Downwards

    def mean_down(self, h: Tensor, n_layers: int | None = None) -> Tensor:
        """Mean visible units, each layer's given the means of the one above.

        Parameters
        ----------
        h
            States or means of hidden layer ``n_layers``, shape (..., hidden.n_columns).
        n_layers
            How many layers to go down, all by default; 0 returns ``h``.

        Returns
        -------
        Tensor
            Shape (..., visible.n_columns).
        """
        for rbm in reversed(self.stack[: self._count(n_layers)]):
            h = self._without_labels(rbm, rbm.mean_v_from_h(h))
        return h

    def sample_down(self, h: Tensor, stream: Stream, n_layers: int | None = None) -> Tensor:
        """Visible states, each layer's drawn given a draw of the one above; else as `mean_down`."""
        for rbm in reversed(self.stack[: self._count(n_layers)]):
            h = self._without_labels(rbm, rbm.sample_v_from_h(h, stream))
        return h

    def sample(
        self,
        chains: ChainState,
        schedule: SamplingSchedule,
        stream: Stream,
        clamp: Clamp | None = None,
        sampler: Sampler | None = None,
        *,
        copies: bool = True,
    ) -> Iterator[Dream]:
        """Yield what the chains of the top RBM dream of, at each of the schedule's samples.

        The chains follow the top RBM; from each of them one draw goes down to the visible units.
        Once the chains have come to equilibrium, the dreams follow the network exactly.

        Parameters
        ----------
        chains
            Of the top RBM (``sampling.start_random(dbn.top, n, stream)``); moved in place.
        schedule
            Warm-up, number and spacing of the samples, in sweeps of the top RBM.
        stream
            Random numbers.
        clamp
            Visible columns of the *top* RBM to hold fixed.
        sampler
            Moves the chains; Gibbs by default.
        copies
            False leaves out the copy of the chains that each dream holds: `Dream.chains` are then
            ``chains`` themselves, which move on. Visible states and means are copies in any case.

        Raises
        ------
        TypeError
            If an argument is of another type, such as a number of chains.
        ValueError
            If chains or clamp do not fit the top RBM; at once, not at the first sample.
        """
        check_type("chains", chains, ChainState, "sampling.start_random(dbn.top, n_chains, stream)")
        moments = sample(self.top, chains, schedule, stream, clamp, sampler, copies=copies)
        return (self._dream(now, stream) for now in moments)

    @torch.no_grad()
    def _dream(self, chains: ChainState, stream: Stream) -> Dream:
        """One draw downwards from each chain of the top RBM."""
        if len(self) == 1:
            return Dream(chains.visible.clone(), self.top.mean_v_from_h(chains.hidden), chains)
        h, labels = chains.visible.tensor_split([self.n_features], dim=1)
        for rbm in reversed(self.stack[1:-1]):
            h = rbm.sample_v_from_h(h, stream)
        inputs = self.stack[0].inputs_v_from_h(h)
        return Dream(
            visible=self.visible.sample(inputs, stream),
            means=self.visible.mean(inputs),
            chains=chains,
            classes=labels.argmax(1) if self.n_classes else None,
        )

    def _without_labels(self, rbm: RBM, v: Tensor) -> Tensor:
        return v[..., : self.n_features] if rbm is self.top else v

    @property
    def _labels(self) -> Units:
        """The label units; their bias is that of the layer that they stand in."""
        return self.top.visible.groups[-1][1]

    def _require_labels(self) -> int:
        if self.n_classes is None:
            raise ValueError(
                "the network has no label units; make it with `labels=True`, or "
                "`DBN.of(..., n_classes=10)`"
            )
        return self.n_classes

    def _with_class(self, features: Tensor, k: int) -> Tensor:
        """States below the top RBM whose label units show class k."""
        assert self.n_classes is not None
        labels = features.new_zeros(*features.shape[:-1], self.n_classes)
        labels[..., k] = 1
        return torch.cat((features, labels), -1)

    def _log_p_of_classes(self, features: Tensor) -> Tensor:
        rows = features.reshape(-1, self.n_features)
        return class_log_probabilities(self.top, rows).reshape(*features.shape[:-1], -1)

    def _count(self, n_layers: int | None) -> int:
        if n_layers is None:
            return len(self)
        if not (is_whole(n_layers) and 0 <= n_layers <= len(self)):
            raise ValueError(f"n_layers is {n_layers}; pass 0 to {len(self)}")
        return n_layers
