"""Settings of every test."""

import os

import matplotlib
from hypothesis import settings

matplotlib.use("Agg")

# Seconds are measured in benchmarks/, never asserted here: a busy machine is no mistake. In CI the same
# examples every time, so that a failure is one of the commit's.
settings.register_profile("kypho", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("kypho")
