# The operator's image, and the simulator's as a second target:
#
#   docker build -t ghcr.io/dualwrite-operator/dualwrite-operator:0.1.0 .
#   docker build -t ghcr.io/dualwrite-operator/dualwrite-simulator:0.1.0 --target simulator .

# The same version as rust-toolchain.toml. Bookworm, because that is what the
# final image is made from: a newer one would link to a C library that is not there.
FROM rust:1.95-bookworm AS source
WORKDIR /source
# What the official image was made with is used as it is: the toolchain file would
# make rustup download clippy and rustfmt, which no build here needs.
ENV RUSTUP_TOOLCHAIN=1.95.0
# .dockerignore lists what this copies.
COPY . .

# One stage for each binary, so that building one image never builds the other.
# The caches of cargo stay outside the image and make the next build short; the
# binary is copied out because a cache is not part of the layer.
FROM source AS build-operator
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --locked --release --bin dualwrite-operator \
    && cp target/release/dualwrite-operator /dualwrite-operator

FROM source AS build-simulator
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target,sharing=locked \
    cargo build --locked --release --bin dualwrite-simulator \
    && cp target/release/dualwrite-simulator /dualwrite-simulator

# Neither shell nor package manager; CA certificates are in it. A number and no
# name for the user: only a number lets the kubelet check runAsNonRoot.
FROM gcr.io/distroless/cc-debian12:nonroot AS simulator
COPY --from=build-simulator /dualwrite-simulator /usr/local/bin/dualwrite-simulator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/dualwrite-simulator"]

# Last, so that it is what is built when no target is named.
FROM gcr.io/distroless/cc-debian12:nonroot AS operator
COPY --from=build-operator /dualwrite-operator /usr/local/bin/dualwrite-operator
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/dualwrite-operator"]
