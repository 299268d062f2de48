"""Transformations of one's own, good and bad, at the top of a module as users write them."""

import torch


class Posterise:
    """Rounds values down to fewer levels, shifted by theta; without parameters to predict."""

    name = "posterise"
    ranges = ((0.0, 1.0),)
    regressable = False
    probability = 0.5

    def apply(self, images, theta):
        shift = theta[:, 0, None, None, None] / 4.0
        return ((images + shift) * 4.0).floor().div(4.0).sub(shift).clamp(0.0, 1.0)


class Dim:
    """Darkens by theta_0 and pulls towards grey by theta_1: both can be seen in an image."""

    name = "dim"
    ranges = ((0.0, 0.4), (0.0, 0.5))
    regressable = True
    probability = 1.0

    def apply(self, images, theta):
        dark, grey = (t[:, None, None, None] for t in theta.unbind(1))
        return ((1.0 - grey) * images + grey * 0.5) * (1.0 - dark)


class Invert:
    """Has no parameter at all."""

    name, ranges, regressable, probability = "invert", (), False, 0.5

    def apply(self, images, theta):
        return 1.0 - images


invert = Invert()


class Bad(Dim):
    """A Dim with one mistake."""

    def __init__(self, apply=None, **members):
        self.__dict__.update(members)
        if apply is not None:
            self.apply = apply


def _overwrites(images, theta):
    return images.mul_(0.5)


def _fails(images, theta):
    raise RuntimeError("no such colour")


smaller = Bad(lambda images, theta: images[:, :, ::2])
double = Bad(lambda images, theta: images.double())
numbers = Bad(lambda images, theta: images.tolist())
brighter = Bad(lambda images, theta: images + 0.5)
undefined = Bad(lambda images, theta: images / 0.0)
random = Bad(lambda images, theta: torch.rand_like(images))
whole_batch = Bad(lambda images, theta: (images - images.mean(0)).abs().clamp(0.0, 1.0))
overwrites, fails = Bad(_overwrites), Bad(_fails)
uncallable = Bad(apply=3)
nameless = Bad(name="Not a slug")
taken, flip, reserved, method = (Bad(name=n) for n in ("blur", "hflip", "contrastive", "keys"))
often = Bad(probability=1.5)
backwards = Bad(ranges=((1.0, 0.0),))
endless = Bad(ranges=((0.0, float("inf")),))
nothing_to_predict = Bad(ranges=())


class Empty:
    """Has nothing of the protocol but a name."""

    name = "empty"


class NeedsArguments(Dim):
    """Cannot be made without arguments."""

    def __init__(self, strength):
        self.strength = strength
