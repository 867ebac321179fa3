"""Greedy layer-wise pretraining: one RBM after the other, each on the features of the one below."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from harmonium import defaults, training
from harmonium.arguments import check_count, check_type
from harmonium.datasets import Data, Minibatches
from harmonium.deep.dbn import DBN
from harmonium.deep.features import check_labels, features
from harmonium.gradient import Gradient, Penalties
from harmonium.optimization import check_maker
from harmonium.rbm import RBM
from harmonium.rng import seed_of_layer
from harmonium.sampling import Gibbs, Sampler
from harmonium.training import Row, TrainingState


@dataclass(frozen=True)
class LayerOptions:
    """Options for training one layer; other settings are as in `TrainingState.create`.

    Parameters
    ----------
    epochs
        Passes over the rows.
    batch_size
        Rows per mini-batch; None for 100, or all rows if there are fewer.
    weight_std
        Standard deviation of the initial weights; None as in `RBM.init_from_data_`.
    n_chains
        Persistent chains; None for CD.
    sampler
        Moves the chains; one Gibbs sweep per update by default.
    final_sampler
        Moves them in the last 30 % of the updates instead (`training.final_phase`).
    learning_rate, momentum
        For plain stochastic gradient descent.
    optimizer
        Creates another optimiser for the parameters it is given.
    schedule
        Creates a schedule from the optimiser and the number of updates, such as
        `training.linear_to_zero`.
    gradient, penalties
        Copied for the layer.
    average_decay
        Decay of a moving average of the parameters, which become the layer's parameters.
    features
        Computes the data for the layer *above*: `features`, `mean_features` or `drawn_features`.
    missing
        What is assumed of missing values (`training.Missing`); only a single RBM can have some.
    """

    epochs: int
    batch_size: int | None = None
    weight_std: float | None = defaults.WEIGHT_STD
    n_chains: int | None = defaults.N_CHAINS
    sampler: Sampler | None = None
    final_sampler: Sampler | None = None
    learning_rate: float = defaults.LEARNING_RATE
    momentum: float = defaults.MOMENTUM
    optimizer: Callable[[list[nn.Parameter]], Optimizer] | None = None
    schedule: Callable[[Optimizer, int], LRScheduler] | None = None
    gradient: Gradient | None = None
    penalties: Penalties | None = None
    average_decay: float | None = defaults.AVERAGE_DECAY
    features: Callable[[RBM, Data], Data] = features
    missing: training.Missing = "random"

    def __post_init__(self) -> None:
        """Reject options that train nothing; the rest is checked where it is used."""
        check_count("epochs", self.epochs)
        if self.batch_size is not None:
            check_count("batch_size", self.batch_size)
        check_maker("optimizer", self.optimizer, "torch.optim.Adam, or lambda parameters: ...")
        check_maker("schedule", self.schedule, "training.linear_to_zero")
        check_maker("features", self.features, "deep.mean_features")

    def begin(self, rbm: RBM, seed: int, n_batches: int) -> TrainingState:
        """The state before a layer's first update; an epoch has this many mini-batches."""
        optimizer = self.optimizer and self.optimizer(
            [parameter for parameter in rbm.parameters() if parameter.requires_grad]
        )
        return TrainingState.create(
            rbm,
            sampler=self.sampler,
            phases=self.phases(n_batches),
            n_chains=self.n_chains,
            learning_rate=self.learning_rate,
            momentum=self.momentum,
            optimizer=optimizer,
            schedule=self.make_schedule(n_batches),
            gradient=copy.deepcopy(self.gradient),
            penalties=copy.deepcopy(self.penalties),
            average_decay=self.average_decay,
            missing=self.missing,
            seed=seed,
        )

    def phases(self, n_batches: int) -> dict[int, Sampler]:
        """The samplers of a layer, as `TrainingState.phases` has them; empty if there is one."""
        if self.final_sampler is None:
            return {}
        final = training.final_phase(self.final_sampler, self.epochs * n_batches)
        return {0: self.sampler or Gibbs(), **final}

    def make_schedule(self, n_batches: int) -> Callable[[Optimizer], LRScheduler] | None:
        """The factory of the optimiser's schedule, as `TrainingState.create` takes it."""
        schedule, n_updates = self.schedule, self.epochs * n_batches
        return None if schedule is None else lambda optimizer: schedule(optimizer, n_updates)


