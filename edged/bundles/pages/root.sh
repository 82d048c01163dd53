: "${ROOT:=../trust/root.pem}"
openssl x509 -in "$ROOT" -noout -subject -fingerprint -sha256
