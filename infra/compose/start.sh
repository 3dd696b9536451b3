#!/bin/sh
# How a container of a part that is not ours starts: fill in the configuration files of infra/configuration that are
# mounted into it, then become the command.
#
# ${UPPER} in a file is an environment variable, ${lower} the secret of that name. What is filled in lies in memory
# (/tmp is a tmpfs), so no secret is written to a disk or stands in an environment or a command line.
set -eu

templates=${TEMPLATES:-/configuration}
secrets=${SECRETS:-/run/secrets}
filled_in=${FILLED_IN:-/tmp/configuration}

die() {
    printf '%s\n' "$*" >&2
    exit 1
}

value() {
    case $1 in
    '' | *[!A-Za-z0-9_]*) die "\${$1} names nothing" ;;
    [A-Z]*) eval "printf %s \"\${$1?is not in the environment}\"" ;;
    *) cat -- "$secrets/$1" ;;
    esac
}

fill_in() {
    while IFS= read -r rest || [ -n "$rest" ]; do
        line=''
        while :; do
            case $rest in
            *'${'*'}'*)
                line=$line${rest%%'${'*}
                rest=${rest#*'${'}
                found=$(value "${rest%%'}'*}")
                line=$line$found
                rest=${rest#*'}'}
                ;;
            *) break ;;
            esac
        done
        printf '%s\n' "$line$rest"
    done <"$1"
}

umask 077
mkdir -p "$filled_in"
for template in "$templates"/*; do
    fill_in "$template" >"$filled_in/${template##*/}"
done

exec "$@"
