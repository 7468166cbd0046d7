# trunkline, and with `simulate` a Genesys Cloud to listen to. Both bases are arguments, so that a mirror or a
# digest can take their place. The binary links libc, libssl and libgcc: the last stage has these and no shell.
ARG BUILDER=rust:1.95.0-slim-bookworm
ARG BASE=gcr.io/distroless/cc-debian12:nonroot

FROM ${BUILDER} AS build
# versions are those of the base's release; a pinned one is gone with the next point release
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ libcurl4-openssl-dev libssl-dev make pkg-config zlib1g-dev \
 && rm -rf /var/lib/apt/lists/*
# the compiler of the base, without the components that only development needs
ENV RUSTUP_TOOLCHAIN=1.95.0
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin trunkline \
 && install -D target/release/trunkline /out/trunkline \
 && mkdir /out/data

FROM ${BASE}
LABEL org.opencontainers.image.title="trunkline" \
      org.opencontainers.image.description="Streams Genesys Cloud conversation events into Kafka as Avro" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/trunkline /usr/local/bin/trunkline
# a volume mounted here belongs to whom the folder belongs to
COPY --from=build --chown=65532:65532 /out/data /var/lib/trunkline
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/trunkline"]
CMD ["run", "--config", "/etc/trunkline/trunkline.yaml"]
