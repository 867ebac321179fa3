"""Statistical tests of the random streams: are the numbers uniform, and are streams independent?

Every test takes `--numbers` numbers of its own and gives a p-value, the chance of a statistic at
least as large under perfect randomness, so that both ends of the range are suspicious. The exit
code is 1 where a p-value lies within 10^-6 / (number of tests) of 0 or 1.

With `--raw` nothing is tested here: little-endian 32-bit words go to the standard output for
another program, until it closes the pipe (`RNG_test stdin32`, or `dieharder -a -g 200`).
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from scipy import stats

from harmonium import __version__, kernels
from harmonium.kernels import reference
from harmonium.rng import Purpose, Stream

Block = NDArray[numpy.generic]
Pair = tuple[Block, Block]
Draw = Callable[[Stream, tuple[int, int]], Block]

# One draw: 784 columns are four stripes of 196, so that column i + 196 w is word w of counter i.
SHAPE = (128, 784)
STRIPE = SHAPE[1] // 4
# The spacings of few birthdays hardly ever repeat: their draw is larger.
BIRTHDAY_SHAPE = (512, 784)

BITS = 23  # of a uniform number
LEVEL = 1e-6  # chance that perfect numbers fail at one end, over all tests together
LEAST = 20_000_000  # numbers a test: cells hold enough, and each bit of the seed has its turn
LEAST_EXPECTED = 10  # in a cell, below which it is pooled with others


@dataclass(frozen=True)
class Source:
    """Where the numbers come from: three ways to take one draw from a stream."""

    numbers: Draw  # the 23 bits k of the uniform number (k + 1/2) / 2**23
    words: Draw  # all 32 bits
    normals: Draw


@dataclass(frozen=True)
class Result:
    test: str
    n: int
    statistic: str
    p: float


def numbers(stream: Stream, shape: tuple[int, int]) -> Block:
    # a float32 holds 24 bits, so u 2**24 = 2 k + 1 exactly
    u = kernels.uniform(shape, stream).numpy()
    return (u * numpy.float32(2 ** (BITS + 1))).astype(numpy.uint32) >> 1


def words(stream: Stream, shape: tuple[int, int]) -> Block:
    return reference.words(*shape, stream, torch.device("cpu")).numpy().astype(numpy.uint32)


def normals(stream: Stream, shape: tuple[int, int]) -> Block:
    return kernels.normal(shape, stream).numpy()


OURS = Source(numbers, words, normals)


# Which numbers a test compares


def successive(
    draw: Draw, stream: Stream, n: int, shape: tuple[int, int] = SHAPE
) -> Iterator[Block]:
    """One draw after another from one stream, about n numbers."""
    for _ in range(n // (shape[0] * shape[1])):
        yield draw(stream, shape)


def beside(draw: Draw, streams: Iterable[tuple[Stream, Stream]], n: int) -> Iterator[Pair]:
    """One draw from each of two streams, about n numbers in all."""
    for one, other in itertools.islice(streams, n // (2 * SHAPE[0] * SHAPE[1])):
        yield draw(one, SHAPE), draw(other, SHAPE)


def neighbours(blocks: Iterable[Block]) -> Iterator[Pair]:
    for block in blocks:
        yield block[:, 0::2], block[:, 1::2]


def partners(blocks: Iterable[Block]) -> Iterator[Pair]:
    """Words 0 and 1, and words 2 and 3, of the same counters; Box-Muller's pairs."""
    for block in blocks:
        stripes = block.reshape(len(block), 4, -1)
        yield stripes[:, 0::2], stripes[:, 1::2]


def rows(blocks: Iterable[Block]) -> Iterator[Pair]:
    for block in blocks:
        yield block[0::2], block[1::2]


def positions(draw: Draw, stream: Stream, n: int) -> Iterator[Pair]:
    return beside(draw, itertools.repeat((stream, stream)), n)


def far_positions(seed: int) -> Iterator[tuple[Stream, Stream]]:
    """Positions that differ in one of the bits 32 to 39, which another counter word holds."""
    for position, bit in enumerate(itertools.cycle(range(32, 40))):
        stream = Stream(seed, Purpose.CHAINS, position=position)
        yield stream, stream.at(position + 2**bit)


