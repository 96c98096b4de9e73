"""What a file says of itself at top level, as conditions ask for it."""

from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.profile import Profile, Readings
from mdm_async.dicom.walking import walk


def readings(data: bytes, at: int, encoding: Encoding, profile: Profile) -> Readings:
    """Every value, to the buffer's end, of the attributes that the profile's conditions ask for. Raises Malformed."""
    asked = profile.asked
    if not asked:
        return {}
    about = Description(encoding)
    for element in walk(data, at, len(data), encoding):
        if element.tag in asked and not element.undefined:
            about.note(element.tag, data[element.value : element.end])
    return {tag: found for tag in asked if (found := about.readings(tag))}
