"""What is told about an image beside it: where it comes from, what is in it, and who rebuilt it.

None of it is part of the image: its digest is the same with and without.
"""