def purposes(seed: int) -> Iterator[tuple[Stream, Stream]]:
    pairs = itertools.cycle(itertools.combinations(Purpose, 2))
    for position, (one, other) in enumerate(pairs):
        yield Stream(seed, one, position=position), Stream(seed, other, position=position)


def ranks(seed: int) -> Iterator[tuple[Stream, Stream]]:
    """Ranks that differ in one bit."""
    for position, bit in enumerate(itertools.cycle(range(16))):
        yield (
            Stream(seed, Purpose.CHAINS, 0, position),
            Stream(seed, Purpose.CHAINS, 2**bit, position),
        )


def seeds(seed: int) -> Iterator[tuple[Stream, Stream]]:
    """Seeds that differ in one bit."""
    for position, bit in enumerate(itertools.cycle(range(64))):
        yield (
            Stream(seed, Purpose.CHAINS, 0, position),
            Stream(seed ^ 2**bit, Purpose.CHAINS, 0, position),
        )


# p-values


def chi2(test: str, n: int, observed: Block, chance: Block) -> Result:
    """Counts beside the cells' probabilities; cells that expect few are pooled into one."""
    expected = chance * observed.sum()
    enough = expected >= LEAST_EXPECTED
    if not enough.all():
        if expected[~enough].sum() < LEAST_EXPECTED:
            enough[numpy.argmin(numpy.where(enough, expected, numpy.inf))] = False
        expected = numpy.append(expected[enough], expected[~enough].sum())
        observed = numpy.append(observed[enough], observed[~enough].sum())
    statistic = ((observed - expected) ** 2 / expected).sum()
    freedom = len(expected) - 1
    return Result(test, n, f"χ²({freedom}) = {statistic:.1f}", stats.chi2.sf(statistic, freedom))


def sum_of_squares(test: str, n: int, z: Block) -> Result:
    """Several independent standard normal statistics as one."""
    statistic = (z**2).sum()
    return Result(test, n, f"χ²({z.size}) = {statistic:.1f}", stats.chi2.sf(statistic, z.size))


def normal_score(test: str, n: int, z: float) -> Result:
    return Result(test, n, f"z = {z:+.2f}", stats.norm.sf(z))


# The tests


def equidistribution(blocks: Iterable[Block], name: str, bits: int) -> Iterator[Result]:
    """The 16 high bits, the 16 low bits, and how often each bit is set."""
    shift, n = bits - 16, 0
    high, low = numpy.zeros(2**16, numpy.int64), numpy.zeros(2**16, numpy.int64)
    for block in blocks:
        n += block.size
        high += numpy.bincount((block >> shift).ravel(), minlength=2**16)
        low += numpy.bincount((block & 0xFFFF).ravel(), minlength=2**16)
    even = numpy.full(2**16, 2.0**-16)
    yield chi2(f"{name}: 16 high bits", n, high, even)
    yield chi2(f"{name}: 16 low bits", n, low, even)
    is_set = (numpy.arange(2**16)[:, None] >> numpy.arange(16)) & 1
    in_low, in_high = low @ is_set, high @ is_set
    ones = numpy.append(in_low, in_high[32 - bits :])  # bits 16 and up are in the high ones alone
    yield sum_of_squares(f"{name}: each of {bits} bits", n, (2 * ones - n) / n**0.5)


def serial_pairs(pairs: Iterable[Pair], name: str) -> Iterator[Result]:
    """Two numbers' 8 high bits as a cell of a square, then their 8 low bits."""
    shift, n = BITS - 8, 0
    high, low = numpy.zeros(2**16, numpy.int64), numpy.zeros(2**16, numpy.int64)
    for a, b in pairs:
        n += a.size + b.size
        high += numpy.bincount((a >> shift << 8 | b >> shift).ravel(), minlength=2**16)
        low += numpy.bincount(((a & 0xFF) << 8 | b & 0xFF).ravel(), minlength=2**16)
    even = numpy.full(2**16, 2.0**-16)
    yield chi2(f"{name}: 8 high bits", n, high, even)
    yield chi2(f"{name}: 8 low bits", n, low, even)


