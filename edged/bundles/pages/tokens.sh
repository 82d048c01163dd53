: "${ROOT:=../trust/root.pem}" "${TSA:=../trust/tsa.pem}"
(bad=0; for token in data/logs/*/*/*/*.tsr; do
  test -e "$token" || { echo "there are none: the times are claims"; continue; }
  name=$(basename "$token" .tsr); n=${name#*.}; over=${token%/*}/checkpoint; station=${token%/*/*}/station.pem
  case $name in *.1) over=${token%.1.tsr}.tsr ;; *.*) over=${token%."$n".tsr}.$((n - 1)).tsr ;; esac
  T=$(date -ud "$(openssl ts -reply -in "$token" -text 2>&1 | sed -n 's/^Time stamp: //p' | sed 's/\.[0-9]*//')" +%s)
  openssl ts -verify -data "$over" -in "$token" -CAfile "$TSA" -attime "$T" 2>&1 | grep -qx 'Verification: OK' &&
  { test "$name" != "${name%.*}" ||
    openssl verify -no-CApath -no-CAstore -CAfile "$ROOT" -untrusted "$station" -attime "$T" "$station" > /dev/null; } &&
  echo "OK: ${over#data/logs/} existed on $(date -ud "@$T" +%Y-%m-%dT%H:%M:%SZ)" ||
  { echo "NOT SHOWN, by the authority that you brought: $token"; bad=1; }
done; exit $bad)
