"""What a DICOM file is: split, walk, scrub, inspect; bytes in, bytes out.

A reader's way: `part10` cuts a stream into head, pixels and tail; `elements` and `items` read headers, `walking` goes
through what they head, `quirks` names what only a guess can read; `profile` and `profiles/` say which *rule* each
attribute has; `scrubbing/` makes a *step* of each rule and copies what stays; `values/` says which values are what they
claim to be; `pixels/` looks for what is no picture; `refusals` says why a view cannot be made; `scrub` puts it
together.

The threat model, the same for every attribute, at every depth, in every encoding, before and after the pixels
--------------------------------------------------------------------------------------------------------------

Who wrote the file is unknown: a device as the standard wants it, a careless one, a site that writes names where numbers
belong, or somebody who wants a name to get through. So nothing in a file is believed because of where it stands.

*What is unknown is not kept.* An attribute stays when the standard's table, a reviewed row of ours
(`tables/attributes.csv`) or the profile says so, or when it is a number, a code string or a sequence of the public
dictionary. Private attributes stay only by a profile's word, and by the standard's list of safe ones.

*What is kept is checked.* Its VR is one that the dictionary allows, its value legal for that VR; a code string is one
of the terms known for it or made of known words; a text passes the pattern that its row names; a UID that stays as it
is has to be one of the standard's; a published code has its published meaning. Anything else becomes a dummy or goes.

*What is not looked into does not pass*: pixels beside those that the file was split at, unknown codestreams, documents,
sequences written as something else, unused bits, bytes after the end of anything. It is removed, overwritten with
zeros, or the view is refused.

*What a file says of itself is not believed* where it is served: evidence outweighs "Burned In Annotation NO", and what
we assert of a view follows from the rules in force.

*Nobody is stopped by a file*: lengths are checked against their container, depth and number of kinds are bounded, and
every byte is read a bounded number of times. What cannot be walked is refused, with the offset and no value.

What this does not do. Numbers stay: somebody who writes a telephone number as a slice thickness has smuggled it. Equal
pixels always join two views, and rare values may (`pseudonym`). Faces can be recognised in slices of a head. Text in a
picture that no evidence speaks of is not found: nobody reads the picture. docs/what-stays.md lists every text that may
be kept, and why.
"""
