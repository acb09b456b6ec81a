"""Checks of BUILD.star files and of the files that they load, named as buildifier names them."""
