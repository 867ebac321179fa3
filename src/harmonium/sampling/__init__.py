"""Markov chains that sample an RBM: their states, starts and samplers."""

from harmonium.sampling.chains import ChainState, start_at, start_random
from harmonium.sampling.clamp import Clamp
from harmonium.sampling.gibbs import Gibbs
from harmonium.sampling.growing import GrowingTrajectory
from harmonium.sampling.path import TemperaturePath, independent_units, place_temperatures
from harmonium.sampling.replicas import Replicas
from harmonium.sampling.sampler import Sampler, SweepInfo
from harmonium.sampling.schedule import SamplingSchedule, draw, sample
from harmonium.sampling.starts import start_annealed, start_tempered
from harmonium.sampling.tempering import Tempering, temper, tune_ladder
from harmonium.sampling.trajectory import Trajectory, TrajectoryTempering, choose_models

__all__ = [
    "ChainState",
    "Clamp",
    "Gibbs",
    "GrowingTrajectory",
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
    "place_temperatures",
    "sample",
    "start_annealed",
    "start_at",
    "start_random",
    "start_tempered",
    "temper",
    "tune_ladder",
]
