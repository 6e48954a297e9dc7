"""Options: what a user may say of reading, computing and rates; each one is stated here and nowhere else.

A field of `ReadOptions`, `ComputeOptions` or `RateOptions` states the name, the default, the meaning and the
check of an option. The command line's options, the columns of a cohort's list and the options in
`summary.json` are made from these fields.

- `option`: how a field says this.
- `read`, `compute`, `rate`: the three classes, with the values that they hold.

Uses the ground only, and imports nothing heavy.
"""

from slidemitosis.options.compute import ComputeOptions, OperatingPoint
from slidemitosis.options.rate import ErrorCounts, RateOptions, Spot
from slidemitosis.options.read import ReadOptions

__all__ = ["ComputeOptions", "ErrorCounts", "OperatingPoint", "RateOptions", "ReadOptions", "Spot"]
