BENCHMARKS = {}


def run_benchmarks(): ...
