# trunkline, and with `simulate` a Genesys Cloud to listen to. Both bases are arguments, so that a mirror or a
# digest can take their place. The binary is static: the last stage has authorities, time zones, and no shell.
ARG BUILDER=rust:1.95.0-slim-bookworm
ARG BASE=gcr.io/distroless/static-debian12:nonroot
# `prebuilt` takes target/image/ARCHITECTURE, as scripts/static_binary.sh wrote it: a release has one file in archive and image
ARG BINARY=build

FROM ${BUILDER} AS build
# versions are those of the base's release; a pinned one is gone with the next point release
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends cmake g++ make musl-tools perl pkg-config \
 && rm -rf /var/lib/apt/lists/*
# the compiler of the base, without the components that only development needs
ENV RUSTUP_TOOLCHAIN=1.95.0
RUN cargo install --locked cargo-auditable@0.7.7
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    scripts/static_binary.sh /out \
 && mkdir /out/data

FROM scratch AS prebuilt
ARG TARGETARCH
COPY target/image/${TARGETARCH}/ /out/

FROM ${BINARY} AS binary

FROM ${BASE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="trunkline" \
      org.opencontainers.image.description="Streams Genesys Cloud conversation events into Kafka as Avro" \
      org.opencontainers.image.source="https://github.com/trunkline/trunkline" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=binary /out/trunkline /usr/local/bin/trunkline
# a volume mounted here belongs to whom the folder belongs to
COPY --from=binary --chown=65532:65532 /out/data /var/lib/trunkline
USER 65532:65532
EXPOSE 9464
ENTRYPOINT ["/usr/local/bin/trunkline"]
CMD ["run", "--config", "/etc/trunkline/trunkline.yaml"]