def runs(blocks: Iterable[Block]) -> Iterator[Result]:
    """Wald and Wolfowitz's runs on one side of the median, and runs up and down."""
    n, sides, ups = 0, numpy.zeros(3), numpy.zeros(3)  # count, its mean and variance
    for block in blocks:
        x = block.ravel()
        n += x.size
        above = x >= 2 ** (BITS - 1)
        n_above = int(numpy.count_nonzero(above))
        twice = 2 * n_above * (x.size - n_above) / x.size
        count = 1 + numpy.count_nonzero(above[1:] != above[:-1])
        sides += count, twice + 1, twice * (twice - 1) / (x.size - 1)
        # equal neighbours, one pair in 2**23, count as going down: far below the deviation
        rises = x[1:] > x[:-1]
        count = 1 + numpy.count_nonzero(rises[1:] != rises[:-1])
        ups += count, (2 * x.size - 1) / 3, (16 * x.size - 29) / 90
    for name, (count, mean, variance) in (("beside the median", sides), ("up and down", ups)):
        yield normal_score(f"runs {name}", n, (count - mean) / variance**0.5)


def gaps(blocks: Iterable[Block]) -> Iterator[Result]:
    """How many numbers lie between two whose 4 high bits are zero."""
    n, last, most = 0, numpy.empty(0, numpy.int64), 200
    observed = numpy.zeros(most + 1, numpy.int64)
    for block in blocks:
        hits = n + numpy.flatnonzero(block < 2 ** (BITS - 4))
        n += block.size
        lengths = numpy.diff(numpy.append(last, hits)) - 1
        observed += numpy.bincount(numpy.minimum(lengths, most), minlength=most + 1)
        last = numpy.append(last, hits)[-1:]
    chance = stats.geom.pmf(numpy.arange(1, most + 2), 1 / 16)
    chance[most] = stats.geom.sf(most, 1 / 16)
    yield chi2("gaps between numbers below 1/16", n, observed, chance)


def poker(blocks: Iterable[Block]) -> Iterator[Result]:
    """How many different values the 4 high bits take among 8 neighbours in a row."""
    hand, faces, n = 8, 16, 0
    observed = numpy.zeros(hand + 1, numpy.int64)
    for block in blocks:
        n += block.size
        hands = (1 << (block >> BITS - 4)).reshape(-1, hand)
        different = numpy.bitwise_count(numpy.bitwise_or.reduce(hands, axis=1))
        observed += numpy.bincount(different, minlength=hand + 1)
    # the chance of d different values after one more card, card by card
    chance = numpy.eye(1, hand + 1)[0]
    old = numpy.arange(hand + 1) / faces
    for _ in range(hand):
        chance = chance * old + numpy.append(0, (chance * (1 - old))[:-1])
    yield chi2("poker, hands of 8", n, observed[1:], chance[1:])


def birthday_spacings(blocks: Iterable[Block]) -> Iterator[Result]:
    """Equal spacings of sorted birthdays, days of 46 bits: Poisson, and none the same twice."""
    n = count = 0
    mean = 0.0
    for block in blocks:
        n += block.size
        k = block.astype(numpy.int64)
        birthdays = numpy.sort((k[:, 0::2] << BITS | k[:, 1::2]).ravel())
        spacings = numpy.sort(numpy.diff(birthdays))
        count += numpy.count_nonzero(spacings[1:] == spacings[:-1])
        mean += birthdays.size**3 / 4 / 2 ** (2 * BITS)
    # half the chance of the count itself, so that p has mean 1/2
    p = stats.poisson.sf(count, mean) + stats.poisson.pmf(count, mean) / 2
    yield Result("birthday spacings, 46 bits", n, f"{count:,} of {mean:,.1f}", p)


