#!/bin/bash
# Runs once, in an empty data folder: a database per service, owned by <service>_owner and open to <service>_app.
set -euo pipefail
for service in catalog inventory orders payments shipping; do
  owner_password=${service^^}_OWNER_PASSWORD
  app_password=${service^^}_APP_PASSWORD
  psql -v ON_ERROR_STOP=1 --username postgres --dbname postgres \
    --set service="$service" --set owner="${service}_owner" --set app="${service}_app" \
    --set owner_password="${!owner_password}" --set app_password="${!app_password}" <<'SQL'
create role :"owner" login password :'owner_password';
create role :"app" login password :'app_password';
create database :"service" owner :"owner";
revoke all on database :"service" from public;
grant connect on database :"service" to :"app";
SQL
done
