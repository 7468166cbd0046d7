#!/bin/sh
# Fetches plugins by version and checksum: each line of LIST is a folder's name, a SHA-256 and an address.
# usage: fetch.sh LIST FOLDER
set -eu
[ $# = 2 ] || { echo "usage: fetch.sh LIST FOLDER" >&2; exit 64; }
mkdir -p "$2"
zip=$(mktemp)
grep -v -e '^#' -e '^$' "$1" | while read -r name digest address; do
  curl --silent --show-error --fail --location --retry 5 --output "$zip" "$address"
  found=$(sha256sum "$zip" | cut -d' ' -f1)
  case $digest in
    "$found") ;;
    unknown)
      echo "fetch: $name has no checksum yet. What $address gave has $found: hold that against its publisher's, and write it into $1" >&2
      exit 1 ;;
    *) echo "fetch: $name: SHA-256 is $found, $1 has $digest" >&2; exit 1 ;;
  esac
  mkdir "$2/$name"
  unzip -q "$zip" -d "$2/$name"
  rm "$zip"
done