def lagged(blocks: Iterable[Block]) -> Iterator[Result]:
    """Correlation of numbers of a row so many columns apart; q is the width of a stripe."""
    short = [1, 2, 3, 4, 5, 6, 7, 8, 16, 32, 64, 128]
    of_layout = {"q − 1": STRIPE - 1, "q": STRIPE, "q + 1": STRIPE + 1}
    of_layout |= {"2 q": 2 * STRIPE, "3 q": 3 * STRIPE}
    lags = [*short, *of_layout.values()]
    n, sums, products = 0, numpy.zeros(len(lags)), numpy.zeros(len(lags))
    half, deviation = numpy.float32(2 ** (BITS - 1) - 0.5), ((4**BITS - 1) / 12) ** 0.5
    for block in blocks:
        n += block.size
        x = (block.astype(numpy.float32) - half) / numpy.float32(deviation)
        for i, lag in enumerate(lags):
            sums[i] += numpy.vecdot(x[:, lag:], x[:, :-lag]).sum(dtype=numpy.float64)
            products[i] += x[:, lag:].size
    z = sums / products**0.5
    yield sum_of_squares("correlation at lags 1 to 8, 16, 32, 64, 128", n, z[: len(short)])
    for name, score in zip(of_layout, z[len(short) :], strict=True):
        yield normal_score(f"correlation at lag {name}", n, score)


