"""Format parameters of the transformations in readable words and units."""

from __future__ import annotations

import math

from handssl.transforms.config import AugmentConfig


def parameter_names(transformation: str, config: AugmentConfig) -> tuple[str, ...]:
    """Return the names of a transformation's parameters with a range, in theta's order.

    Example:
        >>> parameter_names("translate", AugmentConfig())
        ('x_boxes', 'y_boxes')
        >>> parameter_names("sobel", AugmentConfig())
        ()
    """
    fields = type(getattr(config, transformation)).model_fields
    return tuple(name for name in fields if name != "probability")


def value_text(parameter: str, value: float) -> str:
    """Format one value of a parameter with its unit.

    Args:
        parameter: Name from `parameter_names`; its suffix determines the unit.
        value: Value in the unit of theta.

    Example:
        >>> value_text("angle_rad", -0.7853981633974483), value_text("log_value", 0.0)
        ('-45.0 deg', 'x 1.00')
        >>> value_text("x_boxes", 0.15), value_text("sigma_views", 1 / 128)
        ('+0.150 box', '1.00 px of 128')
    """
    if parameter.endswith("_rad"):
        return f"{math.degrees(value):+.1f} deg"
    if parameter.endswith("_turns"):
        return f"{360 * value:+.0f} deg"
    if parameter.startswith("log_"):
        return f"x {math.exp(value):.2f}"
    if parameter.endswith("_boxes"):
        return f"{value:+.3f} box"
    if parameter == "sigma_views":
        return f"{128 * value:.2f} px of 128"
    if parameter == "sigma":
        return f"{255 * value:.1f} of 255"
    return f"{100 * value:.0f} % of the side" if parameter == "side_views" else f"{value:+.3f}"


def parameter_words(parameter: str) -> str:
    """Return a parameter's name in words, without its unit.

    Example:
        >>> parameter_words("log_saturation"), parameter_words("x_boxes")
        ('saturation factor', 'x')
    """
    if parameter.startswith("log_"):
        words = parameter.removeprefix("log_").replace("_", " ")
        return words if words.endswith("factor") else f"{words} factor"
    for unit in ("_rad", "_turns", "_boxes", "_views"):
        parameter = parameter.removesuffix(unit)
    return parameter.replace("_", " ")
