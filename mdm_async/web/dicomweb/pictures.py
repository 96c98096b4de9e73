"""Pictures (PS3.18 §10.4.1.1.3, §10.4.1.1.7): of a frame, or small ones that stand for a study, a series or an
instance."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from mdm_async.catalog.metadata.studies import Row
from mdm_async.dicom.pictures.asked import Picture
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.pixels.video.streams import SYNTAXES as VIDEOS
from mdm_async.errors import BadRequest, Gone, NotAcceptable, NotFound, TooLarge
from mdm_async.images.studies.frames import Frame, frames_of
from mdm_async.images.studies.pictures import demand_drawable, picture, weight
from mdm_async.images.studies.searching import OF_RETRIEVED
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.web.dicomweb import accept, picture_asked
from mdm_async.web.dicomweb.accept import Chosen
from mdm_async.web.dicomweb.address import base_of, wanted
from mdm_async.web.dicomweb.asked import named
from mdm_async.web.dicomweb.opening import opened, payer_of, rows_of, view_of
from mdm_async.web.dicomweb.parts import HEADERS, Parts
from mdm_async.web.dicomweb.pixels import opened_one, placed_pixels, send_video
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.house import HOUSE, House
from mdm_async.web.http.sending import telling_damage, transport_of

_NUMBER: Final = "InstanceNumber"
_TRIED: Final = 4
"""Series, of each of which one instance is looked at for pixels."""


async def rendered(request: web.Request) -> web.StreamResponse:
    """Of the frame that the URL names, or the instance's representative one; a video as it is."""
    warm = await opened_one(request)
    if _number(request) is None and picture_asked.is_plain(request):
        pixels = await placed_pixels(request, warm)
        if pixels.transfer_syntax in VIDEOS:
            return await send_video(request, warm, pixels)
    chosen = accept.of_pictures(wanted(request))
    return await _sent(request, warm, chosen, picture_asked.rendered(request, chosen.kind))


async def thumbnail(request: web.Request) -> web.StreamResponse:
    """A small one. Of several instances one that has pixels stands for all."""
    if "instance" in request.match_info:
        warm = await opened_one(request)
        return await _small(request, warm)
    caller = await caller_of(request)
    found = await rows_of(request, caller, (*OF_RETRIEVED, _NUMBER))
    *some, last = _middles(found.rows)
    for row in some:
        try:
            return await _small(request, await opened(request, caller, row))
        except (NotFound, NotAcceptable, TooLarge):
            continue  # a report, a video, or the like
    return await _small(request, await opened(request, caller, last))


async def _small(request: web.Request, warm: WarmTurl) -> web.StreamResponse:
    chosen = accept.of_pictures(wanted(request))
    return await _sent(request, warm, chosen, picture_asked.thumbnail(request, chosen.kind))


def _middles(rows: Sequence[Row]) -> list[Row]:
    """Of each series the instance in the middle, by their numbers."""
    series: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        series[row.series].append(row)
    found = [sorted(each, key=_place)[len(each) // 2] for each in series.values()]
    return found[:_TRIED]


def _place(row: Row) -> float:
    return float((row.said.get(_NUMBER) or [0])[0])


@dataclass(frozen=True, slots=True)
class Drawable:
    """A frame of an instance, to be drawn so."""

    warm: WarmTurl
    pixels: Placed
    number: int
    frame: Frame
    asked: Picture

    @property
    def weight(self) -> int:
        return weight(view_of(self.warm), self.pixels, self.frame, self.asked)

    async def draw(self, house: House, *, begun: bool = False) -> bytes:
        """Raises as `picture`."""
        return await picture(
            house.blobs,
            house.workshop.scrubber,
            view_of(self.warm),
            self.pixels,
            self.frame,
            self.number,
            self.asked,
            begun=begun,
        )


async def drawable(
    request: web.Request, warm: WarmTurl, asked: Picture, number: int | None, *, begun: bool = False
) -> Drawable:
    """None: the representative frame; `begun`: for an answer that has. Raises NotFound without one, and as
    `demand_drawable`."""
    pixels = await placed_pixels(request, warm, begun=begun)
    number = pixels.representative if number is None else number
    async with telling_damage(warm.read):
        (frame,) = await frames_of(request.app[HOUSE].blobs, view_of(warm), pixels, [number])
    demand_drawable(pixels, frame, asked)
    return Drawable(warm, pixels, number, frame, asked)


async def _sent(request: web.Request, warm: WarmTurl, chosen: Chosen, asked: Picture) -> web.StreamResponse:
    found = await drawable(request, warm, asked, _number(request))
    house, payer = request.app[HOUSE], payer_of(request, warm)
    parts = Parts(chosen.kind)
    headers = parts.headers if chosen.multipart else HEADERS | {"Content-Type": chosen.kind}
    answer = web.StreamResponse(headers=headers)
    warn(request, answer)
    if request.method == "HEAD":
        await answer.prepare(request)
        return answer
    if warm.ending.ended:
        raise Gone(remedy="ask for it again")
    transport = transport_of(request)
    most = found.weight
    house.budget.demand_possible(payer, most)
    with (
        house.admission.sending(payer, warm.ending, transport.abort),
        house.budget.holding(payer, most),
    ):
        async with (
            house.reads.reading(warm.read, warm.ending, source_of(request)) as reading,
            telling_damage(warm.read),
        ):
            drawn = await found.draw(house)
            reading.bytes += len(drawn)
        body = parts.preface(chosen.content_type) + drawn + parts.end if chosen.multipart else drawn
        answer.content_length = len(body)
        await answer.prepare(request)
        # The memory is held until the client has it.
        await answer.write_eof(body)
    return answer


def warn(request: web.Request, answer: web.StreamResponse) -> None:
    """Of what was asked for that pictures do not have."""
    for one in picture_asked.warnings(request):
        answer.headers.add("Warning", f'299 {base_of(request, named(request))}: "{one}"')


def _number(request: web.Request) -> int | None:
    """Raises BadRequest."""
    text = request.match_info.get("frames")
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise BadRequest("a picture is of one frame", remedy="write its number alone, from 1")
    return int(text)
