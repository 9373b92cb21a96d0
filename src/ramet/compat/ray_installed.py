"""Importing this module puts the stand-in for Ray in place; workers do so first of all where their controller did."""

from ramet.compat.ray_modules import install

install()
