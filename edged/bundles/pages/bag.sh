sha256sum --quiet -c manifest-sha256.txt && sha256sum --quiet -c tagmanifest-sha256.txt &&
test $(find data -type f | wc -l) = $(wc -l < manifest-sha256.txt) &&
test -z "$(find . ! -type f ! -type d)" && echo "OK: every file is as listed, none is too many"
