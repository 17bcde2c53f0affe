"""The random split of mlops-core in Python, after its documentation.

Imported by scripts that train a model on rows which the examples must not test
it on. SplitMix64 (Steele, Lea, Flood 2014), numbers below a bound after Lemire
(2019), Fisher and Yates from the end.
"""

MASK = 2**64 - 1


def split_mix(seed):
    """Uniform 64-bit numbers without end."""
    state = seed
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        bits = state
        bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK
        yield bits ^ (bits >> 31)


def below(numbers, bound):
    threshold = 2**64 % bound
    while True:
        wide = next(numbers) * bound
        if wide & MASK >= threshold:
            return wide >> 64


def permutation(count, seed):
    numbers, order = split_mix(seed), list(range(count))
    for last in range(count - 1, 0, -1):
        other = below(numbers, last + 1)
        order[last], order[other] = order[other], order[last]
    return order


def parts(count, shares, seed):
    """For each row its part: 0 train, 1 valid, 2 test."""
    rounded = lambda share: int(share * count + 0.5)
    train, valid = rounded(shares[0]), rounded(shares[0] + shares[1])
    sides = [2] * count
    for at, row in enumerate(permutation(count, seed)):
        if at < valid:
            sides[row] = 0 if at < train else 1
    return sides
