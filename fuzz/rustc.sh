#!/bin/sh
# Cargo's RUSTC_WRAPPER: what libFuzzer steers by goes into our own crates only, so that whatever is
# beneath them is built as always, and build scripts link.
case " $* " in
*" --crate-name trunkline "* | *" --crate-name trunkline_protocol "* | *" --crate-name trunkline_fuzz "*)
  set -- "$@" -Cpasses=sancov-module -Ccodegen-units=8 -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares
  ;;
esac
exec "$@"
