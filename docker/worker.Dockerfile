# One data-plane worker. From the repository's root: docker build -f docker/worker.Dockerfile -t modelux-worker .
# The build stage is the control plane's, word for word, so that one build serves both from the cache.
ARG PROGRAMS=build

FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends cmake pkg-config && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/source/target \
    cargo build --locked --release --workspace --bin modelux --bin modelux-api --bin modelux-worker \
    && mkdir /programs \
    && cp target/release/modelux target/release/modelux-api target/release/modelux-worker /etc/ssl/certs/ca-certificates.crt /programs/

FROM ${PROGRAMS} AS programs

FROM debian:bookworm-slim AS runtime
# /enrolment: where a deployment may pass the workers' token from one to the others.
RUN useradd --uid 10001 --create-home --home-dir /var/lib/modelux modelux && install --directory --owner 10001 /enrolment
COPY --from=programs /programs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY docker/ready /usr/local/bin/modelux-ready
COPY --from=programs /programs/modelux-worker /usr/local/bin/
USER 10001
ENV MODELUX_DATA_DIR=/var/lib/modelux MODELUX_PROXY_LISTEN=0.0.0.0:8080
VOLUME /var/lib/modelux
EXPOSE 8080
# Readiness drains with the worker: no new request is sent to one that is going.
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s CMD ["modelux-ready", "8080"]
# Streams get the time they need to end.
STOPSIGNAL SIGTERM
ENTRYPOINT ["modelux-worker"]
CMD ["serve"]
