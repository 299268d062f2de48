"""handssl: distributed sweeps of self-supervised pretraining for hand-pose encoders."""
