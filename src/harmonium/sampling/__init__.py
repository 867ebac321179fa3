"""Markov chains that sample an RBM: their states, starts and samplers."""

from harmonium.sampling.chains import ChainState, start_at, start_random
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.levels import TemperaturePath, independent_units
from harmonium.sampling.log_z import LadderLogZ, ladder_log_z
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.sampler import Sampler, SweepInfo
from harmonium.sampling.schedule import SamplingSchedule, draw, sample
from harmonium.sampling.starts import start_annealed, start_tempered
from harmonium.sampling.tempering import Tempering, place_temperatures, temper, tune_ladder
from harmonium.sampling.trajectory import Trajectory, TrajectoryTempering, choose_models

__all__ = [
    "ChainState",
    "Clamp",
    "Gibbs",
    "LadderLogZ",
    "Replicas",
    "Sampler",
    "SamplingSchedule",
    "SweepInfo",
    "TemperaturePath",
    "Tempering",
    "Trajectory",
    "TrajectoryTempering",
    "choose_models",
    "draw",
    "independent_units",
    "ladder_log_z",
    "place_temperatures",
    "sample",
    "start_annealed",
    "start_at",
    "start_random",
    "start_tempered",
    "temper",
    "tune_ladder",
]
