/**
 * Which file names say that a file is a recording: for readers of entries, who have no profile of its recorder.
 *
 * The same extensions as in `edged/evidence/media_names.py`.
 */

const CONTAINERS = new Set(
  (
    "3g2 3gp asf avi dav flv ifv m2ts m4v mkv mov mp4 mpeg mpg mts 264 265 h264 h265 hevc ps ts vob webm wmv " +
    "aac aif aiff amr flac m4a mka mp3 oga ogg opus pcm wav wma bmp dng gif heic heif jpeg jpg png tif tiff webp"
  ).split(" "),
);

/** Say whether a file is named as sound or picture is, by its extension in any case. */
export function isNamedAsMedia(path) {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  return dot > 0 && CONTAINERS.has(name.slice(dot + 1).toLowerCase());
}
