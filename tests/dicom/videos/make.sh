#!/bin/sh
# How the streams in this folder were made (Debian 12: ffmpeg 5.1, x264, x265), once, to be stored: `make.sh FOLDER`.
# They are synthetic: a test pattern that moves, with the texts that encoders and multiplexers write of themselves.
set -eu
cd "$1"
pattern="-f lavfi -i testsrc=size=64x48:rate=25:duration=0.2"
quiet="ffmpeg -hide_banner -loglevel error -y"
identity="-metadata title=DOE^JANE -metadata comment=MRN-4711 -metadata:s:v:0 handler_name=DOE^JANE -metadata:s:v:0 language=deu"
identity="$identity -metadata creation_time=1960-02-29T11:22:33Z -metadata service_name=DOE^JANE -metadata service_provider=MRN-4711"
x264="-pix_fmt yuv420p -c:v libx264"
x265="-pix_fmt yuv420p -c:v libx265"

$quiet $pattern $x264 $identity -f mp4 avc.mp4
$quiet -i avc.mp4 -c copy $identity -movflags +faststart -f mp4 avc-begin.mp4
$quiet -i avc.mp4 -c copy $identity -f mov avc.mov
$quiet -i avc.mp4 -c copy $identity avc.ts
$quiet -i avc.mp4 -c copy -f h264 avc.h264
$quiet $pattern $x264 -x264-params intra-refresh=1:keyint=3:aud=1:nal-hrd=cbr:vbv-maxrate=200:vbv-bufsize=200:bitrate=200:filler=1:pic-struct=1:cqm=jvt:sar=4/3:slices=2 -f mpegts avc-broadcast.ts
$quiet $pattern $x264 -x264-params interlaced=1:frame-packing=3:stitchable=1:open-gop=1:keyint=4:range=on:colorprim=bt709 -f h264 avc-interlaced.h264
$quiet $pattern $x265 -x265-params log-level=none -tag:v hvc1 $identity -f mp4 hevc.mp4
$quiet -i hevc.mp4 -c copy $identity hevc.ts
$quiet $pattern $x265 -x265-params log-level=none -f hevc hevc.hevc
$quiet $pattern $x265 -x265-params log-level=none:repeat-headers=1:aud=1:hrd=1:vbv-maxrate=200:vbv-bufsize=200:bitrate=200:scaling-list=default:hash=1:temporal-layers=3:keyint=4:sar=4:range=full:colorprim=bt709:chromaloc=1:display-window=2,2,2,2 -f hevc hevc-broadcast.hevc
$quiet $pattern -pix_fmt yuv420p -c:v mpeg2video -bf 2 -timecode 11:22:33:04 -f mpeg2video mpeg2.m2v
$quiet $pattern -pix_fmt yuv420p -c:v mpeg2video -flags +ilme+ildct -alternate_scan 1 -seq_disp_ext always -timecode 11:22:33:04 $identity -f mpegts mpeg2.ts
$quiet $pattern -f lavfi -i sine=duration=0.2 $x264 -c:a aac -f mp4 sound.mp4
$quiet $pattern -f lavfi -i sine=duration=0.2 $x264 -c:a mp2 -f mpegts sound.ts
$quiet -i avc.mp4 -c copy -timecode 11:22:33:04 -f mov timecode.mov
$quiet -i avc.mp4 -c copy -movflags +frag_keyframe+empty_moov -f mp4 fragmented.mp4
