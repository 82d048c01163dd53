: "${ROOT:=../trust/root.pem}"
(bad=0; for station in data/logs/*/*/station.pem; do
  log=${station%/station.pem}; log=${log#data/logs/}
  openssl x509 -in "$station" -noout -subject -ext subjectAltName
  for checkpoint in data/logs/"$log"/*/checkpoint; do
    test "$(openssl x509 -in "$station" -noout -ext subjectAltName | sed -n 's/^ *URI:tlog://p')" = \
      "$(head -n 1 "$checkpoint")" && echo "OK: the key is certified for this log" ||
      { echo "DIFFERENT: the certificate is for another log"; bad=1; }
  done
  entries=$(grep -lF "\"epoch\":\"${log#*/}\",\"prev\"" data/segments/*/entry.json data/custody/"$log"/*.json)
  for time in $(grep -ho '"time":"[^"]*","type"' $entries | cut -d'"' -f4 | sort | sed -n '1p;$p'); do
    openssl verify -no-CApath -no-CAstore -CAfile "$ROOT" -untrusted "$station" \
      -attime "$(date -ud "$time" +%s)" "$station" || bad=1
  done
done; exit $bad)
