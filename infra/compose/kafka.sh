#!/bin/sh
# The broker: format its log folder once, with the administrator's login in it, then run.
set -eu

configuration=/tmp/configuration/server.properties

if [ ! -e "$KAFKA_LOG_FOLDER/meta.properties" ]; then
    # what a format that was broken off has left
    rm -rf -- "$KAFKA_LOG_FOLDER"
    password=$(cat /run/secrets/kafka_admin_password)
    /opt/kafka/bin/kafka-storage.sh format --config "$configuration" \
        --cluster-id "$(/opt/kafka/bin/kafka-storage.sh random-uuid)" \
        --add-scram "SCRAM-SHA-512=[name=admin,password=$password]"
fi

exec /opt/kafka/bin/kafka-server-start.sh "$configuration"
