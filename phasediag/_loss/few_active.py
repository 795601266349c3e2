"""Losses and slopes of one output with at most one active feature besides its own, in closed form (numba kernels)."""

import math

from .._compiling.jit import doubles, jit
from . import contour_table as entry
from .contour_table import others

GAUSS = 0.5 / math.sqrt(3.0)  # two-point Gauss–Legendre: exact to degree 3, the highest degree below


@jit(inner=True)
def _positive(slope, constant):
    """The interval of [0, 1] on which slope·u + constant > 0."""
    if slope > 0.0:
        return min(max(-constant / slope, 0.0), 1.0), 1.0
    if slope < 0.0:
        return 0.0, min(max(-constant / slope, 0.0), 1.0)
    return (0.0, 1.0) if constant > 0.0 else (0.0, 0.0)


@jit(inner=True)
def _one_active(a, b, own):
    """E over one uniform u of z⁺(z⁺ − 2x), of 2(z⁺ − x)1_{z>0} and of that times u; z = a u + b, x = own·u."""
    low, high = _positive(a, b)
    middle, width = 0.5 * (low + high), high - low
    loss = slope = slope_u = 0.0
    for side in (-GAUSS, GAUSS):
        u = middle + side * width
        z = a * u + b
        x = own * u
        loss += 0.5 * width * z * (z - 2.0 * x)
        slope += width * (z - x)
        slope_u += width * (z - x) * u
    return loss, slope, slope_u


@jit(inner=True, once=True)
def _two_active(a_i, a_j, b):
    """E of z⁺(z⁺ − 2u), of 2(z⁺ − u)1_{z>0} and of that times u and times v; z = a_i u + a_j v + b.

    The inner integral runs over the variable with the larger coefficient, whose kink then moves with a slope of at most
    one; the outer one is split where that kink passes a corner, so that every piece is a cubic (no cancellation).
    """
    swap = abs(a_j) > abs(a_i)
    a, c = (a_j, a_i) if swap else (a_i, a_j)
    first = second = 0.0
    if c != 0.0:
        first = min(max(-b / c, 0.0), 1.0)
        second = min(max(-(b + a) / c, 0.0), 1.0)
        if first > second:
            first, second = second, first
    loss = slope = slope_u = slope_v = 0.0
    left = 0.0
    for right in (first, second, 1.0):
        if right > left:
            for outer_side in (-GAUSS, GAUSS):
                outer = 0.5 * (left + right) + outer_side * (right - left)
                low, high = _positive(a, c * outer + b)
                weight = 0.25 * (right - left) * (high - low)
                for inner_side in (-GAUSS, GAUSS):
                    inner = 0.5 * (low + high) + inner_side * (high - low)
                    z = a * inner + (c * outer + b)
                    u, v = (outer, inner) if swap else (inner, outer)
                    loss += weight * z * (z - 2.0 * u)
                    slope += 2.0 * weight * (z - u)
                    slope_u += 2.0 * weight * (z - u) * u
                    slope_v += 2.0 * weight * (z - u) * v
            left = right
    return loss, slope, slope_u, slope_v


@jit(inner=True)
def add_few_active(n, table):
    """Begin loss E[z⁺(z⁺ − 2x_i)], slope in b and slope in a_i with the states with ≤ 1 active feature besides i.

    The slopes in the n weights a_j are added to. See `contour_table`.
    """
    a, p, slope, numbers = others(table)
    none_but = doubles(table[entry.NONE_BUT])
    a_i, p_i, b, none = numbers[entry.A_I], numbers[entry.P_I], numbers[entry.BIAS], numbers[entry.NONE]
    loss = slope_b = slope_i = 0.0
    if none > 0.0:
        one, one_b, one_i = _one_active(a_i, b, 1.0)
        loss = none * p_i * one
        slope_b = none * p_i * one_b
        slope_i = none * p_i * one_i
        if b > 0.0:
            loss += none * (1.0 - p_i) * b * b
            slope_b += none * (1.0 - p_i) * 2.0 * b
    for j in range(n):
        weight = p[j] * none_but[j]
        if weight > 0.0:
            one, one_b, one_j = _one_active(a[j], b, 0.0)
            two, two_b, two_i, two_j = _two_active(a_i, a[j], b)
            loss += weight * ((1.0 - p_i) * one + p_i * two)
            slope_b += weight * ((1.0 - p_i) * one_b + p_i * two_b)
            slope_i += weight * p_i * two_i
            slope[j] += weight * ((1.0 - p_i) * one_j + p_i * two_j)
    numbers[entry.LOSS], numbers[entry.SLOPE_B], numbers[entry.SLOPE_I] = loss, slope_b, slope_i
