"""Frames as pictures for the eye (PS3.18 §8.7.4): of eight bits, grey or RGB, as JPEG or PNG, with nothing beside them.

A reader's way. `asked` is what a picture is asked to be, `viewport` which part of the frame it shows and how large.
`samples` are a frame's numbers, `grey` makes shades of them, `colours` red, green and blue. `drawing` does it all.
Numpy and Pillow are imported here alone, where foreign bytes are drawn: in a process that has nothing.
"""
