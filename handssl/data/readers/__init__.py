"""Readers: samples of datasets as they are published, and of folders of images."""
