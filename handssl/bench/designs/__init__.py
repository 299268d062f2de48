"""Benchmark of named designs: intervals, families, winners, effects and promised power."""

from handssl.bench.designs.measure import bench_designs
from handssl.bench.designs.named import DESIGNS, NamedDesign, chosen
from handssl.bench.designs.pages import text
from handssl.bench.designs.slopes import bench_slopes

__all__ = ["DESIGNS", "NamedDesign", "bench_designs", "bench_slopes", "chosen", "text"]