@dataclass
class PretrainingState:
    """The complete state of pretraining; resuming from a saved copy gives bit-identical results.

    Attributes
    ----------
    dbn
        The network. Layers below ``layer`` are finished, layers above it have not been started.
    options
        The options of each layer.
    seed
        Of everything that is random.
    layer
        The layer being trained, from 0; ``len(dbn)`` when all are finished.
    training
        The state of that layer's training; None before it has started.
    n_batches
        Mini-batches per epoch of that layer, once it has started.

    The data of the layer are computed when needed (`data`), and are not part of a checkpoint.
    """

    dbn: DBN
    options: tuple[LayerOptions, ...]
    seed: int
    layer: int = 0
    training: TrainingState | None = None
    n_batches: int = 0
    _features: tuple[int, Data, Data | None] | None = field(default=None, repr=False, compare=False)

    @classmethod
    def create(
        cls,
        dbn: DBN,
        options: LayerOptions | Sequence[LayerOptions],
        seed: int = defaults.SEED,
    ) -> PretrainingState:
        """Create the state at the start of pretraining.

        Parameters
        ----------
        dbn
            A tied network (`DBN.of`); all its parameters are drawn or learned again.
        options
            Options for all layers, or one for each.
        seed
            Random seed. It is also the seed of the first layer, which therefore learns exactly what
            a single RBM would.

        Raises
        ------
        ValueError
            If the number of options differs from the number of layers, if an option of any layer is
            out of range, or if the network is untied.
        """
        each = of_each_layer(options, dbn)
        for rbm, of_layer in zip(dbn.stack, each, strict=True):
            # report an error in the last layer's options now, not after hours of training
            of_layer.begin(copy.deepcopy(rbm), seed, n_batches=1)
        return cls(dbn, each, seed)

    @property
    def is_finished(self) -> bool:
        """Whether all layers are trained."""
        return self.layer == len(self.dbn)

    def data(self, data: Data, held_out: Data | None = None) -> tuple[Data, Data | None]:
        """The data for the layer being trained: features of these rows, computed once per layer."""
        if self._features is None or self._features[0] != self.layer:
            known = self._features
            first = 0
            if known is not None and known[0] < self.layer:
                first, data, held_out = known
            for rbm, options in zip(
                self.dbn.stack[first : self.layer], self.options[first:], strict=False
            ):
                data = options.features(rbm, data)
                held_out = None if held_out is None else options.features(rbm, held_out)
            if self.dbn.n_classes is not None and self.layer == len(self.dbn) - 1:
                data = data.join_labels(self.dbn.n_classes)
                held_out = None if held_out is None else held_out.join_labels(self.dbn.n_classes)
            self._features = (self.layer, data, held_out)
        _, data, held_out = self._features
        return data, held_out

    def begin_layer(self, batches: Minibatches) -> TrainingState:
        """The training of this layer on its data; draws its weights if it has not started."""
        if self.training is None:
            rbm, options = self.dbn.stack[self.layer], self.options[self.layer]
            seed = seed_of_layer(self.seed, self.layer)
            rbm.init_from_data_(batches, seed, options.weight_std)
            self.training = options.begin(rbm, seed, len(batches))
        self.n_batches = len(batches)
        return self.training

    def take_up_(self, layer: TrainingState) -> None:
        """Go on with a training of this layer that was begun elsewhere; its RBM is the layer's."""
        self.training = layer
        self.dbn.rbms[self.layer] = layer.rbm

    @torch.no_grad()
    def finish_layer(self) -> None:
        """Finish the layer and continue with the next."""
        assert self.training is not None
        training.settle(self.training)
        rbm = self.dbn.stack[self.layer]
        rbm.load_state_dict(self.training.model.state_dict())
        rbm.zero_grad()
        self.layer, self.training = self.layer + 1, None


