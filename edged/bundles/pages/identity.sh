: "${ROOT:=../trust/root.pem}"
openssl x509 -in data/logs/{{log}}/station.pem -noout -subject -ext subjectAltName
test "$(openssl x509 -in data/logs/{{log}}/station.pem -noout -ext subjectAltName | sed -n 's/^ *URI:tlog://p')" = \
  "$(head -n 1 data/logs/{{log}}/{{size}}/checkpoint)" && echo "OK: the key is certified for this log" ||
  echo "DIFFERENT: the certificate is for another log"
(bad=0; for entry in data/segments/*/entry.json data/custody/{{log}}/{{export_seq}}.json; do
  T=$(date -ud "$(sed 's/.*"time":"\([^"]*\)".*/\1/' "$entry")" +%s)
  openssl verify -no-CApath -no-CAstore -CAfile "$ROOT" -untrusted data/logs/{{log}}/station.pem \
    -attime "$T" data/logs/{{log}}/station.pem || bad=1
done; exit $bad)
