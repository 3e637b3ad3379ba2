#!/bin/sh
# Makes the secrets that deploy/docker-compose.yml mounts. Run it once; what is there already is kept.
#   sh deploy/make-secrets.sh [folder]      default: deploy/secrets
# Nobody else may enter the folder. The files themselves are readable: an engine mounts them into a container with the bits
# they have here, and there a user without rights reads them.
set -eu
umask 077

folder=${1:-$(dirname "$0")/secrets}
mkdir -p "$folder"
chmod 700 "$folder"

put() {
  if [ -e "$folder/$1" ]; then
    cat > /dev/null
  else
    cat > "$folder/$1"
    chmod 444 "$folder/$1"
    echo "made $folder/$1" >&2
  fi
}

openssl rand -base64 32 | put encryption_key
openssl rand -base64 32 | put api_key_secret
openssl rand -hex 32 | put postgres_password
openssl rand -hex 32 | put database_password
printf 'postgres://merlon:%s@postgres:5432/merlon\n' "$(cat "$folder/database_password")" | put database_url
openssl rand -hex 32 | put redis_password
printf 'redis://:%s@redis:6379\n' "$(cat "$folder/redis_password")" | put redis_url
printf 'requirepass %s\nsave ""\nappendonly no\nmaxmemory 256mb\nmaxmemory-policy noeviction\n' \
  "$(cat "$folder/redis_password")" | put redis_conf

echo "keep a copy of encryption_key where you keep secrets: without it nothing sealed can be read" >&2
[ -e "$folder/proxy_certificate" ] ||
  echo "still to put there: proxy_certificate, the chain and its private key in one PEM file (mode 444)" >&2