def of_each_layer(
    options: LayerOptions | Sequence[LayerOptions], dbn: DBN
) -> tuple[LayerOptions, ...]:
    """One set of options for each layer of a network that can be pretrained.

    Raises
    ------
    ValueError
        If the number of options differs from the number of layers, or the network is untied.
    """
    check_type("dbn", dbn, DBN, "a network such as DBN.of(784, 500, 500)")
    if dbn.is_untied:
        raise ValueError(
            "the network is untied: its ways up and down have weights of their own, and greedy "
            "pretraining would change only one of them; pass a tied network, such as DBN.of(...)"
        )
    kinds = (LayerOptions, list, tuple)
    check_type(
        "options", options, kinds, "LayerOptions(epochs=10), or a list of one for each layer"
    )
    each = (options,) * len(dbn) if isinstance(options, LayerOptions) else tuple(options)
    if len(each) != len(dbn):
        raise ValueError(
            f"there are options for {len(each)} layers, but the network has {len(dbn)}; pass one "
            "LayerOptions for all layers, or one for each"
        )
    return each


def updates(
    state: PretrainingState,
    data: Data,
    held_out: Data | None = None,
    weights: Tensor | None = None,
) -> Iterator[TrainingState]:
    """Train the layers one after the other, yielding the layer's state after every update.

    ``state.layer`` is the number of the layer. The state can be saved between any two updates.

    Parameters
    ----------
    state
        Trained in place; a state that was stopped continues from there.
    data
        The training data of the first layer.
    held_out
        Held-out rows, whose features are also computed (`PretrainingState.data`).
    weights
        Weight of each row, shape (n_rows,), as for `Minibatches`: None for those of the data.

    Raises
    ------
    ValueError
        If the data do not fit the network or its options.
    """
    for layer, batches, epochs, _ in _layers(state, data, held_out, weights):
        for _ in training.updates(layer, batches, epochs):
            yield layer


def run(
    state: PretrainingState,
    data: Data,
    every: int | None = None,
    held_out: Data | None = None,
    weights: Tensor | None = None,
) -> Iterator[Row]:
    """Train the layers one after the other, yielding a row of numbers every ``every`` updates.

    Parameters
    ----------
    state
        Trained in place; a state that was stopped continues from there.
    data
        The training data of the first layer.
    every
        Updates between two rows; by default whole epochs, as in `training.run`.
    held_out
        Held-out rows to evaluate along with the training rows, in every layer.
    weights
        Weight of each training row, shape (n_rows,), as for `Minibatches`: None for those of the
        data.

    Yields
    ------
    dict
        A row of `training.run`, and ``layer``, counted from 1.

    Raises
    ------
    ValueError
        If the data do not fit the network or its options.
    """
    for layer, batches, epochs, watched in _layers(state, data, held_out, weights):
        for row in training.run(layer, batches, epochs, every, watched):
            yield {"layer": state.layer + 1, **row}


def _layers(
    state: PretrainingState, data: Data, held_out: Data | None, weights: Tensor | None
) -> Iterator[tuple[TrainingState, Minibatches, int, Data | None]]:
    """The remaining layers: for each its state, mini-batches, epochs and held-out rows.

    Requesting the next layer finishes the current one, which the caller has trained.
    """
    _check(state, data, held_out)
    while not state.is_finished:
        rows, watched = state.data(data, held_out)
        options = state.options[state.layer]
        batches = Minibatches(rows, options.batch_size, weights)
        yield state.begin_layer(batches), batches, options.epochs, watched
        state.finish_layer()


def _check(state: PretrainingState, data: Data, held_out: Data | None) -> None:
    """Reject data from which a layer cannot learn, before anything is trained."""
    check_type("state", state, PretrainingState, "PretrainingState.create(dbn, options)")
    check_type("data", data, Data, "Data, such as datasets.load('digits')")
    visible, n_classes = state.dbn.visible, state.dbn.n_classes
    for rows in (data, held_out):
        if rows is not None and n_classes is not None:
            check_labels(rows, n_classes)
    if data.n_columns != visible.n_columns:
        raise ValueError(
            f"{data.name} has {data.n_columns} columns, but the network has {visible.n_columns} "
            "visible columns; pass data or a network of the other's width"
        )
    for options in state.options:
        Minibatches(data, options.batch_size)
