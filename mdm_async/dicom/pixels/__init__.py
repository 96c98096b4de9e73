"""What must be done to pixels before a view may show them: looked into, cleaned, blanked, decoded.

A reader's way. `description` and `layout` hold what a head says of the pixels. `inspector` looks at them while they
stream by, undecoded, and hands frames to what walks them: `codestreams` (`jpeg`, `jpeg2000`, `jpeg_xl`),
`run_lengths`, `plain_frames`, `video`. `findings` is what they report, `frames` where each frame lies and whether the
offset tables say so, `mask` what is in bits that are not the picture's.

`plan` makes of head, findings and profile what has to be done. `cleaning` does it while the pixels stream by: cuts,
clears (`mask`), blanks (`regions`), overwrites in place, writes frames anew (`reframing`); `decoding` makes compressed
frames native where they have to be blanked or cleared. `burned_in`, `ultrasound` and `faces` judge what the picture
shows.
"""