def cells_of_normal(per_unit: int, furthest: int) -> tuple[int, Block]:
    """Number and probabilities of cells of width 1 / per_unit; the outermost two are the tails."""
    edges = numpy.arange(-furthest * per_unit, furthest * per_unit + 1) / per_unit
    below = numpy.concatenate(([0.0], stats.norm.cdf(edges), [1.0]))
    chance = numpy.diff(below)
    chance[len(chance) // 2 :] = chance[(len(chance) - 1) // 2 :: -1]  # no 1 - tiny
    return len(chance), chance


def cell_of(x: Block, per_unit: int, n_cells: int) -> Block:
    cell = numpy.floor(x * numpy.float32(per_unit)).astype(numpy.int32) + n_cells // 2
    return numpy.clip(cell, 0, n_cells - 1)


def normality(blocks: Iterable[Block]) -> Iterator[Result]:
    """Moments by Hermite polynomials, which are uncorrelated, and the distribution itself."""
    n_cells, chance = cells_of_normal(64, 6)
    n, sums, observed = 0, numpy.zeros(4), numpy.zeros(n_cells, numpy.int64)
    for block in blocks:
        n += block.size
        observed += numpy.bincount(cell_of(block, 64, n_cells).ravel(), minlength=n_cells)
        x = block.astype(numpy.float64)
        square = x * x
        sums += (
            x.sum(),
            (square - 1).sum(),
            (x * (square - 3)).sum(),
            (square * (square - 6) + 3).sum(),
        )
    z = sums / (n * numpy.array([1, 2, 6, 24])) ** 0.5
    for name, score in zip(("mean", "variance", "skewness", "kurtosis"), z, strict=True):
        yield normal_score(f"normal: {name}", n, score)
    yield chi2("normal: distribution", n, observed, chance)


def normal_pairs(pairs: Iterable[Pair]) -> Iterator[Result]:
    """Partners of Box-Muller: their correlation, that of their squares, and cells of both."""
    n_cells, chance = cells_of_normal(4, 5)
    n, n_pairs, sums = 0, 0, numpy.zeros(2)
    observed = numpy.zeros(n_cells**2, numpy.int64)
    for a, b in pairs:
        n, n_pairs = n + a.size + b.size, n_pairs + a.size
        cell = cell_of(a, 4, n_cells) * n_cells + cell_of(b, 4, n_cells)
        observed += numpy.bincount(cell.ravel(), minlength=n_cells**2)
        x, y = a.astype(numpy.float64), b.astype(numpy.float64)
        sums += (x * y).sum(), ((x * x - 1) * (y * y - 1)).sum()
    z = sums / (n_pairs * numpy.array([1, 4])) ** 0.5
    yield normal_score("normal partners: correlation", n, z[0])
    yield normal_score("normal partners: correlation of squares", n, z[1])
    yield chi2("normal partners: both", n, observed, numpy.outer(chance, chance).ravel())


def battery(source: Source, seed: int, n: int) -> Iterator[Result]:
    """All tests, about n numbers each; every one has a seed, hence numbers, of its own."""
    own = itertools.count(seed)

    def stream() -> Stream:
        return Stream(next(own), Purpose.CHAINS)

    def blocks() -> Iterator[Block]:
        return successive(source.numbers, stream(), n)

    yield from equidistribution(blocks(), "numbers", BITS)
    yield from equidistribution(successive(source.words, stream(), n), "words", 32)
    yield from serial_pairs(neighbours(blocks()), "neighbours in a row")
    yield from serial_pairs(partners(blocks()), "words of a counter")
    yield from serial_pairs(rows(blocks()), "rows")
    yield from serial_pairs(positions(source.numbers, stream(), n), "positions")
    for streams, name in (
        (far_positions, "positions 2^32 and more apart"),
        (purposes, "purposes"),
        (ranks, "ranks"),
        (seeds, "seeds one bit apart"),
    ):
        yield from serial_pairs(beside(source.numbers, streams(next(own)), n), name)
    for test in (runs, gaps, poker, lagged):
        yield from test(blocks())
    yield from birthday_spacings(successive(source.numbers, stream(), n, BIRTHDAY_SHAPE))
    yield from normality(successive(source.normals, stream(), n))
    yield from normal_pairs(partners(successive(source.normals, stream(), n)))


def report(results: Iterable[Result]) -> bool:
    """Print the table and the verdict; true if no test failed."""
    print("| test | numbers | statistic | p |")
    print("|---|---:|---:|---:|")
    done = []
    for result in results:
        print(
            f"| {result.test} | {result.n:.3g} | {result.statistic} | {result.p:.3g} |", flush=True
        )
        done.append(result)
    bound = LEVEL / len(done)
    failed = [r.test for r in done if not bound <= r.p <= 1 - bound]  # nan fails
    uniform = stats.kstest([r.p for r in done], "uniform")
    print(
        f"\nThe {len(done)} p-values beside the uniform distribution, Kolmogorov-Smirnov: "
        f"D = {uniform.statistic:.3f}, p = {uniform.pvalue:.3g}."
    )
    print(f"Allowed for each p-value (Bonferroni): {bound:.2g} to 1 − {bound:.2g}.")
    print(f"{len(failed)} tests failed: {'; '.join(failed)}." if failed else "No test failed.")
    return not failed


def interleaved(kind: str, seed: int) -> list[Stream]:
    """The streams that take turns, number by number, in what `--raw` writes."""
    match kind:
        case "purposes":
            return [Stream(seed, purpose) for purpose in Purpose]
        case "ranks":
            return [Stream(seed, Purpose.CHAINS, rank) for rank in range(16)]
        case "seeds":
            return [Stream(seed + i, Purpose.CHAINS) for i in range(16)]
        case _:
            return [Stream(seed, Purpose.CHAINS)]


def write_raw(source: Source, streams: list[Stream]) -> None:
    """Words until the pipe closes: draw after draw, row after row."""
    try:
        while True:
            draws = [source.words(stream, SHAPE) for stream in streams]
            sys.stdout.buffer.write(numpy.stack(draws, axis=-1).astype("<u4").tobytes())
    except BrokenPipeError:
        # what Python's documentation says: or the interpreter complains once more as it ends
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=float, default=1e9, help="a test; default: 1e9")
    parser.add_argument("--seed", type=int, default=0, help="the first test's; default: 0")
    parser.add_argument(
        "--raw",
        nargs="?",
        const="stream",
        choices=("stream", "purposes", "ranks", "seeds"),
        help="write words instead, of one stream (the default) or of several that take turns",
    )
    arguments = parser.parse_args()
    if arguments.raw:
        write_raw(OURS, interleaved(arguments.raw, arguments.seed))
        return
    if arguments.numbers < LEAST:
        parser.error(f"--numbers is {arguments.numbers:g}; pass {LEAST:g} or more")
    started = time.perf_counter()
    print(f"harmonium {__version__}, seeds from {arguments.seed}\n")
    passed = report(battery(OURS, arguments.seed, int(arguments.numbers)))
    print(f"{time.perf_counter() - started:.0f} seconds.")
    raise SystemExit(not passed)


if __name__ == "__main__":
    main()
