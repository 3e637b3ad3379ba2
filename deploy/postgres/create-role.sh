#!/bin/sh
# Run once by the image of PostgreSQL, on an empty volume. Row security holds Merlon to the tenant that each transaction
# names, unless its role is a superuser: so it gets a role of its own, which owns one database and nothing else.
set -eu
psql --username postgres --no-psqlrc --set ON_ERROR_STOP=1 \
  --set password="$(cat /run/secrets/database_password)" <<'SQL'
create role merlon login nosuperuser nobypassrls nocreatedb nocreaterole password :'password';
create database merlon owner merlon;
revoke all on database merlon from public;
SQL
