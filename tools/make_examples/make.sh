#!/bin/sh
# Makes examples/production/ again: a small show as a studio would leave it on its server, from real tools, so that a
# first run has something true to find: two .blend files (one links the other), a texture that is missing, a rendered
# sequence, clips, photographs with EXIF, and a file whose upload broke off.
#
# Needs Debian's packages blender, ffmpeg, imagemagick, openexr, libimage-exiftool-perl. Neither run nor test needs this:
# the result is committed. Usage: tools/make_examples/make.sh [FOLDER]
set -eu
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-$here/../../examples/production}
# Blender writes its folder and its user's home into every file: work in a neutral place.
work=/tmp/studio
mkdir "$work"
trap 'rm -rf "$work"' EXIT
export HOME="$work/home"
out=$work/production
show=$out/shows/aurora
mkdir -p "$HOME" "$show/assets/props" "$show/assets/textures" "$show/shots/sh010/scene" "$show/shots/sh010/render" \
  "$show/editorial" "$show/reference"

# Textures.
convert -size 256x256 -seed 11 plasma:'#6b4a2b'-'#2a1c10' -depth 8 -strip "$show/assets/textures/lantern_diffuse.png"
convert -size 160x120 -seed 5 plasma:grey60-grey30 -colorspace Gray -depth 16 -compress Zip \
  "$show/assets/textures/quay_displacement.tif"

# The asset, the shot that links it, and its frames.
blender --background --factory-startup --python-exit-code 1 --python "$here/lantern.py" -- "$show"
blender --background --factory-startup --python-exit-code 1 --python "$here/shot.py" -- "$show"
rm -f "$show"/*/*/*.blend1 "$show"/*/*/*/*.blend1

# Editorial: the shot as an MP4, and the animatic as a QuickTime film with timecode and sound.
ffmpeg -v error -y -framerate 24 -i "$show/shots/sh010/render/sh010_beauty_%04d.png" -c:v libx264 -pix_fmt yuv420p \
  -movflags +faststart "$show/editorial/sh010_v003.mp4"
ffmpeg -v error -y -f lavfi -i testsrc2=size=192x108:rate=25:duration=2 -f lavfi -i sine=frequency=330:duration=2 \
  -c:v mpeg4 -q:v 12 -c:a aac -b:a 48k -timecode 10:00:00:00 "$show/editorial/aurora_animatic.mov"

# Reference photographs, one as a camera writes it, one cut off in the middle of its upload.
convert -size 480x320 -seed 3 plasma:'#20304f'-'#d0a070' -quality 82 "$show/reference/harbour_dusk.jpg"
exiftool -q -overwrite_original -Make=Canon -Model='Canon EOS R5' -LensModel='RF24-70mm F2.8 L IS USM' \
  -DateTimeOriginal='2024:10:05 18:42:07' -CreateDate='2024:10:05 18:42:07' -Orientation#=6 -ISO=800 -FNumber=2.8 \
  -ExposureTime=1/60 -FocalLength=35 "$show/reference/harbour_dusk.jpg"
convert -size 640x400 -seed 9 plasma:'#0b1020'-'#30c090' -quality 88 "$work/sky.jpg"
head -c 9000 "$work/sky.jpg" >"$show/reference/aurora_sky_upload.jpg"
head -c 6000 "$show/editorial/sh010_v003.mp4" >"$show/editorial/sh010_v002.mp4"
convert -size 200x120 gradient:'#102030'-'#80c0e0' -depth 8 -strip "$show/reference/palette.png"

rm -rf "$target"
mkdir -p "$target"
cp -r "$out/." "$target/"
du -sh "$target"
